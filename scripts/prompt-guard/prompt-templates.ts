import { createHash } from 'node:crypto';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ABOUT_ATTACKS, readIfText } from './ordinary-documents.ts';

const MIN_CHARACTERS = 60;
const MAX_CHARACTERS = 8_000;
/** Of one package: none may be most of what is learned. */
const MOST = 150;
const IN_CODE = /(?:prompt|template|instruction)[^/]*(?:\/[^/]+)*\.py$/i;
const AS_TEXT = /(?:prompt|template|instruction)[^/]*(?:\/[^/]+)*\.(?:md|txt|jinja2?|j2|prompty|mustache)$/i;
const A_JAILBREAK = /do anything now/i;
/** About attacks, or prompts that judge texts for them. */
const LEFT_OUT =
  /guardrail|red_?team|attack|inject|jailbreak|adversar|toxic|vulnerab|safety|security|test|licen[cs]e|requirements/i;
/** What speaks to a model, and not of code to a programmer. */
const SPEAKS_TO_A_MODEL =
  /\b(?:you are|you will|you must|you should|your (?:task|job|goal|role)|given (?:a|an|the|this)|respond|answer|return|output|write|generate|summari[sz]e|extract|translate|classify|think)\b/i;
const DOCUMENTS_CODE =
  /^\s*(?:Args|Arguments|Returns|Parameters|Attributes|Raises|Examples?|Usage|Yields):|>>>|^\s*:param|^\s*@/m;

export type PromptTemplate = Readonly<{ text: string; package: string; use: 'learn' | 'choose' | 'judge' }>;

/**
 * Prompts that programs send, from released packages below `packages/prompts`, one folder each: what an ordinary program says to a model
 * in its user's name. Which of them, and what a package is used for, depends on names alone.
 */
export async function readPromptTemplates(directory: string): Promise<PromptTemplate[]> {
  const root = join(directory, 'prompts');
  const texts = new Map<string, PromptTemplate>();
  for (const name of (await readdir(root)).sort()) {
    const use = useOf(name);
    const files = (await readdir(join(root, name), { recursive: true })).sort(byHash);
    let taken = 0;
    for (const file of files) {
      if (LEFT_OUT.test(file) || !(IN_CODE.test(file) || AS_TEXT.test(file))) continue;
      const content = (await readIfText(join(root, name, file))) ?? '';
      for (const text of file.endsWith('.py') ? longStringsIn(content) : [content.trim()]) {
        const cut = text.slice(0, MAX_CHARACTERS);
        if (taken >= MOST || texts.has(cut) || !isOrdinaryPrompt(cut)) continue;
        texts.set(cut, { text: cut, package: name, use });
        taken++;
      }
    }
  }
  return [...texts.values()];
}

/** The strings of a Python file that are between three quotes. */
const longStringsIn = (code: string): string[] =>
  [...code.matchAll(/("""|''')([\s\S]*?)\1/g)].map(([, , text = '']) => text.replace(/\\\n/g, '').trim());

const isOrdinaryPrompt = (text: string): boolean =>
  text.length >= MIN_CHARACTERS &&
  SPEAKS_TO_A_MODEL.test(text) &&
  ![ABOUT_ATTACKS, A_JAILBREAK, DOCUMENTS_CODE].some((other) => other.test(text));

/** Two packages of four are learned from; thresholds are chosen on one, and one judges. */
function useOf(name: string): PromptTemplate['use'] {
  const part = createHash('sha256').update(name).digest().readUInt32BE(0) % 4;
  return part < 2 ? 'learn' : part === 2 ? 'choose' : 'judge';
}

const hashOf = (name: string): string => createHash('sha256').update(name).digest('hex');
const byHash = (one: string, other: string): number => (hashOf(one) < hashOf(other) ? -1 : 1);
