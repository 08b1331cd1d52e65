import { createHash } from 'node:crypto';
import { deflateSync } from 'node:zlib';

/** A line of text in Helvetica, or Courier for code. Lengths are in points from the page's lower left corner. */
export type PdfTextLine = { text: string; x?: number; y: number; size?: number; isCode?: boolean };

export type PdfOptions = {
  title?: string;
  /** What the page tree claims, whatever it holds. */
  declaredPages?: number;
  /** Further objects, by number from 1,000 on, and what the catalog says of them. */
  extraObjects?: ReadonlyMap<number, string>;
  catalog?: string;
  /** Encrypts with RC4, 40 bits (PDF 1.7, 7.6, revision 2), with this user password. */
  userPassword?: string;
  /** Resources of every page besides its font. */
  resources?: string;
};

/** A PDF 1.4 file, one page for each list of lines or each raw content stream. Text is Latin-1. */
export function makePdf(
  pages: readonly (readonly PdfTextLine[] | Buffer)[],
  options: PdfOptions = {},
): Buffer {
  const crypt = options.userPassword === undefined ? null : encryption(options.userPassword);
  const objects = new Map<number, Buffer>();
  const latin1 = (text: string) => Buffer.from(text, 'latin1');
  const stream = (number: number, content: Buffer): Buffer => {
    const deflated = deflateSync(content, { level: 9 });
    const data = crypt === null ? deflated : crypt.encrypt(number, deflated);
    return Buffer.concat([
      latin1(`<< /Length ${data.length} /Filter /FlateDecode >>\nstream\n`),
      data,
      latin1('\nendstream'),
    ]);
  };
  const string = (number: number, text: string): string => {
    const data = crypt === null ? latin1(text) : crypt.encrypt(number, latin1(text));
    return `<${data.toString('hex')}>`;
  };

  const pageNumber = (index: number) => 10 + index * 2;
  const kids = pages.map((_, index) => `${pageNumber(index)} 0 R`).join(' ');
  objects.set(1, latin1(`<< /Type /Catalog /Pages 2 0 R ${options.catalog ?? ''} >>`));
  objects.set(
    2,
    latin1(`<< /Type /Pages /Kids [${kids}] /Count ${options.declaredPages ?? pages.length} >>`),
  );
  objects.set(3, latin1('<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>'));
  objects.set(6, latin1('<< /Type /Font /Subtype /Type1 /BaseFont /Courier /Encoding /WinAnsiEncoding >>'));
  objects.set(4, latin1(`<< /Title ${string(4, options.title ?? '')} >>`));
  pages.forEach((page, index) => {
    const number = pageNumber(index);
    objects.set(
      number,
      latin1(
        `<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents ${number + 1} 0 R /Resources << /Font << /F1 3 0 R /F2 6 0 R >> ${options.resources ?? ''} >> >>`,
      ),
    );
    objects.set(number + 1, stream(number + 1, Buffer.isBuffer(page) ? page : latin1(drawing(page))));
  });
  for (const [number, content] of options.extraObjects ?? []) objects.set(number, latin1(content));
  if (crypt !== null) objects.set(5, latin1(crypt.dictionary));

  const body: Buffer[] = [latin1('%PDF-1.4\n%\xe2\xe3\xcf\xd3\n')];
  const offsets = new Map<number, number>();
  let length = body[0]?.length ?? 0;
  for (const [number, content] of objects) {
    const object = Buffer.concat([latin1(`${number} 0 obj\n`), content, latin1('\nendobj\n')]);
    offsets.set(number, length);
    body.push(object);
    length += object.length;
  }
  const size = Math.max(...objects.keys()) + 1;
  const sections = [...offsets].map(
    ([number, offset]) => `${number} 1\n${String(offset).padStart(10, '0')} 00000 n \n`,
  );
  const encrypt = crypt === null ? '' : `/Encrypt 5 0 R /ID [<${crypt.id}> <${crypt.id}>]`;
  const trailer = `xref\n0 1\n0000000000 65535 f \n${sections.join('')}trailer\n<< /Size ${size} /Root 1 0 R /Info 4 0 R ${encrypt} >>\nstartxref\n${length}\n%%EOF\n`;
  return Buffer.concat([...body, latin1(trailer)]);
}

