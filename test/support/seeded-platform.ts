import type { Platform } from './start-bulkhead.ts';
import { createTenants, type Keys } from './tenants.ts';
import { addDocument } from './vault-documents.ts';

/** A sentence that one document holds, the question that it answers, and a word that is nowhere else. */
export type Fact = Readonly<{ sentence: string; question: string; word: string }>;

export const FACTS = {
  /** Private to alice of acme. */
  alice: {
    sentence: 'The coolant pressure of the Aurora reactor must stay below 42 bar at the Quillmarsh valve.',
    question: 'How many bar may the coolant pressure of the Aurora reactor reach?',
    word: 'Quillmarsh',
  },
  /** Shared with all of acme. */
  acme: {
    sentence: 'Holiday requests of all staff go to Petra Vandermolen before the first of May.',
    question: 'To whom do holiday requests of the staff go?',
    word: 'Vandermolen',
  },
  /** Private to carol of globex. */
  carol: {
    sentence: 'The harvest festival of the orchard takes place on the third Sunday at Brindlewick.',
    question: 'When does the harvest festival of the orchard take place?',
    word: 'Brindlewick',
  },
} as const satisfies Record<string, Fact>;

export type SeededPlatform = Readonly<{
  platform: Platform;
  keys: Keys;
  documents: Readonly<{ alice: string; acme: string; carol: string }>;
}>;

const markdown = (title: string, { sentence }: Fact) =>
  `# ${title}\n\nThis page is kept by the staff of the house.\n\n## Rules\n\n${sentence} The rule is read out once a year.\n`;

/** Creates the tenants, and documents that hold {@link FACTS}. */
export async function seedPlatform(platform: Platform): Promise<SeededPlatform> {
  const keys = await createTenants(platform);
  const add = (key: string, filename: string, fact: Fact, visibility: string) =>
    addDocument(platform.url, key, {
      filename,
      content: markdown(filename.replace('.md', ''), fact),
      mediaType: 'text/markdown',
      fields: { visibility },
    });
  return {
    platform,
    keys,
    documents: {
      alice: await add(keys.alice, 'coolant.md', FACTS.alice, 'private'),
      acme: await add(keys.alice, 'handbook.md', FACTS.acme, 'tenant'),
      carol: await add(keys.carol, 'festival.md', FACTS.carol, 'private'),
    },
  };
}

/** What the platform says where the documents hold no answer. */
export const NOT_IN_DOCUMENTS = 'I could not find an answer to that in your documents.';
