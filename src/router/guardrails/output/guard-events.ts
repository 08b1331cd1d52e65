import { BulkheadError, isAbort } from '#app/errors/bulkhead-error.ts';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import type { TurnEvent } from '#app/schemas/turn.ts';
import { guardrailFailure } from '#router/guardrails/explain-refusal.ts';
import { ChoiceGuard } from '#router/guardrails/output/choice-guard.ts';
import type { GuardCitations } from '#router/guardrails/output/guard-citations.ts';
import type { OutputWatch } from '#router/guardrails/output/output-watch.ts';
import { TextGate } from '#router/guardrails/output/text-gate.ts';

/** An engine may number its choices as it likes; memory is bounded all the same. */
const MAX_CHOICES = 64;

type Choices = ChatCompletionChunk['choices'];

/** Anything that a client must be sent. */
const hasContent = ({ delta, finish_reason: reason, logprobs }: Choices[number]): boolean =>
  typeof reason === 'string' || Object.keys(delta).length > 0 || (logprobs ?? null) !== null;

/**
 * A turn’s events with nothing in them that was not looked at: answer text in a window, tool arguments when they are complete,
 * citations as they come. Throws `guardrail_refused` where the tenant wants that, and where looking fails.
 */
export async function* guardEvents(
  events: AsyncIterable<TurnEvent>,
  { watch, guardCitations }: { watch: OutputWatch; guardCitations: GuardCitations },
): AsyncGenerator<TurnEvent, void> {
  const answer = new TextGate(watch.scanners(), watch.onFinding);
  const choices = new Map<number, ChoiceGuard>();
  /** The last chunk’s ids and times, for what comes out after it. */
  let envelope: ChatCompletionChunk | null = null;

  const choiceOf = (index: number): ChoiceGuard => {
    let choice = choices.get(index);
    if (choice === undefined) {
      if (choices.size >= MAX_CHOICES) throw new RangeError('The answer has too many choices to look at.');
      choice = new ChoiceGuard(watch);
      choices.set(index, choice);
    }
    return choice;
  };

  function* guarded(event: TurnEvent): Generator<TurnEvent, void> {
    switch (event.type) {
      case 'started':
        yield event;
        return;
      case 'retrieved':
        yield { ...event, citations: guardCitations(event.citations) };
        return;
      case 'delta': {
        const text = answer.push(event.text);
        if (text !== '') yield { ...event, text };
        return;
      }
      case 'chunk': {
        const { usage, ...unmetered } = event.chunk;
        envelope = unmetered;
        const said: Choices = [];
        const rests: Choices = [];
        const ends: Choices = [];
        for (const choice of unmetered.choices) {
          const guard = choiceOf(choice.index);
          const passed = guard.take(choice);
          const rest = typeof choice.finish_reason === 'string' ? guard.end() : null;
          if (rest === null) {
            if (hasContent(passed) || !hasContent(choice)) said.push(passed);
            continue;
          }
          // A choice finishes after the last of its text.
          said.push({ ...passed, finish_reason: null });
          rests.push({ index: choice.index, delta: rest, finish_reason: null });
          ends.push({ index: choice.index, delta: {}, finish_reason: choice.finish_reason });
        }
        for (const choices of [said, rests, ends]) {
          if (choices.length > 0) yield { type: 'chunk', chunk: { ...unmetered, choices } };
        }
        if (usage !== undefined && usage !== null)
          yield { type: 'chunk', chunk: { ...unmetered, choices: [], usage } };
        return;
      }
      case 'finished': {
        const text = answer.end();
        if (text !== '') yield { type: 'delta', text };
        if (envelope !== null) {
          for (const [index, guard] of choices) {
            const delta = guard.end();
            if (delta === null) continue;
            yield { type: 'chunk', chunk: { ...envelope, choices: [{ index, delta, finish_reason: null }] } };
          }
        }
        yield { ...event, citations: guardCitations(event.citations) };
      }
    }
  }

  for await (const event of events) {
    try {
      // What is known of an event is sent before the next is looked at; a refusal later in it still stops it.
      yield* guarded(event);
    } catch (error) {
      if (error instanceof BulkheadError || isAbort(error)) throw error;
      watch.onFailure(error);
      throw guardrailFailure();
    }
  }
}
