import type { Finding } from '#router/guardrails/detectors/finding.ts';
import { keyBlocksOf } from '#router/guardrails/detectors/secrets/key-block.ts';
import { TOKEN_RULES } from '#router/guardrails/detectors/secrets/token-rules.ts';
import {
  entropyPerCharacter,
  isPlaceholder,
  looksChosen,
  looksRandom,
} from '#router/guardrails/detectors/secrets/value-shape.ts';

const JWT =
  /(?<![A-Za-z0-9_-])(eyJ[A-Za-z0-9_-]{8,1024})\.(eyJ[A-Za-z0-9_-]{4,8192})\.([A-Za-z0-9_-]{8,1024})/g;

/** `password = …`, `"api_key": "…"`, `the token is …`. */
const ASSIGNMENT =
  /(?<![A-Za-z0-9])((?:[A-Za-z0-9]{1,20}[_-]){0,3}(?:password|passwd|passphrase|pwd|secret|token|api[_ -]?key|apikey|access[_ -]?key|private[_ -]?key|secret[_ -]?key|client[_ -]?secret|auth[_ -]?key|encryption[_ -]?key|credentials?)(?:[_-][A-Za-z0-9]{1,12}){0,2})["'`\]]{0,2}[ \t]{0,4}(:=|=>|=|:|\bis\b|\bwas\b)[ \t]{0,4}(["'`]?)([^\s"'`,;<>(){}[\]]{6,256})/gi;
const ASSIGNMENT_SIGN = /pass|pwd|secret|token|key|credential/i;
const BEARER = /\b(?:bearer|basic)[ \t]{1,4}([A-Za-z0-9+/_.~=-]{16,512})/gi;
const AWS_SECRET = /(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{40}(?![A-Za-z0-9+/=])/g;
const AWS_CONTEXT = /aws|secret.{0,3}access/i;
const AWS_CONTEXT_CHARACTERS = 80;

/**
 * Short words of small letters, perhaps with a capital at their start, and the usual stops: nothing below finds anything in
 * them, because every secret has a digit, several capitals, or a sign that joins its parts. Most pieces of an answer are so.
 */
const PROSE = /^\s*(?:[A-Za-z'][a-z']{0,14}[.,;!?]{0,3}(?:\s+|$))*$/;

/** Credentials: tokens of known make, private keys, JWTs, passwords in addresses and in assignments. */
export function detectSecrets(text: string): Finding[] {
  const findings: Finding[] = [];
  if (PROSE.test(text)) return findings;
  const add = (kind: string, start: number, length: number, confidence: number) => {
    findings.push({ detector: 'secrets', kind, start, end: start + length, confidence });
  };
  for (const { kind, sign, pattern, group = 0 } of TOKEN_RULES) {
    if (!text.includes(sign)) continue;
    for (const match of text.matchAll(pattern)) {
      const secret = match[group] ?? '';
      const start = group === 0 ? match.index : match.index + match[0].lastIndexOf(secret);
      if (kind === 'model_provider_key' ? looksRandom(secret.slice(3)) : !isPlaceholder(secret))
        add(kind, start, secret.length, 0.95);
    }
  }
  if (text.includes('PRIVATE KEY')) addKeyBlocks(text, add);
  if (text.includes('eyJ')) addJwts(text, add);
  if (ASSIGNMENT_SIGN.test(text)) addAssignments(text, add);
  if (/\b(?:bearer|basic)[ \t]/i.test(text)) {
    for (const match of text.matchAll(BEARER)) {
      const secret = match[1] ?? '';
      if (looksRandom(secret))
        add('bearer_token', match.index + match[0].length - secret.length, secret.length, 0.85);
    }
  }
  return findings;
}

type Add = (kind: string, start: number, length: number, confidence: number) => void;

function addKeyBlocks(text: string, add: Add): void {
  for (const { start, end } of keyBlocksOf(text)) add('private_key', start, end - start, 0.99);
}

/** Only where the header is the JSON of a JWT. */
function addJwts(text: string, add: Add): void {
  for (const match of text.matchAll(JWT)) {
    const header = Buffer.from(match[1] ?? '', 'base64url').toString('utf8');
    if (/^\{.*"alg"\s*:/s.test(header)) add('jwt', match.index, match[0].length, 0.95);
  }
}

function addAssignments(text: string, add: Add): void {
  for (const match of text.matchAll(ASSIGNMENT)) {
    const [whole, name = '', operator = '', quote = '', raw = ''] = match;
    const value = quote === '' ? raw.replace(/[.!?:)\]]+$/, '') : raw;
    const isPassword = /pass|pwd/i.test(name);
    const spoken = /[a-z]/i.test(operator);
    // Prose says "the token is generated"; only a value that could not be a word counts there.
    const shaped =
      isPassword && !spoken
        ? looksChosen(value)
        : value.length >= (isPassword ? 6 : 12) && looksRandomOrChosen(value, isPassword);
    if (shaped)
      add(
        isPassword ? 'password' : 'secret_value',
        match.index + whole.length - raw.length,
        value.length,
        0.8,
      );
  }
  for (const match of text.matchAll(AWS_SECRET)) {
    const before = text.slice(Math.max(0, match.index - AWS_CONTEXT_CHARACTERS), match.index);
    if (AWS_CONTEXT.test(before) && entropyPerCharacter(match[0]) > 4 && looksRandom(match[0])) {
      add('aws_secret_access_key', match.index, match[0].length, 0.95);
    }
  }
}

const looksRandomOrChosen = (value: string, isPassword: boolean): boolean =>
  looksRandom(value) || (isPassword && looksChosen(value) && /[0-9]/.test(value));
