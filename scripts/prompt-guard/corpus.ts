import { fold } from '#router/guardrails/normalise/fold.ts';
import { undisguise } from '#router/guardrails/normalise/undisguise.ts';
import { ATTACK_GRAMMAR, FOREIGN_ATTACKS } from './attack-grammar.ts';
import { BENIGN_GRAMMAR, FOREIGN_BENIGN } from './benign-grammar.ts';
import { expand, pickOf } from './grammar.ts';
import { guardedGrammar } from './guarded-grammar.ts';
import { madeDocument } from './made-documents.ts';
import { filledTemplate, partOfTemplate, writtenTurns } from './made-prompts.ts';
import type { LabelledText } from './package-texts.ts';

const COUNTS = {
  direct: 22_000,
  structure: 7_000,
  indirect: 8_000,
  foreignAttack: 6_000,
  benign: 40_000,
  foreignBenign: 10_000,
  guardedAttack: 26_000,
  guardedBenign: 34_000,
  repeated: 1_500,
  planted: 22_000,
  madeDocuments: 4_000,
  templates: 4,
  templateParts: 14_000,
  plantedInTemplate: 12_000,
  turns: 9_000,
};

/** What the classifier learns from: made texts, packaged texts, and mixtures of the two. */
export function makeCorpus(
  packaged: readonly LabelledText[],
  documents: readonly string[],
  templates: readonly string[],
  random: () => number,
): LabelledText[] {
  const texts = new Map<string, LabelledText>();
  const add = (text: string, attack: boolean, source: string, system = '') => {
    if (text.length < 4) return;
    texts.set(`${system}\n${text}`, { text, attack, source, ...(system === '' ? {} : { system }) });
  };
  const benignPackaged = packaged.filter(({ attack, source }) => !attack && source !== 'advbench');
  const benignText = () =>
    random() < 0.5
      ? pickOf(benignPackaged, random).text.slice(0, 400)
      : expand('<benign>', BENIGN_GRAMMAR, random);

  for (const rule of ['direct', 'structure', 'indirect'] as const) {
    for (let count = 0; count < COUNTS[rule]; count++) {
      const attack = noisy(expand(`<${rule}>`, ATTACK_GRAMMAR, random), random);
      const place = random();
      if (place < 0.7) add(attack, true, `made-${rule}`);
      else if (place < 0.85)
        add(`${benignText()}${pickOf(['\n', ' ', '. ', '\n\n'], random)}${attack}`, true, 'made-after');
      else add(`${attack}${pickOf(['\n', ' ', '. ', '\n\n'], random)}${benignText()}`, true, 'made-before');
    }
  }
  for (let count = 0; count < COUNTS.foreignAttack; count++) {
    add(expand(pickOf(FOREIGN_ATTACKS, random), ATTACK_GRAMMAR, random), true, 'made-foreign');
  }
  for (let count = 0; count < COUNTS.benign; count++) {
    const ordinary = noisy(expand('<benign>', BENIGN_GRAMMAR, random), random);
    const text = random() < 0.12 ? withIdentifier(ordinary, random) : ordinary;
    add(
      random() < 0.8 ? text : `${text}${pickOf(['\n', ' ', '. '], random)}${benignText()}`,
      false,
      'made-benign',
    );
  }
  for (let count = 0; count < COUNTS.foreignBenign; count++) {
    add(expand(pickOf(FOREIGN_BENIGN, random), BENIGN_GRAMMAR, random), false, 'made-foreign-benign');
  }
  // The same application, asked for what it keeps and for something else.
  const attackPackaged = packaged.filter(({ attack }) => attack);
  for (let count = 0; count < COUNTS.guardedAttack; count++) {
    const grammar = guardedGrammar(random);
    const attack =
      random() < 0.93
        ? noisy(expand('<guarded_attack>', grammar, random), random)
        : pickOf(attackPackaged, random).text.slice(0, 2_000);
    add(attack, true, 'guarded-attack', expand('<system>', grammar, random));
  }
  for (let count = 0; count < COUNTS.guardedBenign; count++) {
    const grammar = guardedGrammar(random);
    const kind = random();
    const text =
      kind < 0.25
        ? noisy(expand('<nearby>', grammar, random), random)
        : kind < 0.65
          ? pickOf(benignPackaged, random).text.slice(0, 2_000)
          : noisy(expand('<benign>', BENIGN_GRAMMAR, random), random);
    add(text, false, kind < 0.25 ? 'guarded-nearby' : 'guarded-benign', expand('<system>', grammar, random));
  }
  // A word over and over is odd, and overrides nothing.
  for (let count = 0; count < COUNTS.repeated; count++) {
    const words = benignText()
      .split(/\s+/)
      .slice(0, 1 + Math.floor(random() * 3));
    add(
      Array(5 + Math.floor(random() * 80))
        .fill(words.join(' '))
        .join(pickOf([' ', ', ', '\n', '. '], random)),
      false,
      'repeated',
    );
  }
  for (const text of packaged) texts.set(`\n${text.text}`, text);
  // Length excuses no attack: some stand within a document.
  const short = attackPackaged.filter(({ text }) => text.length < 1_500);
  for (let count = 0; count < COUNTS.planted; count++) {
    const attack =
      random() < 0.7
        ? expand(`<${pickOf(['direct', 'structure', 'indirect'], random)}>`, ATTACK_GRAMMAR, random)
        : pickOf(short, random).text;
    const document = pickOf(documents, random);
    const from = Math.floor(random() * Math.max(1, document.length - 800));
    const cut = from + Math.floor(random() * 800);
    const end = cut + Math.floor(random() * 800);
    const gap = () => pickOf(['\n', ' ', '\n\n', '. '], random);
    add(`${document.slice(from, cut)}${gap()}${attack}${gap()}${document.slice(cut, end)}`, true, 'planted');
  }
  for (const document of documents) add(document, false, 'document');
  // What programs say in a user's name is full of orders, and ordinary.
  for (const template of templates) {
    for (let count = 0; count < COUNTS.templates; count++) {
      add(
        filledTemplate(template, () => benignText(), random),
        false,
        'template',
      );
    }
  }
  for (let count = 0; count < COUNTS.templateParts; count++) {
    add(partOfTemplate(pickOf(templates, random), benignText, random), false, 'template-part');
  }
  const anyAttack = () =>
    random() < 0.7
      ? expand(`<${pickOf(['direct', 'structure', 'indirect'], random)}>`, ATTACK_GRAMMAR, random)
      : pickOf(short, random).text;
  for (let count = 0; count < COUNTS.plantedInTemplate; count++) {
    add(partOfTemplate(pickOf(templates, random), anyAttack, random), true, 'planted');
  }
  for (let count = 0; count < COUNTS.turns; count++) {
    const attacks = random() < 0.3;
    const text = attacks ? anyAttack : benignText;
    add(writtenTurns(benignText, text, random), attacks, attacks ? 'planted' : 'turns');
  }
  const sentence = () =>
    random() < 0.6
      ? benignText().slice(0, 300)
      : pickOf(
          pickOf(documents, random)
            .slice(0, 20_000)
            .split(/(?<=[.?!])\s+|\n\n/),
          random,
        ).slice(0, 300);
  for (let count = 0; count < COUNTS.madeDocuments; count++) {
    add(madeDocument(sentence, random), false, 'document');
  }
  return [...texts.values()];
}

