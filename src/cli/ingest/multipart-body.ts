import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { withErrorListener } from '#app/faults/with-error-listener.ts';

/** What a form field's name or filename may not hold, written as browsers write it. */
const escaped = (text: string): string =>
  text.replaceAll('"', '%22').replaceAll('\r', '%0D').replaceAll('\n', '%0A');

/** A `multipart/form-data` body of a few fields and one file, read from disk as it is sent. */
export function multipartBody(options: {
  fields: Readonly<Record<string, string>>;
  file: { path: string; filename: string; mediaType: string };
  /** Told how many bytes of the file have been handed to the connection. */
  onProgress?: (bytes: number) => void;
}): { stream: ReadableStream<Uint8Array>; contentType: string } {
  const { fields, file, onProgress } = options;
  const boundary = `bulkhead-${randomUUID()}`;

  async function* parts(): AsyncGenerator<Uint8Array> {
    for (const [name, value] of Object.entries(fields)) {
      const head = `--${boundary}\r\ncontent-disposition: form-data; name="${escaped(name)}"\r\n\r\n`;
      yield Buffer.from(`${head}${value}\r\n`);
    }
    yield Buffer.from(
      `--${boundary}\r\ncontent-disposition: form-data; name="file"; filename="${escaped(file.filename)}"\r\n` +
        `content-type: ${file.mediaType}\r\n\r\n`,
    );
    let sent = 0;
    for await (const chunk of withErrorListener(createReadStream(file.path))) {
      const bytes: Buffer = Buffer.isBuffer(chunk) ? chunk : Buffer.from(String(chunk));
      yield bytes;
      sent += bytes.length;
      onProgress?.(sent);
    }
    yield Buffer.from(`\r\n--${boundary}--\r\n`);
  }

  return {
    stream: ReadableStream.from(parts()),
    contentType: `multipart/form-data; boundary=${boundary}`,
  };
}

const MEDIA_TYPES: Readonly<Record<string, string>> = {
  md: 'text/markdown',
  markdown: 'text/markdown',
  txt: 'text/plain',
  html: 'text/html',
  htm: 'text/html',
  pdf: 'application/pdf',
  docx: 'application/vnd.openxmlformats-officedocument.wordprocessingml.document',
  csv: 'text/csv',
  json: 'application/json',
};

/** The media type by the file's ending; the server looks at the bytes as well. */
export const mediaTypeOf = (filename: string): string =>
  MEDIA_TYPES[filename.split('.').at(-1)?.toLowerCase() ?? ''] ?? 'application/octet-stream';
