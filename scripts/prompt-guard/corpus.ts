import { fold } from '#router/guardrails/normalise/fold.ts';
import { undisguise } from '#router/guardrails/normalise/undisguise.ts';
import { ATTACK_GRAMMAR, FOREIGN_ATTACKS } from './attack-grammar.ts';
import { BENIGN_GRAMMAR, FOREIGN_BENIGN } from './benign-grammar.ts';
import { expand, pickOf } from './grammar.ts';
import type { LabelledText } from './package-texts.ts';

const COUNTS = {
  direct: 22_000,
  structure: 7_000,
  indirect: 8_000,
  foreignAttack: 6_000,
  benign: 40_000,
  foreignBenign: 5_000,
};

/** What the classifier learns from: made texts, packaged texts, and mixtures of the two. */
export function makeCorpus(packaged: readonly LabelledText[], random: () => number): LabelledText[] {
  const texts = new Map<string, LabelledText>();
  const add = (text: string, attack: boolean, source: string) => {
    if (text.length >= 4) texts.set(text, { text, attack, source });
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
    const text = noisy(expand('<benign>', BENIGN_GRAMMAR, random), random);
    add(
      random() < 0.8 ? text : `${text}${pickOf(['\n', ' ', '. '], random)}${benignText()}`,
      false,
      'made-benign',
    );
  }
  for (let count = 0; count < COUNTS.foreignBenign; count++) {
    add(expand(pickOf(FOREIGN_BENIGN, random), BENIGN_GRAMMAR, random), false, 'made-foreign-benign');
  }
  for (const text of packaged) texts.set(text.text, text);
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

/** As the classifier is given texts. */
export const foldedOf = (text: string): string => fold(undisguise(text).text).text;
