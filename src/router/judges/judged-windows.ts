/** A piece of a text, and the end of the text before it. */
export type JudgedWindow = Readonly<{ text: string; lead: string }>;

/** A judge sees so much of what came before, so that nothing hides across a cut. */
export const LEAD_CHARACTERS = 400;

/** Pieces of at most `size` units that make the text, cut after a sentence where one ends in the last half. */
export function windowsOf(text: string, size: number): JudgedWindow[] {
  const windows: JudgedWindow[] = [];
  for (let start = 0; start < text.length; ) {
    const end = text.length - start <= size ? text.length : cutWithin(text, start, start + size);
    windows.push({ text: text.slice(start, end), lead: leadOf(text.slice(0, start)) });
    start = end;
  }
  return windows;
}

/** The end of a text, whole characters only. */
export function leadOf(text: string): string {
  const lead = text.slice(-LEAD_CHARACTERS);
  const code = lead.charCodeAt(0);
  return code >= 0xdc00 && code <= 0xdfff ? lead.slice(1) : lead;
}

const SENTENCE_END = /[.!?…。！？]["')\]]*\s|\n/g;

/** True where the text ends with a sentence, or a line. */
export const endsSentence = (text: string): boolean => /(?:[.!?…]["')\]]*\s|[。！？]|\n)$/.test(text);

function cutWithin(text: string, start: number, limit: number): number {
  const half = start + Math.floor((limit - start) / 2);
  const ends = [...text.slice(half, limit).matchAll(SENTENCE_END)].at(-1);
  if (ends !== undefined) return half + ends.index + ends[0].length;
  const space = text.lastIndexOf(' ', limit - 1);
  if (space > half) return space + 1;
  // Not between the halves of a surrogate pair.
  const code = text.charCodeAt(limit - 1);
  return code >= 0xd800 && code <= 0xdbff ? limit - 1 : limit;
}
