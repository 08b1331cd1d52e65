import { readFile } from 'node:fs/promises';
import type { EntityKind } from '#router/guardrails/detectors/pii/tagger/labels.ts';
import type { LabelledSpans } from './make-text.ts';

/** What the corpora call what is a kind here. What they mark beside it (awards, songs, …) is outside. */
const KIND_OF_LABEL: Readonly<Record<string, EntityKind>> = Object.fromEntries([
  ...'person,per,politician,writer,scientist,researcher,musicalartist'
    .split(',')
    .map((label) => [label, 'person']),
  ...'corporation,group,org,organisation,politicalparty,band,university'
    .split(',')
    .map((label) => [label, 'organization']),
  ...'location,loc,country'.split(',').map((label) => [label, 'location']),
  ['locderiv', 'nationality'],
]);
const LOOKED_FOR: ReadonlySet<EntityKind> = new Set<EntityKind>(['person', 'organization', 'location']);
/** Some of these are organizations and some are not: what has one is left out. */
const UNCLEAR = /^[BI]-(?:magazine|LOCpart|ORGpart|ORGderiv|PERpart|PERderiv)$/;
const LONGEST_TOKENS = 120;

/** Reads texts of one token and label a line (CoNLL), with the blanks put back where people write them. */
export async function readAnnotated(paths: readonly string[]): Promise<LabelledSpans[]> {
  const texts: LabelledSpans[] = [];
  for (const path of paths) {
    const numbered = path.endsWith('.tsv');
    for (const block of (await readFile(path, 'utf8')).split(/\r?\n\s*\r?\n/)) {
      const rows = block
        .split(/\r?\n/)
        .filter((line) => !/^(?:#\t|-DOCSTART-)/.test(line))
        .map((line) => line.split(/\t| (?=\S+$)/))
        .map((columns) =>
          numbered ? columns.slice(1, 3) : [columns[0]?.split(' ')[0] ?? '', columns.at(-1) ?? 'O'],
        )
        .filter((row) => row.length >= 2 && row[0]?.trim() !== '');
      if (rows.length <= 3 || rows.length > LONGEST_TOKENS) continue;
      if (!rows.some(([, label = '']) => UNCLEAR.test(label.trim()))) texts.push(joined(rows));
    }
  }
  return texts;
}

function joined(rows: readonly (readonly string[])[]): LabelledSpans {
  let text = '';
  let quoted = false;
  const spans: { start: number; end: number; kind: EntityKind }[] = [];
  let open = false;
  for (const [written = '', label = 'O'] of rows) {
    const opens: boolean = written === '``' || (written === '"' && !quoted);
    const closes: boolean = written === "''" || (written === '"' && quoted);
    if (opens || closes) quoted = opens;
    const token = opens || closes ? '"' : (BRACKETS[written] ?? written);
    const handle = text.endsWith('@') || (text.endsWith('#') && token !== '#') || token.startsWith('@');
    const glued =
      handle ||
      closes ||
      text === '' ||
      /^[.,!?:;)\]%]|^n't$|^['’](?:s|re|ve|ll|d|m)?$/.test(token) ||
      /[([@#$]$|(?:^|\s)"$/.test(text);
    if (!glued) text += ' ';
    const start = text.length;
    text += token;
    // A handle is no name here: it has a form of its own.
    const kind =
      handle || /^[@#]/.test(token) ? undefined : KIND_OF_LABEL[label.trim().slice(2).toLowerCase()];
    const last = spans.at(-1);
    if (kind === undefined) open = false;
    else if (open && label.startsWith('I-') && last !== undefined && last.kind === kind)
      last.end = text.length;
    else {
      spans.push({ start, end: text.length, kind });
      open = true;
    }
  }
  return { text, spans, looked_for: LOOKED_FOR };
}

const BRACKETS: Readonly<Record<string, string>> = { '-LRB-': '(', '-RRB-': ')', '("': '("', '"),': '"),' };
