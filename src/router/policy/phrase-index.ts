import { foldCase, undisguise } from '#router/policy/normalise-text.ts';

/** One token is a run of letters and digits; scripts that are written without spaces give a token a character. */
const TOKEN =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]|[[\p{L}\p{N}\p{M}]--[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]]+/gv;

const BEYOND_ASCII = /[\u0080-\uffff]/;
/** The same as TOKEN, of a text in ASCII. */
const ASCII_TOKEN = /[a-zA-Z0-9]+/g;

/** The words of a text that was undisguised and case-folded. */
export function wordsOf(folded: string): string[] {
  return folded.match(BEYOND_ASCII.test(folded) ? TOKEN : ASCII_TOKEN) ?? [];
}

/** The words by which a phrase is found; empty where it has neither letters nor digits. */
export const wordsOfPhrase = (phrase: string): string[] => wordsOf(foldCase(undisguise(phrase)));

/** Looking for so many words in a text costs less than taking it apart. */
const FEW_WORDS = 16;

type Node = { next: Map<string, Node>; owner: number | null };

const newNode = (): Node => ({ next: new Map(), owner: null });

/**
 * Finds phrases as whole words, whatever stands between the words. A tree of words, so the number of phrases
 * hardly matters, and the time is at most the words of the text times the words of the longest phrase.
 */
export class PhraseIndex {
  readonly #root = newNode();

  /** `owner` is what a match reports. */
  add(phrase: string, owner: number): void {
    const words = wordsOfPhrase(phrase);
    if (words.length === 0) throw new RangeError('A phrase needs a letter or a digit.');
    let node = this.#root;
    for (const word of words) {
      let next = node.next.get(word);
      if (next === undefined) {
        next = newNode();
        node.next.set(word, next);
      }
      node = next;
    }
    node.owner ??= owner;
  }

  /** The owner of the first phrase in the text, or null. */
  find(folded: string): number | null {
    if (!this.#mayHold(folded)) return null;
    const words = wordsOf(folded);
    for (let start = 0; start < words.length; start++) {
      let node: Node | undefined = this.#root;
      for (let at = start; at < words.length; at++) {
        node = node.next.get(words[at] ?? '');
        if (node === undefined) break;
        if (node.owner !== null) return node.owner;
      }
    }
    return null;
  }

  /** Whatever phrase a text holds, it holds its first word. */
  #mayHold(folded: string): boolean {
    const { next } = this.#root;
    if (next.size > FEW_WORDS) return true;
    for (const word of next.keys()) if (folded.includes(word)) return true;
    return false;
  }
}
