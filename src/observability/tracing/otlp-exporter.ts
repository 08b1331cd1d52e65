import { ProtobufTraceSerializer } from '@opentelemetry/otlp-transformer';
import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import { Agent, request } from 'undici';
import { withErrorListener } from '#app/faults/with-error-listener.ts';

/** Adds what a request needs to be accepted: a signature, for X-Ray. */
export type SignRequest = (options: {
  url: URL;
  headers: Readonly<Record<string, string>>;
  body: Uint8Array;
}) => Promise<Record<string, string>>;

type ExportCallback = Parameters<SpanExporter['export']>[1];

/** `ExportResultCode` of OpenTelemetry's core package. */
const SUCCESS = 0;
const FAILED = 1;
/** The most of a collector's complaint that goes to the log. */
const MAX_COMPLAINT_CHARACTERS = 300;

/**
 * Sends spans by OTLP over HTTP as Protobuf, one call at a time. A call that fails is not repeated: the spans are lost, and
 * `onResult` learns of it. The SDK's own exporter cannot sign a body, which X-Ray's endpoint demands.
 * https://opentelemetry.io/docs/specs/otlp/#otlphttp
 */
export function createOtlpExporter(options: {
  /** Up to and with `/v1/traces`. */
  url: string;
  headers: Readonly<Record<string, string>>;
  timeoutMs: number;
  sign?: SignRequest;
  onResult: (error: Error | null, spans: number) => void;
}): SpanExporter {
  const { headers, timeoutMs, sign, onResult } = options;
  const url = new URL(options.url);
  const agent = withErrorListener(new Agent({ connections: 1, connect: { timeout: timeoutMs } }));

  async function send(spans: ReadableSpan[]): Promise<void> {
    const body = ProtobufTraceSerializer.serializeRequest(spans);
    if (body === undefined) throw new Error('The spans could not be serialized.');
    const plain = { ...headers, 'content-type': 'application/x-protobuf' };
    const signed = sign === undefined ? plain : await sign({ url, headers: plain, body });
    const response = await request(url, {
      method: 'POST',
      headers: signed,
      body,
      dispatcher: agent,
      signal: AbortSignal.timeout(timeoutMs),
    });
    if (response.statusCode < 300) {
      await response.body.dump();
      return;
    }
    const complaint = (await response.body.text()).slice(0, MAX_COMPLAINT_CHARACTERS);
    throw new Error(`The collector answered ${response.statusCode}: ${complaint}`);
  }

  return {
    export(spans: ReadableSpan[], done: ExportCallback) {
      send(spans).then(
        () => {
          onResult(null, spans.length);
          done({ code: SUCCESS });
        },
        (cause: unknown) => {
          const error = cause instanceof Error ? cause : new Error(String(cause));
          onResult(error, spans.length);
          done({ code: FAILED, error });
        },
      );
    },
    forceFlush: async () => {},
    async shutdown() {
      await agent.destroy();
    },
  };
}
