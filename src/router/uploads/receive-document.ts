import type { MultipartFile, MultipartValue } from '@fastify/multipart';
import type { FastifyRequest } from 'fastify';
import { BulkheadError, isAbort } from '#app/errors/bulkhead-error.ts';
import { parseRequest } from '#app/http/to-bulkhead-error.ts';
import { type DocumentUpload, documentUploadSchema } from '#app/schemas/vault-document.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import { refuseMismatch } from '#router/http/permissions.ts';
import { checkedFilename } from '#router/uploads/checked-filename.ts';
import { type SpooledFile, spool } from '#router/uploads/spool.ts';

const MAX_FIELD_BYTES = 4_096;
/** Boundaries, part headers and fields around the file. */
const MAX_FRAMING_BYTES = 65_536;
const FIELDS: ReadonlySet<string> = new Set(['title', 'visibility', 'collection', 'tenant_id', 'user_id']);

/** Fields of a form beside its file. */
export type DocumentForm = Readonly<{ knows(name: string): boolean; ignoresOthers: boolean }>;

const NATIVE_FORM: DocumentForm = { knows: (name) => FIELDS.has(name), ignoresOthers: false };

/** As OpenAI's clients send files: what is not known is ignored. */
export const OPENAI_FORM: DocumentForm = {
  knows: (name) => FIELDS.has(name) || name === 'purpose' || name.startsWith('expires_after'),
  ignoresOthers: true,
};
const MEDIA_TYPE = /^[\w!#$&^.+-]{1,100}\/[\w!#$&^.+-]{1,99}$/;

export type ReceivedDocument = Readonly<{
  upload: DocumentUpload;
  /** The form's other fields, as they came. */
  fields: ReadonlyMap<string, string>;
  file: SpooledFile;
}>;

/**
 * Reads a multipart form: one `file`, and `title`, `visibility` and `collection` before or after it. The file goes to disk
 * first: what follows it in the form may still refuse it. Throws a 4xx that names the field, and keeps nothing.
 */
export async function receiveDocument(options: {
  request: FastifyRequest;
  context: TenantContext;
  maxBytes: number;
  form?: DocumentForm;
  signal: AbortSignal;
}): Promise<ReceivedDocument> {
  const { request, context, maxBytes, form = NATIVE_FORM, signal } = options;
  if (!request.isMultipart()) {
    throw new BulkheadError('unsupported_media_type', 'Send the document as multipart/form-data.', {
      param: 'content-type',
    });
  }
  if (Number(request.headers['content-length'] ?? 0) > maxBytes + MAX_FRAMING_BYTES) throw tooLarge(maxBytes);

  const fields = new Map<string, string>();
  let received: { file: SpooledFile; filename: string; mediaType: string } | undefined;
  try {
    const limits = {
      files: 1,
      fileSize: maxBytes,
      fields: 16,
      fieldSize: MAX_FIELD_BYTES,
      parts: 20,
      headerPairs: 50,
      headerSize: 8_192,
    };
    for await (const part of request.parts({ limits, preservePath: true })) {
      if (part.type === 'file') {
        received = await receiveFile(part, maxBytes, signal);
      } else {
        takeField(fields, part, form);
      }
    }
    if (received === undefined) throw invalid('file', 'a file is needed');
    refuseMismatch('tenant_id', fields.get('tenant_id'), context.tenantId);
    refuseMismatch('user_id', fields.get('user_id'), context.userId);
    const upload = uploadOf(fields, received.filename, received.mediaType, context);
    return { upload, fields, file: received.file };
  } catch (error) {
    await received?.file.dispose();
    throw toRequestError(error, maxBytes, signal);
  }
}

async function receiveFile(part: MultipartFile, maxBytes: number, signal: AbortSignal) {
  if (part.fieldname !== 'file')
    throw invalid(part.fieldname, 'is not a known field; the file is named file');
  const filename = checkedFilename(part.filename, 'file');
  const mediaType = MEDIA_TYPE.test(part.mimetype) ? part.mimetype.toLowerCase() : 'application/octet-stream';
  const file = await spool(part.file, signal);
  if (part.file.truncated) {
    await file.dispose();
    throw tooLarge(maxBytes);
  }
  if (file.byteSize === 0) {
    await file.dispose();
    throw invalid('file', 'the file is empty');
  }
  return { file, filename, mediaType };
}

function takeField(fields: Map<string, string>, part: MultipartValue, form: DocumentForm): void {
  const { fieldname: name, value } = part;
  if (name === 'file') throw invalid('file', 'must be a file with a filename');
  if (!form.knows(name)) {
    if (form.ignoresOthers) return;
    throw invalid(name.slice(0, 100), 'is not a known field');
  }
  if (fields.has(name)) throw invalid(name, 'was sent more than once');
  if (typeof value !== 'string') throw invalid(name, 'must be text');
  if (part.valueTruncated) throw invalid(name, `is longer than ${MAX_FIELD_BYTES} bytes`);
  if (value.includes('\ufffd')) {
    throw new BulkheadError('invalid_encoding', `${name}: is not valid UTF-8`, { param: name });
  }
  if (/\p{Cc}/u.test(value)) throw invalid(name, 'must not hold control characters');
  fields.set(name, value);
}

function uploadOf(
  fields: ReadonlyMap<string, string>,
  filename: string,
  mediaType: string,
  context: TenantContext,
): DocumentUpload {
  const title = fields.get('title');
  const collection = fields.get('collection');
  const upload = parseRequest(documentUploadSchema, {
    filename,
    media_type: mediaType,
    visibility: fields.get('visibility') ?? 'private',
    ...(title === undefined ? {} : { title }),
    ...(collection === undefined ? {} : { collection }),
  });
  if (upload.visibility === 'tenant' && !context.scopes.includes('vault:share')) {
    throw new BulkheadError('missing_scope', 'The credential lacks the scope vault:share.', {
      param: 'visibility',
      refusal: { policy: 'scopes' },
    });
  }
  return upload;
}

const invalid = (param: string, reason: string) =>
  new BulkheadError('invalid_request', `${param}: ${reason}`, { param });

const tooLarge = (maxBytes: number) =>
  new BulkheadError('body_too_large', `The file is larger than ${maxBytes} bytes.`, { param: 'file' });

const BY_MULTIPART_CODE: Readonly<Record<string, (maxBytes: number) => BulkheadError>> = {
  FST_REQ_FILE_TOO_LARGE: tooLarge,
  FST_FILES_LIMIT: () => invalid('file', 'one file at a time'),
  FST_FIELDS_LIMIT: () => invalid('body', 'the form has too many fields'),
  FST_PARTS_LIMIT: () => invalid('body', 'the form has too many parts'),
  FST_PROTO_VIOLATION: () => invalid('body', 'the form has a field name that is not allowed'),
  FST_INVALID_JSON_FIELD_ERROR: () => invalid('body', 'a field of the form must be text'),
};

/** Every failure to read a form is the sender's, but for those of the disk. */
function toRequestError(error: unknown, maxBytes: number, signal: AbortSignal): unknown {
  if (error instanceof BulkheadError || isAbort(error) || signal.aborted) return error;
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  const known = BY_MULTIPART_CODE[code];
  if (known !== undefined) return known(maxBytes);
  if (error instanceof Error && 'syscall' in error) return error;
  return new BulkheadError('invalid_request', 'The form is not valid multipart/form-data.', {
    param: 'body',
    cause: error,
  });
}
