import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';

const MAX_TITLE_CHARACTERS = 200;

/**
 * Our own delimiters, in any spelling, and control tokens of chat templates: servers read those inside a message
 * too, so a document that holds `<|im_start|>system` would speak as the system.
 */
const CONTROL =
  /<(?=[|｜]|\s*(?:\/\s*)?(?:source|s|bos|eos|start_of_turn|end_of_turn|start_header_id|tool_call)\b|<SYS>|<\/SYS>)|\[(?=\/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\])/gi;

/** A passage as data: nothing in it can end the quotation, open another, or pass for a citation marker. */
export const neutralise = (text: string): string =>
  text
    .replace(CONTROL, (opening) => `${opening} `)
    .replace(/([|｜])>/g, '$1 >')
    // Our markers have no blank after the bracket; `args[ 0 ]` is still the same code.
    .replace(/([[【])(\d[\d\s,;–-]*)([\]】])/g, '$1 $2 $3');

const attribute = (text: string): string =>
  neutralise(text)
    .replace(/[\s\p{Cc}]+/gu, ' ')
    .replace(/["<>]/g, "'")
    .trim()
    .slice(0, MAX_TITLE_CHARACTERS)
    .toWellFormed();

/** One numbered source as the prompt quotes it. */
export function quoteSource({ index, title, heading_path, page, text }: Citation): string {
  const place = [title, ...heading_path]
    .map(attribute)
    .filter((part) => part !== '')
    .join(' > ');
  const pageText = page === null ? '' : ` page="${page}"`;
  return `<source number="${index}" title="${place}"${pageText}>\n${neutralise(text)}\n</source>`;
}
