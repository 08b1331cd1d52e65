import { CONVERSATION_TEMPLATES } from './conversation.ts';
import { EVERYDAY_TEMPLATES } from './everyday.ts';
import { FOREIGN_PLAIN_TEMPLATES, FOREIGN_TEMPLATES } from './foreign.ts';
import { LETTER_TEMPLATES } from './letters.ts';
import { SENTENCES_WITHOUT_DATA } from './plain.ts';
import { RECORD_TEMPLATES } from './records.ts';
import { STORY_TEMPLATES } from './stories.ts';
import { SUPPORT_TEMPLATES } from './support.ts';

/** Every template with places for personal data. */
export const PII_TEMPLATES: readonly string[] = [
  ...CONVERSATION_TEMPLATES,
  ...LETTER_TEMPLATES,
  ...STORY_TEMPLATES,
  ...SUPPORT_TEMPLATES,
  ...FOREIGN_TEMPLATES,
  ...EVERYDAY_TEMPLATES,
];

/** Texts without, whose capitals, numbers and places must not mislead. Dates in them are dates all the same. */
export const PLAIN_TEMPLATES: readonly string[] = [
  ...SENTENCES_WITHOUT_DATA,
  ...RECORD_TEMPLATES,
  ...FOREIGN_PLAIN_TEMPLATES,
];
