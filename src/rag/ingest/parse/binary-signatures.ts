type Signature = Readonly<{ name: string; bytes: string; at?: number }>;

/**
 * First bytes of formats that are often uploaded under another name, as Latin-1 text. Sources: the formats'
 * own specifications, as collected in file(1)'s magic and Wikipedia's list of file signatures.
 */
const SIGNATURES: readonly Signature[] = [
  { name: 'ZIP', bytes: 'PK\x03\x04' },
  { name: 'ZIP', bytes: 'PK\x05\x06' },
  { name: 'OLE', bytes: '\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1' },
  { name: 'PNG', bytes: '\x89PNG\r\n\x1a\n' },
  { name: 'JPEG', bytes: '\xff\xd8\xff' },
  { name: 'GIF', bytes: 'GIF87a' },
  { name: 'GIF', bytes: 'GIF89a' },
  { name: 'WebP', bytes: 'WEBP', at: 8 },
  { name: 'TIFF', bytes: 'II*\0' },
  { name: 'TIFF', bytes: 'MM\0*' },
  { name: 'icon', bytes: '\0\0\x01\0' },
  { name: 'Photoshop', bytes: '8BPS' },
  { name: 'program', bytes: '\x7fELF' },
  { name: 'program', bytes: '\xcf\xfa\xed\xfe' },
  { name: 'program', bytes: '\xce\xfa\xed\xfe' },
  { name: 'program', bytes: '\xca\xfe\xba\xbe' },
  { name: 'WebAssembly', bytes: '\0asm' },
  { name: 'gzip', bytes: '\x1f\x8b\x08' },
  { name: 'bzip2', bytes: 'BZh' },
  { name: 'xz', bytes: '\xfd7zXZ\0' },
  { name: 'Zstandard', bytes: '\x28\xb5\x2f\xfd' },
  { name: '7-Zip', bytes: '7z\xbc\xaf\x27\x1c' },
  { name: 'RAR', bytes: 'Rar!\x1a\x07' },
  { name: 'tar', bytes: 'ustar', at: 257 },
  { name: 'SQLite', bytes: 'SQLite format 3\0' },
  { name: 'Parquet', bytes: 'PAR1' },
  { name: 'MP3', bytes: 'ID3' },
  { name: 'MP4', bytes: 'ftyp', at: 4 },
  { name: 'Ogg', bytes: 'OggS' },
  { name: 'Matroska', bytes: '\x1aE\xdf\xa3' },
  { name: 'RIFF', bytes: 'RIFF' },
  { name: 'font', bytes: 'OTTO\0' },
  { name: 'font', bytes: 'wOFF' },
  { name: 'font', bytes: 'wOF2' },
  { name: 'RTF', bytes: '{\\rtf' },
  { name: 'PostScript', bytes: '%!PS' },
];

/** These begin with letters that a text may begin with too: a NUL near the start tells them apart. */
const NEED_NUL = new Set(['bzip2', 'RIFF', 'MP4', 'WebP', 'MP3', 'Parquet', 'Photoshop', 'tar']);

/** The binary format that a file's head shows, or null where it may be text. */
export function nameBinaryFormat(head: Uint8Array): string | null {
  const latin1 = Buffer.from(head.buffer, head.byteOffset, head.byteLength).toString('latin1');
  // PDF readers accept up to a kilobyte before the header.
  if (latin1.slice(0, 1_024 + 5).includes('%PDF-')) return 'PDF';
  const hasNul = latin1.includes('\0');
  for (const { name, bytes, at } of SIGNATURES) {
    if (latin1.startsWith(bytes, at ?? 0) && (hasNul || !NEED_NUL.has(name))) return name;
  }
  if (latin1.startsWith('MZ') && hasNul) return 'program';
  return null;
}