/** Lines from the top of a page downwards, 14 points apart, as one paragraph is set. */
export const pdfLines = (top: number, ...texts: string[]): PdfTextLine[] =>
  texts.map((text, index) => ({ text, y: top - index * 14 }));

/** A page of forms that each draw the next one ten times: a small PDF that shows `word` 10^(depth - 1) times. */
export function makeFormsInForms(depth: number): Buffer {
  const extraObjects = new Map<number, string>();
  for (let level = 0; level < depth; level++) {
    const isLast = level === depth - 1;
    const body = isLast ? 'BT /F1 9 Tf (word) Tj ET' : `/X${level + 1} Do `.repeat(10);
    const next = isLast ? '' : `/XObject << /X${level + 1} ${1_001 + level} 0 R >>`;
    extraObjects.set(
      1_000 + level,
      `<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /Font << /F1 3 0 R >> ${next} >> /Length ${body.length} >>\nstream\n${body}\nendstream`,
    );
  }
  return makePdf([Buffer.from('/X0 Do')], { extraObjects, resources: '/XObject << /X0 1000 0 R >>' });
}

const drawing = (lines: readonly PdfTextLine[]): string =>
  lines
    .map(({ text, x = 72, y, size = 12, isCode = false }) => {
      const escaped = text.replace(/[\\()]/g, '\\$&');
      return `BT /${isCode ? 'F2' : 'F1'} ${size} Tf 1 0 0 1 ${x} ${y} Tm (${escaped}) Tj ET`;
    })
    .join('\n');

const PADDING = Buffer.from('28bf4e5e4e758a4164004e56fffa01082e2e00b6d0683e802f0ca9fe6453697a', 'hex');
const PERMISSIONS = -4;

/** The standard security handler's revision 2 (PDF 1.7, 7.6.3). */
function encryption(userPassword: string) {
  const pad = (password: string) => Buffer.concat([Buffer.from(password, 'latin1'), PADDING]).subarray(0, 32);
  const md5 = (...parts: Buffer[]) => createHash('md5').update(Buffer.concat(parts)).digest();
  const id = md5(Buffer.from('an id')).toString('hex');
  const owner = rc4(md5(pad('owner')).subarray(0, 5), pad(userPassword));
  const permissions = Buffer.alloc(4);
  permissions.writeInt32LE(PERMISSIONS);
  const key = md5(pad(userPassword), owner, permissions, Buffer.from(id, 'hex')).subarray(0, 5);
  const user = rc4(key, PADDING);
  return {
    id,
    dictionary: `<< /Filter /Standard /V 1 /R 2 /O <${owner.toString('hex')}> /U <${user.toString('hex')}> /P ${PERMISSIONS} >>`,
    encrypt(object: number, data: Buffer): Buffer {
      const salt = Buffer.from([object & 255, (object >> 8) & 255, (object >> 16) & 255, 0, 0]);
      return rc4(md5(key, salt).subarray(0, 10), data);
    },
  };
}

/** RC4 in place of `node:crypto`'s, which OpenSSL 3 has retired. */
function rc4(key: Buffer, data: Buffer): Buffer {
  const state = Uint8Array.from({ length: 256 }, (_, index) => index);
  const at = (index: number) => state[index & 255] ?? 0;
  const swap = (one: number, other: number) => {
    const kept = at(one);
    state[one & 255] = at(other);
    state[other & 255] = kept;
  };
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + at(i) + (key[i % key.length] ?? 0)) & 255;
    swap(i, j);
  }
  let i = 0;
  let j = 0;
  return Buffer.from(
    data.map((byte) => {
      i = (i + 1) & 255;
      j = (j + at(i)) & 255;
      swap(i, j);
      return byte ^ at(at(i) + at(j));
    }),
  );
}
