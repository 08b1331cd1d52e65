import { createInterface } from 'node:readline/promises';
import { isAbort } from '#app/errors/bulkhead-error.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { MultiTenantChatResponse } from '#app/schemas/multi-tenant-chat-request.ts';
import type { ApiClient } from '#cli/api-client.ts';
import { runTurn, type TurnSettings } from '#cli/chat/run-turn.ts';
import { CliError } from '#cli/cli-error.ts';
import { type CliIo, writeLine } from '#cli/cli-io.ts';

/**
 * A conversation: a question a line, until `/exit` or the end of the input. Ctrl-C stops the answer; at the
 * prompt it ends the conversation. Questions may be piped in.
 */
export async function runChatLoop(options: {
  io: CliIo;
  api: ApiClient;
  settings: TurnSettings;
  conversationId: string | undefined;
  onText: (text: string) => void;
  print: (answer: MultiTenantChatResponse) => void;
}): Promise<void> {
  const { io, api, settings, onText, print } = options;
  let conversationId = options.conversationId;
  const terminal = io.stdin.isTTY === true;
  const lines = withErrorListener(
    createInterface({
      input: io.stdin,
      ...(terminal ? { output: io.stderr } : {}),
      terminal,
      prompt: '> ',
    }),
  );
  let turn: AbortController | null = null;
  const interrupt = () => {
    if (turn === null) lines.close();
    else turn.abort();
  };
  // In a terminal readline catches Ctrl-C itself; otherwise the signal comes to the process.
  lines.on('SIGINT', interrupt);
  const stopListening = io.onInterrupt(interrupt);
  if (terminal) {
    writeLine(io.stderr, `Ask about the documents. /new starts another conversation, /exit ends.`);
    lines.prompt();
  }
  try {
    for await (const line of lines) {
      const question = line.trim();
      if (question === '/exit' || question === '/quit') break;
      if (question === '/new') conversationId = undefined;
      else if (question !== '') {
        turn = new AbortController();
        try {
          const { signal } = turn;
          const answer = await runTurn({ api, question, settings, conversationId, onText, signal });
          conversationId = answer.conversation_id;
          print(answer);
        } catch (error) {
          // A refusal or a stop ends the turn, not the conversation; piped input must not go on unnoticed.
          if (isAbort(error)) writeLine(io.stderr, '\n(stopped)');
          else if (error instanceof CliError && terminal) writeLine(io.stderr, error.message);
          else throw error;
        } finally {
          turn = null;
        }
      }
      if (terminal) lines.prompt();
    }
  } finally {
    stopListening();
    lines.close();
  }
}
