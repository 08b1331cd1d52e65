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

  /** Adds to `passed` what of the event may be sent: what was added before something is refused was looked at. */
  function guard(event: TurnEvent, passed: TurnEvent[]): void {
    switch (event.type) {
      case 'started':
        passed.push(event);
        return;
      case 'retrieved':
        watch.onPassages(event.citations);
        passed.push({ ...event, citations: guardCitations(event.citations) });
        return;
      case 'delta': {
        const text = answer.push(event.text);
        if (text !== '') passed.push({ ...event, text });
        return;
      }
      case 'chunk': {
        const { usage, ...unmetered } = event.chunk;
        envelope = unmetered;
        const said: Choices = [];
        const rests: Choices = [];
        const ends: Choices = [];
        for (const choice of unmetered.choices) {
          const guarded = choiceOf(choice.index);
          const ready = guarded.take(choice);
          const rest = typeof choice.finish_reason === 'string' ? guarded.end() : null;
          if (rest === null) {
            if (hasContent(ready) || !hasContent(choice)) said.push(ready);
            continue;
          }
          // A choice finishes after the last of its text.
          said.push({ ...ready, finish_reason: null });
          rests.push({ index: choice.index, ...rest, finish_reason: null });
          ends.push({ index: choice.index, delta: {}, finish_reason: choice.finish_reason });
        }
        for (const choices of [said, rests, ends]) {
          if (choices.length > 0) passed.push({ type: 'chunk', chunk: { ...unmetered, choices } });
        }
        if (usage !== undefined && usage !== null)
          passed.push({ type: 'chunk', chunk: { ...unmetered, choices: [], usage } });
        return;
      }
      case 'finished': {
        const text = answer.end();
        if (text !== '') passed.push({ type: 'delta', text });
        if (envelope !== null) {
          for (const [index, choice] of choices) {
            const rest = choice.end();
            if (rest === null) continue;
            passed.push({
              type: 'chunk',
              chunk: { ...envelope, choices: [{ index, ...rest, finish_reason: null }] },
            });
          }
        }
        passed.push({ ...event, citations: guardCitations(event.citations) });
      }
    }
  }

  const asFailure = (error: unknown): unknown => {
    if (error instanceof BulkheadError || isAbort(error)) return error;
    watch.onFailure(error);
    return guardrailFailure();
  };

  try {
    for await (const event of events) {
      const passed: TurnEvent[] = [];
      let failure: { error: unknown } | null = null;
      try {
        guard(event, passed);
      } catch (error) {
        failure = { error: asFailure(error) };
      }
      for (const ready of passed) yield ready;
      if (failure !== null) throw failure.error;
    }
  } finally {
    watch.onEnd();
  }
}
