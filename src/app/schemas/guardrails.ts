import { z } from 'zod';
import { judgePolicySchema, MAX_JUDGES } from '#app/schemas/guardrail-judge.ts';

/** What is done about a finding: `flag` records it and lets it pass, `redact` replaces it, `refuse` stops the turn. */
export const guardrailActionSchema = z.enum(['allow', 'flag', 'redact', 'refuse']);
export type GuardrailAction = z.infer<typeof guardrailActionSchema>;

/** Personal data that a form and check digits give away. */
export const STRUCTURED_PII_KINDS = [
  'email',
  'phone',
  'card_number',
  'iban',
  'ssn',
  'ip_address',
  'url',
] as const;

/** Personal data that only the words around it tell. */
export const ENTITY_PII_KINDS = [
  'person',
  'title',
  'organization',
  'address',
  'location',
  'postal_code',
  'nationality',
  'date',
  'age',
  'license',
] as const;

/** Every kind; `date_of_birth` is a date beside a word of birth. */
export const PII_KINDS = [...STRUCTURED_PII_KINDS, ...ENTITY_PII_KINDS, 'date_of_birth'] as const;
export const piiKindSchema = z.enum(PII_KINDS);
export type PiiKind = z.infer<typeof piiKindSchema>;

/** What identifies a person or gives access to money: the kinds that `pii` of a tenant speaks of. The rest is everyday talk. */
export const DEFAULT_PII_KINDS: readonly PiiKind[] = [
  'email',
  'phone',
  'card_number',
  'iban',
  'ssn',
  'ip_address',
  'person',
  'address',
  'license',
  'date_of_birth',
];

const promptInjection = {
  /** On what users write. */
  user: guardrailActionSchema,
  /** On results of tools, which others may have written, and on earlier answers; the results are data whatever is found. */
  tool_results: guardrailActionSchema,
  /** Log-odds above which a text counts as an attack. null: the value in docs/guardrails.md. Higher lets more pass. */
  threshold: z.number().min(-10).max(20).nullable(),
};
const secrets = { input: guardrailActionSchema, output: guardrailActionSchema };
const pii = z.partialRecord(piiKindSchema, guardrailActionSchema);
const judges = z.array(judgePolicySchema).max(MAX_JUDGES);

/** The built-in detectors of a tenant. `{}` refuses attacks of users, and redacts secrets on their way in and out. */
export const guardrailsSchema = z.strictObject({
  prompt_injection: z
    .strictObject({
      user: promptInjection.user.default('refuse'),
      tool_results: promptInjection.tool_results.default('flag'),
      threshold: promptInjection.threshold.default(null),
    })
    .prefault({}),
  secrets: z
    .strictObject({ input: secrets.input.default('redact'), output: secrets.output.default('redact') })
    .prefault({}),
  /** By kind, both ways; kinds that are not named go by the tenant’s `pii`. */
  pii: pii.default({}),
  /** External judges of the deployment, asked in this order. */
  judges: judges.default([]),
});
export type GuardrailsConfig = z.infer<typeof guardrailsSchema>;

/** Any part of it. `pii` and `judges` are replaced whole. */
export const guardrailsPatchSchema = z
  .strictObject({
    prompt_injection: z.strictObject(promptInjection).partial(),
    secrets: z.strictObject(secrets).partial(),
    pii,
    judges,
  })
  .partial();
export type GuardrailsPatch = z.infer<typeof guardrailsPatchSchema>;
