import { readFile } from 'node:fs/promises';
import type { EntityKind } from '#router/guardrails/detectors/pii/tagger/labels.ts';
import type { LabelledSpans } from './make-text.ts';

const KIND_OF_LABEL: Readonly<Record<string, EntityKind>> = {
  person: 'person',
  PER: 'person',
  corporation: 'organization',
  group: 'organization',
  ORG: 'organization',
  location: 'location',
  LOC: 'location',
};
const LOOKED_FOR: ReadonlySet<EntityKind> = new Set<EntityKind>(['person', 'organization', 'location']);

/** Reads texts of one token and label a line (CoNLL), with the blanks put back where people write them. */
export async function readAnnotated(paths: readonly string[]): Promise<LabelledSpans[]> {
  const texts: LabelledSpans[] = [];
  for (const path of paths) {
    for (const block of (await readFile(path, 'utf8')).split(/\r?\n\s*\r?\n/)) {
      const rows = block
        .split(/\r?\n/)
        .map((line) => line.split('\t'))
        .filter((row) => row.length >= 2 && row[0]?.trim() !== '');
      if (rows.length > 3) texts.push(joined(rows));
    }
  }
  return texts;
}

function joined(rows: readonly (readonly string[])[]): LabelledSpans {
  let text = '';
  const spans: { start: number; end: number; kind: EntityKind }[] = [];
  let open = false;
  for (const [token = '', label = 'O'] of rows) {
    const handle = text.endsWith('@') || text.endsWith('#') || token.startsWith('@');
    const glued = handle || text === '' || /^[.,!?:;)\]'’%]|^n't$/.test(token) || /[([@#"$]$/.test(text);
    if (!glued) text += ' ';
    const start = text.length;
    text += token;
    // A handle is no name here: it has a form of its own.
    const kind = handle || /^[@#]/.test(token) ? undefined : KIND_OF_LABEL[label.trim().slice(2)];
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
