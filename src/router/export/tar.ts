/** One file of an archive. The body is exactly `size` bytes. */
export type TarEntry = Readonly<{
  /** ASCII, at most 100 characters, relative, without `..`. */
  path: string;
  size: number;
  body: AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
}>;

const BLOCK = 512;
/** Eleven octal digits. */
const MAX_SIZE = 8 ** 11 - 1;
const SAFE_PATH = /^(?!\/)(?!.*(?:^|\/)\.\.?(?:\/|$))[A-Za-z0-9._/-]{1,100}$/;

/**
 * A POSIX ustar archive, piece by piece: nothing is held but what is passed on. Throws where a body is not as long as its
 * entry said, because then the archive cannot be right any more.
 *
 * @see https://pubs.opengroup.org/onlinepubs/9699919799/utilities/pax.html (ustar interchange format)
 */
export async function* tarOf(
  entries: AsyncIterable<TarEntry>,
  modifiedAt: Date,
): AsyncGenerator<Uint8Array, void> {
  for await (const { path, size, body } of entries) {
    yield headerOf(path, size, modifiedAt);
    let written = 0;
    for await (const piece of body) {
      written += piece.byteLength;
      if (written > size) throw new RangeError(`${path} is longer than ${size} bytes.`);
      yield piece;
    }
    if (written !== size) throw new RangeError(`${path} has ${written} bytes, not ${size}.`);
    const padding = (BLOCK - (size % BLOCK)) % BLOCK;
    if (padding > 0) yield new Uint8Array(padding);
  }
  yield new Uint8Array(2 * BLOCK);
}

function headerOf(path: string, size: number, modifiedAt: Date): Uint8Array {
  if (!SAFE_PATH.test(path)) throw new RangeError(`${path} is no path for an archive.`);
  if (!Number.isSafeInteger(size) || size < 0 || size > MAX_SIZE)
    throw new RangeError(`${path} is too large.`);
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number) => value.toString(8).padStart(digits, '0');
  header.write(path, 0, 'ascii');
  header.write(`${octal(0o600, 7)}\0`, 100, 'ascii');
  header.write(`${octal(0, 7)}\0`, 108, 'ascii');
  header.write(`${octal(0, 7)}\0`, 116, 'ascii');
  header.write(`${octal(size, 11)}\0`, 124, 'ascii');
  header.write(`${octal(Math.floor(modifiedAt.getTime() / 1_000), 11)}\0`, 136, 'ascii');
  // The checksum counts its own field as spaces.
  header.write('        0', 148, 'ascii');
  header.write('ustar\x0000', 257, 'ascii');
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${octal(sum, 6)}\0 `, 148, 'ascii');
  return header;
}
