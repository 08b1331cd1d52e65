/** HTML blocks in Markdown (CommonMark 0.31, section 4.6). */

/** How an HTML block ends: at a line that holds `until`, or at a blank line. */
export type HtmlBlock = { until: readonly string[] | null; isCode: boolean; isHidden: boolean };

const BLOCK_NAMES = new Set(
  (
    'address article aside base basefont blockquote body caption center col colgroup dd details dialog dir div dl dt ' +
    'fieldset figcaption figure footer form frame frameset h1 h2 h3 h4 h5 h6 head header hr html iframe legend li link ' +
    'main menu menuitem nav noframes ol optgroup option p param search section summary table tbody td tfoot th thead ' +
    'title tr track ul'
  ).split(' '),
);
const TAG_NAME = /^<(\/?)([a-z][a-z0-9-]{0,100})(?=[\s>]|\/>|$)/i;
const RAW = new Map([
  ['script', { isCode: false, isHidden: true }],
  ['style', { isCode: false, isHidden: true }],
  ['textarea', { isCode: true, isHidden: false }],
  ['pre', { isCode: true, isHidden: false }],
]);
const RAW_ENDS = ['</script>', '</pre>', '</style>', '</textarea>'];

/** The HTML block that a line starts, its indentation left out. */
export function readHtmlBlock(line: string, canInterruptParagraph: boolean): HtmlBlock | null {
  if (!line.startsWith('<')) return null;
  const [, slash, tag] = TAG_NAME.exec(line.slice(0, 120)) ?? [];
  const name = tag?.toLowerCase();
  const raw = slash === '' && name !== undefined ? RAW.get(name) : undefined;
  if (raw !== undefined) return { until: RAW_ENDS, ...raw };
  if (line.startsWith('<!--')) return { until: ['-->'], isCode: false, isHidden: true };
  if (line.startsWith('<?')) return { until: ['?>'], isCode: true, isHidden: false };
  if (line.startsWith('<![CDATA[')) return { until: [']]>'], isCode: true, isHidden: false };
  if (/^<![a-z]/i.test(line)) return { until: ['>'], isCode: false, isHidden: true };
  const isPlain =
    name !== undefined && (BLOCK_NAMES.has(name) || (!canInterruptParagraph && isLoneTag(line)));
  return isPlain ? { until: null, isCode: false, isHidden: false } : null;
}

export function endsHtmlBlock(block: HtmlBlock, line: string): boolean {
  if (block.until === null) return false;
  const lower = line.toLowerCase();
  return block.until.some((end) => lower.includes(end));
}

/** A single complete tag and nothing after it. Attribute values may hold `>` in quotes. */
function isLoneTag(line: string): boolean {
  let quote = '';
  for (let at = 1; at < line.length; at++) {
    const character = line.charAt(at);
    if (quote !== '') {
      if (character === quote) quote = '';
    } else if (character === '"' || character === "'") quote = character;
    else if (character === '<') return false;
    else if (character === '>') return line.slice(at + 1).trim() === '';
  }
  return false;
}

/** Whether anything is left to read when the tags and comments are taken out. */
export function hasTextOutsideTags(html: string): boolean {
  for (let at = 0; at < html.length; ) {
    if (html.charAt(at) !== '<') {
      if (/[\p{L}\p{N}]/u.test(html.charAt(at))) return true;
      at++;
      continue;
    }
    const close = html.startsWith('<!--', at) ? '-->' : '>';
    const end = html.indexOf(close, at + 1);
    if (end < 0) return false;
    at = end + close.length;
  }
  return false;
}
