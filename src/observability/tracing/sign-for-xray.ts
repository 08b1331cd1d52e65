import { createHash, createHmac } from 'node:crypto';
import type { SignRequest } from '#observability/tracing/otlp-exporter.ts';

const SERVICE = 'xray';

/**
 * Signs requests to X-Ray's OTLP endpoint with Signature Version 4 and the credentials of the SDK's default chain, which the
 * client renews before they expire. The role needs `xray:PutTraceSegments` (AWSXrayWriteOnlyAccess).
 */
export async function createXRaySigner(region: string): Promise<SignRequest> {
  const [{ SignatureV4 }, { defaultProvider }] = await Promise.all([
    import('@smithy/signature-v4'),
    import('@aws-sdk/credential-provider-node'),
  ]);
  const signer = new SignatureV4({
    service: SERVICE,
    region,
    credentials: defaultProvider(),
    sha256: Sha256,
  });
  return async ({ url, headers, body }) => {
    const signed = await signer.sign({
      method: 'POST',
      protocol: url.protocol,
      hostname: url.hostname,
      ...(url.port === '' ? {} : { port: Number(url.port) }),
      path: url.pathname,
      query: {},
      headers: { ...headers, host: url.host },
      body,
    });
    return { ...signed.headers };
  };
}

/** The hash that the signer is given: Node's own. */
class Sha256 {
  readonly #hash: ReturnType<typeof createHash> | ReturnType<typeof createHmac>;

  constructor(secret?: string | ArrayBuffer | ArrayBufferView) {
    this.#hash = secret === undefined ? createHash('sha256') : createHmac('sha256', bytesOf(secret));
  }

  update(data: string | ArrayBuffer | ArrayBufferView): void {
    this.#hash.update(bytesOf(data));
  }

  async digest(): Promise<Uint8Array> {
    return this.#hash.digest();
  }

  reset(): void {}
}

function bytesOf(data: string | ArrayBuffer | ArrayBufferView): Buffer {
  if (typeof data === 'string') return Buffer.from(data);
  if (ArrayBuffer.isView(data)) return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return Buffer.from(data);
}
