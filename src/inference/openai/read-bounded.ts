/** At most so many bytes, and what the packet that exceeds them holds, as text; the rest is cut off with the connection. */
export async function readBounded(body: AsyncIterable<unknown>, maxBytes: number): Promise<string> {
  const decoder = new TextDecoder();
  let text = '';
  let bytes = 0;
  for await (const chunk of body) {
    if (!(chunk instanceof Uint8Array)) continue;
    text += decoder.decode(chunk, { stream: true });
    bytes += chunk.byteLength;
    if (bytes > maxBytes) break;
  }
  return text;
}
