import { z } from 'zod';
import {
  type MultiTenantChatResponse,
  multiTenantChatResponseSchema,
} from '#app/schemas/multi-tenant-chat-request.ts';
import type { ApiClient } from '#cli/api-client.ts';
import { apiErrorOf } from '#cli/api-error.ts';
import { CliError } from '#cli/cli-error.ts';
import { printable } from '#cli/cli-io.ts';

export type TurnSettings = { route: 'rag' | 'chat'; document_ids?: string[]; collection?: string };

const deltaSchema = z.object({ text: z.string() });

/** One turn over the native API, streamed: `onText` gets the answer as it comes. */
export async function runTurn(options: {
  api: ApiClient;
  question: string;
  settings: TurnSettings;
  conversationId: string | undefined;
  onText: (text: string) => void;
  signal: AbortSignal;
}): Promise<MultiTenantChatResponse> {
  const { api, question, settings, conversationId, onText, signal } = options;
  const events = api.stream('/v1/chat', {
    method: 'POST',
    json: {
      message: question,
      ...settings,
      ...(conversationId === undefined ? {} : { conversation_id: conversationId }),
      stream: true,
    },
    signal,
  });
  for await (const { event, data } of events) {
    if (event === 'delta') {
      const delta = deltaSchema.safeParse(data);
      if (delta.success) onText(printable(delta.data.text));
    } else if (event === 'error') {
      throw apiErrorOf(200, data, null);
    } else if (event === 'answer') {
      const answer = multiTenantChatResponseSchema.safeParse(data);
      if (!answer.success) throw new CliError('The answer is not understood.', { cause: answer.error });
      return answer.data;
    }
  }
  throw new CliError('The connection ended before the answer was complete.');
}
