import { makeZip, type ZipEntry } from './make-zip.ts';

const TYPES =
  '<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Default Extension="xml" ContentType="application/xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/></Types>';
const RELATION = 'http://schemas.openxmlformats.org/officeDocument/2006/relationships';
const relationships = (inner: string): string =>
  `<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">${inner}</Relationships>`;
const STYLES = ['Title', 'Heading1', 'Heading2', 'Heading3']
  .map((id) => {
    const name = id === 'Title' ? id : id.replace('Heading', 'heading ');
    return `<w:style w:type="paragraph" w:styleId="${id}"><w:name w:val="${name}"/></w:style>`;
  })
  .join('');
const MAIN = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"';
const NUMBERING = `<?xml version="1.0"?><w:numbering ${MAIN}><w:abstractNum w:abstractNumId="0"><w:lvl w:ilvl="0"><w:numFmt w:val="bullet"/></w:lvl></w:abstractNum><w:num w:numId="1"><w:abstractNumId w:val="0"/></w:num></w:numbering>`;

const escapeXml = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');

const run = (text: string): string => `<w:r><w:t xml:space="preserve">${escapeXml(text)}</w:t></w:r>`;

/** A paragraph of a Word document, in a style of `Title` or `Heading1` to `Heading3` where one is named. */
export const docxParagraph = (text: string, style?: string): string =>
  `<w:p>${style === undefined ? '' : `<w:pPr><w:pStyle w:val="${style}"/></w:pPr>`}${run(text)}</w:p>`;

export const docxListItem = (text: string): string =>
  `<w:p><w:pPr><w:numPr><w:ilvl w:val="0"/><w:numId w:val="1"/></w:numPr></w:pPr>${run(text)}</w:p>`;

export const docxTable = (rows: readonly (readonly string[])[]): string =>
  `<w:tbl>${rows.map((cells) => `<w:tr>${cells.map((cell) => `<w:tc>${docxParagraph(cell)}</w:tc>`).join('')}</w:tr>`).join('')}</w:tbl>`;

/**
 * The files of a Word document whose body is the given WordprocessingML. `prologue` comes before the root
 * element; `relations` are the document's own, as XML.
 */
export function docxEntries(
  body: string,
  options: { prologue?: string; relations?: string; title?: string } = {},
): ZipEntry[] {
  const document = `<?xml version="1.0"?>${options.prologue ?? ''}<w:document ${MAIN} xmlns:r="${RELATION}" xmlns:wp="http://schemas.openxmlformats.org/drawingml/2006/wordprocessingDrawing" xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"><w:body>${body}</w:body></w:document>`;
  return [
    { name: '[Content_Types].xml', content: TYPES },
    {
      name: '_rels/.rels',
      content: relationships(
        `<Relationship Id="r1" Type="${RELATION}/officeDocument" Target="word/document.xml"/>`,
      ),
    },
    { name: 'word/document.xml', content: document },
    { name: 'word/styles.xml', content: `<?xml version="1.0"?><w:styles ${MAIN}>${STYLES}</w:styles>` },
    { name: 'word/numbering.xml', content: NUMBERING },
    {
      name: 'word/_rels/document.xml.rels',
      content: relationships(
        `<Relationship Id="s" Type="${RELATION}/styles" Target="styles.xml"/><Relationship Id="n" Type="${RELATION}/numbering" Target="numbering.xml"/>${options.relations ?? ''}`,
      ),
    },
    ...(options.title === undefined
      ? []
      : [
          {
            name: 'docProps/core.xml',
            content: `<?xml version="1.0"?><cp:coreProperties xmlns:cp="http://schemas.openxmlformats.org/package/2006/metadata/core-properties" xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>${escapeXml(options.title)}</dc:title></cp:coreProperties>`,
          },
        ]),
  ];
}

export const makeDocx = (...[body, options]: Parameters<typeof docxEntries>): Buffer =>
  makeZip(docxEntries(body, options));
