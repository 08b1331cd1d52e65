import { type Answer, at, call, eventually, listAt, textAt } from './http-client.ts';

export type Upload = {
  filename: string;
  content: string | Uint8Array;
  mediaType?: string;
  fields?: Readonly<Record<string, string>>;
};

/** Sends a document as a multipart form, fields first. */
export function upload(
  url: string,
  key: string,
  { filename, content, mediaType, fields }: Upload,
): Promise<Answer> {
  const form = new FormData();
  for (const [name, value] of Object.entries(fields ?? {})) form.append(name, value);
  // A copy on an ArrayBuffer of its own: a Blob takes no shared memory.
  const part = typeof content === 'string' ? content : new Uint8Array(content);
  form.append('file', new Blob([part], { type: mediaType ?? 'text/plain' }), filename);
  return call(url, 'POST /v1/vault/documents', { key, body: form });
}

/** Uploads a document and waits until it can be searched. Gives its id. */
export async function addDocument(url: string, key: string, document: Upload): Promise<string> {
  const answer = await upload(url, key, document);
  if (answer.status !== 201) throw new Error(`The upload was refused: ${answer.status} ${answer.text}`);
  const id = textAt(answer.json, 'document_id');
  const status = await documentSettled(url, key, id);
  if (status !== 'ready') throw new Error(`${document.filename} ended ${status}.`);
  return id;
}

/** Waits until indexing has ended, and tells how: `ready` or `failed`. */
export function documentSettled(url: string, key: string, id: string): Promise<string> {
  return eventually(`document ${id}`, async () => {
    const { json } = await call(url, `GET /v1/vault/documents/${id}`, { key });
    const status = at(json, 'status');
    return status === 'ready' || status === 'failed' ? status : undefined;
  });
}

/** Every document that the caller sees, over all pages. */
export async function listDocuments(url: string, key: string): Promise<unknown[]> {
  const documents: unknown[] = [];
  for (let after = ''; ; ) {
    const { json } = await call(url, `GET /v1/vault/documents?limit=100${after}`, { key });
    documents.push(...listAt(json, 'data'));
    if (at(json, 'has_more') !== true) return documents;
    after = `&after=${textAt(json, 'last_id')}`;
  }
}
