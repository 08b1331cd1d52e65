/** Writes docs/settings.md from the schema of the settings; a test keeps the file equal to it. */
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { settingsSchema } from '#app/settings/settings.ts';

/** What the document shows of a setting's JSON schema; the rest is passed over. */
const propertySchema = z.looseObject({
  type: z.string(),
  description: z.string(),
  enum: z.array(z.string()).optional(),
  format: z.string().optional(),
  pattern: z.string().optional(),
  minimum: z.number().optional(),
  exclusiveMinimum: z.number().optional(),
  maximum: z.number().optional(),
  minLength: z.number().optional(),
});
type Property = z.infer<typeof propertySchema>;

const INTRODUCTION = `# Settings

Every setting is an environment variable. They are read once, when a process starts; a value that is not valid
stops the start and names the variable. An empty variable counts as absent. \`bulkhead up\` (which \`npm start\`
runs) also reads a \`.env\` file in the current directory; variables that are set already win.

This page is written by \`node scripts/write-settings-doc.ts\` from \`src/app/settings/settings.ts\`.

| setting | default | values | what it does |
|---|---|---|---|
`;

function allowedValues(property: Property): string {
  if (property.enum !== undefined) {
    return property.enum.includes('on')
      ? '`on`, `off`'
      : property.enum.map((value) => `\`${value}\``).join(', ');
  }
  if (property.format === 'uri') return 'URL';
  if (property.minLength !== undefined) return `text, at least ${property.minLength} characters`;
  if (property.type === 'string') return 'text';
  const least = property.minimum ?? (property.exclusiveMinimum === 0 ? 1 : undefined);
  const most = property.maximum === Number.MAX_SAFE_INTEGER ? undefined : property.maximum;
  const what = property.type === 'integer' ? 'whole number' : 'number';
  if (least !== undefined && most !== undefined) return `${what}, ${least} to ${most}`;
  return least === undefined ? what : `${what}, at least ${least}`;
}

function shownDefault(value: unknown): string {
  if (value === undefined) return '';
  if (typeof value === 'boolean') return `\`${value ? 'on' : 'off'}\``;
  return typeof value === 'object' ? `\`${JSON.stringify(value)}\`` : `\`${String(value)}\``;
}

/** The whole document. */
export function renderSettingsDoc(): string {
  const properties = z
    .record(z.string(), propertySchema)
    .parse(z.toJSONSchema(settingsSchema, { io: 'input', unrepresentable: 'any' }).properties);
  const defaults: Readonly<Record<string, unknown>> = settingsSchema.parse({});
  const rows = Object.entries(properties).map(
    ([name, property]) =>
      `| \`${name}\` | ${shownDefault(defaults[name])} | ${allowedValues(property)} | ${property.description} |`,
  );
  return `${INTRODUCTION}${rows.join('\n')}\n`;
}

if (import.meta.main) {
  writeFileSync(fileURLToPath(new URL('../docs/settings.md', import.meta.url)), renderSettingsDoc());
}