/** Sometimes a slip of the finger, a capital word or a lost mark: people do not type like grammars. */
function noisy(text: string, random: () => number): string {
  let result = text;
  if (random() < 0.15) {
    const at = Math.floor(random() * result.length);
    result = result.slice(0, at) + result.slice(at + 1);
  }
  if (random() < 0.1) {
    const at = Math.floor(random() * (result.length - 1));
    result = result.slice(0, at) + (result[at + 1] ?? '') + (result[at] ?? '') + result.slice(at + 2);
  }
  if (random() < 0.15) result = result.replace(/[?.!]+$/, '');
  return result;
}

const ALPHABETS = [
  '0123456789abcdef',
  '0123456789',
  'abcdefghijklmnopqrstuvwxyz',
  '0123456789abcdefghjkmnpqrstvwxyz',
];
const BEFORE_IDS = [
  '',
  '',
  '',
  'id ',
  'order ',
  'no. ',
  'ord_',
  'doc_',
  'ticket-',
  'SKU',
  'error 0x',
  'commit ',
  'user',
  '#',
];

/** An ordinary text that names something by a random identifier, which is no disguise. */
function withIdentifier(text: string, random: () => number): string {
  const alphabet = pickOf(ALPHABETS, random);
  const letters = Array.from(
    { length: 6 + Math.floor(random() * 28) },
    () => alphabet[Math.floor(random() * alphabet.length)],
  );
  const id = pickOf(BEFORE_IDS, random) + letters.join('');
  const place = random();
  if (place < 0.3) return `${text} (${id})`;
  if (place < 0.5) return `${id}: ${text}`;
  if (place < 0.7)
    return pickOf(
      [
        `What is ${id}?`,
        `Where is ${id} now?`,
        `Tell me about ${id}`,
        `${id}`,
        `status of ${id}`,
        `Look up ${id}, please.`,
      ],
      random,
    );
  const words = text.split(' ');
  words.splice(Math.floor(random() * (words.length + 1)), 0, id);
  return words.join(' ');
}

/** As the classifier is given texts. */
export const foldedOf = (text: string): string => fold(undisguise(text).text).text;
