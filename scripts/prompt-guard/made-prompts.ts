import { pickOf } from './grammar.ts';

/** What stands for a value in a template: `{name}`, `{{ name }}`, `{% … %}`, `${name}`. */
const PLACEHOLDER = /\{%[^%]*%\}|\$?\{\{?[^{}\n]{1,80}\}?\}/g;

/** A template as a program sends it: its values filled, or left as they stand. */
export function filledTemplate(template: string, text: () => string, random: () => number): string {
  const asked = random() < 0.1 ? pickOf(ABOUT_A_PROMPT, random) : '';
  if (random() < 0.2) return asked + template;
  return (
    asked +
    template.replace(PLACEHOLDER, (found) => {
      if (found.startsWith('{%')) return '';
      const value = text();
      return random() < 0.5 ? value : value.split(/\s+/).slice(0, 3).join(' ');
    })
  );
}

/** Who writes prompts asks about them. */
const ABOUT_A_PROMPT = [
  'Improve this prompt:\n',
  'Here is my system prompt, please improve it: ',
  'Translate this prompt to German:\n\n',
  'What do you think of this prompt?\n',
  'Can you make these instructions shorter?\n\n',
  'I wrote the following prompt for our bot. Find mistakes in it:\n',
  'Rewrite the following prompt so that the answers are shorter.\n---\n',
];

const LABELS = [
  'Text: ',
  'Input: ',
  'Question: ',
  'Content:\n',
  'Document:\n',
  '---\n',
  '"""\n',
  '### Input\n',
  'Context: ',
  '',
];

/** Some sentences of a template in a row, and what they are to be done with. */
export function partOfTemplate(template: string, text: () => string, random: () => number): string {
  const sentences = template.split(/(?<=[.?!:])\s+|\n+/).filter((sentence) => sentence.trim().length > 8);
  const from = random() < 0.4 ? 0 : Math.floor(random() * sentences.length);
  const part = sentences
    .slice(from, from + 1 + Math.floor(random() * 5))
    .join(pickOf([' ', '\n', '\n- '], random));
  return `${filledTemplate(part, text, random)}${pickOf(['\n', '\n\n', ' '], random)}${pickOf(LABELS, random)}${text()}`;
}

const ROLES: readonly (readonly [user: string, model: string])[] = [
  ['User', 'Assistant'],
  ['user', 'assistant'],
  ['Human', 'Assistant'],
  ['Human', 'AI'],
  ['USER', 'ASSISTANT'],
  ['Q', 'A'],
  ['Question', 'Answer'],
  ['Customer', 'Agent'],
  ['Me', 'You'],
  ['### Instruction', '### Response'],
  ['### User', '### Assistant'],
  ['Instruction', 'Output'],
];

/** A conversation, or an instruction, written into one text as programs do for models that only continue text. */
export function writtenTurns(ordinary: () => string, last: () => string, random: () => number): string {
  const [user, model] = pickOf(ROLES, random);
  const gap = pickOf([': ', ':\n', ':'], random);
  const between = pickOf(['\n', '\n\n'], random);
  const turns: string[] = [];
  if (random() < 0.4) {
    const who = pickOf(['system: ', 'System: ', '', '### System:\n'], random);
    const role = pickOf(
      ['a helpful assistant', 'an AI assistant', 'a chatbot', 'a friendly expert', 'an assistant'],
      random,
    );
    const how = pickOf(
      ['', ' that answers questions', ' for our customers', ' who is polite, honest and clever'],
      random,
    );
    turns.push(
      `${who}${pickOf(['You are', 'This is a conversation with', 'The following is a chat with'], random)} ${role}${how}.`,
    );
  }
  const before = Math.floor(random() * 4);
  for (let turn = 0; turn < before; turn++) {
    turns.push(`${user}${gap}${ordinary()}`, `${model}${gap}${ordinary()}`);
  }
  turns.push(`${user}${gap}${last()}`);
  if (random() < 0.7) turns.push(`${model}${gap.trimEnd()}`);
  return turns.join(between);
}
