import type { MultiTenantChatResponse } from '#app/schemas/multi-tenant-chat-request.ts';
import { type Output, printable, writeLine } from '#cli/cli-io.ts';
import { describePlace } from '#cli/output/describe-place.ts';

/** What follows the streamed text: where it comes from, and which engine wrote it. */
export function printAnswer(output: Output, answer: MultiTenantChatResponse): void {
  writeLine(output);
  if (answer.citations.length > 0) {
    writeLine(output);
    for (const citation of answer.citations) {
      writeLine(output, `  [${citation.index}] ${printable(describePlace(citation))}`);
    }
  }
  const { total_tokens } = answer.token_usage;
  const engine =
    answer.engine === 'extractive' ? 'extractive: sentences quoted from the documents' : answer.model;
  writeLine(output);
  writeLine(
    output,
    `  ${printable(engine)} · ${total_tokens} tokens · ${(answer.latency_ms / 1000).toFixed(1)} s`,
  );
}
