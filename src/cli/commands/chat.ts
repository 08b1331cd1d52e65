import type { Command } from 'commander';
import { conversationIdSchema } from '#app/ids.ts';
import type { MultiTenantChatResponse } from '#app/schemas/multi-tenant-chat-request.ts';
import { runChatLoop } from '#cli/chat/chat-loop.ts';
import { printAnswer } from '#cli/chat/print-answer.ts';
import { runTurn, type TurnSettings } from '#cli/chat/run-turn.ts';
import { CliError, EXIT } from '#cli/cli-error.ts';
import { type CliIo, writeJson, writeLine } from '#cli/cli-io.ts';
import { collectionOption } from '#cli/commands/collection-option.ts';
import { interruptible } from '#cli/commands/interruptible.ts';
import { connect, type TenantConnectionOptions, withConnection } from '#cli/connection.ts';

type ChatOptions = TenantConnectionOptions & {
  conversation?: string;
  route?: string;
  document?: string[];
  collection?: string;
};

/** `chat [question]`: one turn, or a conversation in the terminal. */
export function addChatCommand(program: Command, io: CliIo): void {
  withConnection(program.command('chat [question...]'), 'tenant')
    .description('ask about the tenant’s documents; without a question, a conversation')
    .option('--conversation <id>', 'continue this conversation')
    .option('--route <route>', '`rag` answers from the documents, `chat` without them', 'rag')
    .option('--document <ids...>', 'search these documents only')
    .addOption(collectionOption('search this collection of documents only'))
    .addHelpText(
      'after',
      `
In a conversation, Ctrl-C stops the answer, /new starts another conversation, /exit or Ctrl-D ends.`,
    )
    .action(async (words: string[], options: ChatOptions) => {
      const { route } = options;
      if (route !== 'rag' && route !== 'chat') {
        throw new CliError('--route is rag or chat.', { exitCode: EXIT.usage });
      }
      if (options.conversation !== undefined) checkConversation(options.conversation);
      const api = await connect(io, options, 'member');
      const settings: TurnSettings = {
        route,
        ...(options.document === undefined ? {} : { document_ids: options.document }),
        ...(options.collection === undefined ? {} : { collection: options.collection }),
      };
      const print = (answer: MultiTenantChatResponse) =>
        options.json === true ? writeJson(io.stdout, answer) : printAnswer(io.stdout, answer);
      const onText = options.json === true ? () => {} : (text: string) => void io.stdout.write(text);

      const question = words.join(' ').trim();
      if (question === '') {
        return runChatLoop({ io, api, settings, conversationId: options.conversation, onText, print });
      }
      const answer = await interruptible(io, (signal) =>
        runTurn({ api, question, settings, conversationId: options.conversation, onText, signal }),
      );
      print(answer);
      if (options.json !== true && io.stderr.isTTY === true) {
        writeLine(io.stderr, `Continue with --conversation ${answer.conversation_id}`);
      }
    });
}

function checkConversation(id: string): void {
  if (conversationIdSchema.safeParse(id).success) return;
  throw new CliError(`--conversation ${id}: it is no conversation id, such as conv_ and 26 characters.`, {
    exitCode: EXIT.usage,
  });
}
