import { lastUserText } from '#app/schemas/chat-message.ts';
import type { ConversationWithMessages } from '#app/schemas/conversation.ts';
import type { TurnBatch, TurnRequest } from '#app/schemas/turn.ts';
import type { Logger } from '#observability/logger.ts';
import { redactionOf } from '#router/guardrails/redact.ts';
import type { Judges } from '#router/judges/create-judges.ts';
import { judgeEvents } from '#router/judges/judge-events.ts';
import { judgeTurn } from '#router/judges/judge-turn.ts';
import { isUnsafe, type JudgedRequest, JudgeWatch, judgesFor } from '#router/judges/judge-watch.ts';

/** What external judges say of a turn, where a tenant asks for them; after the built-in guardrails, which redact first. */
export interface JudgeGuardrails {
  /** The turn as the judges leave it. Throws `guardrail_refused`. */
  judgeTurn(
    request: JudgedRequest & { paramOf?: (param: string) => string },
    turn: TurnRequest,
  ): Promise<TurnRequest>;
  /** The same events, none before its text was judged. */
  judgeAnswer(
    request: JudgedRequest,
    turn: TurnRequest,
    events: AsyncGenerator<TurnBatch, void>,
  ): AsyncGenerator<TurnBatch, void>;
  /** Texts of answers as they are stored, in their order. */
  judgeStored(request: JudgedRequest, answers: readonly string[]): Promise<readonly string[]>;
  /** Answers as they are stored: what a judge refused was stored before it was judged. */
  judgeConversation(
    request: JudgedRequest,
    conversation: ConversationWithMessages,
  ): Promise<ConversationWithMessages>;
}

export function createJudgeGuardrails({
  judges,
  logger,
}: {
  judges: Judges;
  logger: Logger;
}): JudgeGuardrails {
  const watchOf = (request: JudgedRequest, source: 'input' | 'output') =>
    new JudgeWatch({ request, judges, logger, source });

  async function* judgedAnswer(
    request: JudgedRequest,
    turn: TurnRequest,
    events: AsyncGenerator<TurnBatch, void>,
  ): AsyncGenerator<TurnBatch, void> {
    const watch = watchOf(request, 'output');
    try {
      yield* judgeEvents(events, { watch, question: lastUserText(turn.messages) });
    } finally {
      watch.report();
    }
  }

  async function judgeStored(request: JudgedRequest, answers: readonly string[]): Promise<readonly string[]> {
    if (judgesFor(request.policy, 'output').length === 0 || answers.length === 0) return answers;
    const watch = watchOf(request, 'output');
    try {
      // Together they take fewer calls; one that is refused is looked for.
      const whole = await watch.judge(answers.join('\n\n')).catch((error: unknown) => passUnsafe(error));
      if (whole !== null && !whole.isMasked) return answers;
      const judged: string[] = [];
      for (const answer of answers) {
        const one = await watch.judge(answer).catch((error: unknown) => passUnsafe(error));
        judged.push(one?.text ?? redactionOf('judge'));
      }
      return judged;
    } finally {
      watch.report();
    }
  }

  return {
    async judgeTurn(request, turn) {
      if (judgesFor(request.policy, 'input').length === 0) return turn;
      const watch = watchOf(request, 'input');
      try {
        return await judgeTurn(watch, turn, request.paramOf ?? ((param) => param));
      } finally {
        watch.report();
      }
    },

    judgeAnswer: (request, turn, events) =>
      judgesFor(request.policy, 'output').length === 0 ? events : judgedAnswer(request, turn, events),

    judgeStored,

    async judgeConversation(request, conversation) {
      const isAnswer = ({ role, content }: ConversationWithMessages['messages'][number]) =>
        role === 'assistant' && content !== '';
      const answers = conversation.messages.filter(isAnswer);
      const judged = await judgeStored(
        request,
        answers.map(({ content }) => content),
      );
      const left = [...judged];
      const messages = conversation.messages.map((message) =>
        isAnswer(message) ? { ...message, content: left.shift() ?? redactionOf('judge') } : message,
      );
      return { ...conversation, messages };
    },
  };
}

/** null for what is unsafe. A judge that fails denies the whole. */
function passUnsafe(error: unknown): null {
  if (isUnsafe(error)) return null;
  throw error;
}
