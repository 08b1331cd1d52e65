import { BulkheadError, isAbort } from '#app/errors/bulkhead-error.ts';
import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import type { TurnBatch, TurnEvent } from '#app/schemas/turn.ts';
import { guardrailFailure } from '#router/guardrails/explain-refusal.ts';
import { ChoiceGuard } from '#router/guardrails/output/choice-guard.ts';
import type { GuardCitations } from '#router/guardrails/output/guard-citations.ts';
import type { OutputWatch } from '#router/guardrails/output/output-watch.ts';
import { TextGate } from '#router/guardrails/output/text-gate.ts';

/** Events that may be sent, and why nothing may be sent after them. */
export type GuardedBatch = Readonly<{ passed: TurnBatch; failure: { error: unknown } | null }>;

/** Looks at one answer as it comes, before it is sent. */
export interface AnswerGuard {
  /** What of the events may be sent. After a failure it is asked no more. */
  take(events: TurnBatch): GuardedBatch;
  /** However the answer ends: tells what was found. */
  end(): void;
}

/** An engine may number its choices as it likes; memory is bounded all the same. */
const MAX_CHOICES = 64;

type Choices = ChatCompletionChunk['choices'];

/** Anything that a client must be sent. */
function hasContent({ delta, finish_reason: reason, logprobs }: Choices[number]): boolean {
  if (typeof reason === 'string' || (logprobs ?? null) !== null) return true;
  for (const _ in delta) return true;
  return false;
}

/**
 * Lets nothing through that was not looked at: answer text in a window, tool arguments when they are complete, citations as
 * they come. Fails with `guardrail_refused` where the tenant wants that, and where looking fails.
 */
export class WindowedAnswerGuard implements AnswerGuard {
  readonly #watch: OutputWatch;
  readonly #guardCitations: GuardCitations;
  /** Of the routes that answer in text alone. */
  #answer: TextGate | null = null;
  readonly #choices = new Map<number, ChoiceGuard>();
  /** The last chunk’s ids and times, for what comes out after it. */
  #envelope: ChatCompletionChunk | null = null;

  constructor({ watch, guardCitations }: { watch: OutputWatch; guardCitations: GuardCitations }) {
    this.#watch = watch;
    this.#guardCitations = guardCitations;
  }

  take(events: TurnBatch): GuardedBatch {
    const passed: TurnEvent[] = [];
    try {
      for (const event of events) this.#guard(event, passed);
    } catch (error) {
      return { passed, failure: { error: this.#asFailure(error) } };
    }
    return { passed, failure: null };
  }

  end(): void {
    this.#watch.onEnd();
  }

  #asFailure(error: unknown): unknown {
    if (error instanceof BulkheadError || isAbort(error)) return error;
    this.#watch.onFailure(error);
    return guardrailFailure();
  }

  #choiceOf(index: number): ChoiceGuard {
    let choice = this.#choices.get(index);
    if (choice === undefined) {
      if (this.#choices.size >= MAX_CHOICES)
        throw new RangeError('The answer has too many choices to look at.');
      choice = new ChoiceGuard(this.#watch);
      this.#choices.set(index, choice);
    }
    return choice;
  }

  /** Adds to `passed` what of the event may be sent: what was added before something is refused was looked at. */
  #guard(event: TurnEvent, passed: TurnEvent[]): void {
    switch (event.type) {
      case 'started':
        passed.push(event);
        return;
      case 'retrieved':
        this.#watch.onPassages(event.citations);
        passed.push({ ...event, citations: this.#guardCitations(event.citations) });
        return;
      case 'delta': {
        this.#answer ??= new TextGate(this.#watch.scanners(), this.#watch.onFinding);
        const text = this.#answer.push(event.text);
        if (text !== '') passed.push({ ...event, text });
        return;
      }
      case 'chunk':
        this.#guardChunk(event.chunk, passed);
        return;
      case 'finished': {
        const text = this.#answer?.end() ?? '';
        if (text !== '') passed.push({ type: 'delta', text });
        if (this.#envelope !== null) {
          for (const [index, choice] of this.#choices) {
            const rest = choice.end();
            if (rest === null) continue;
            const chunk = { ...this.#envelope, choices: [{ index, ...rest, finish_reason: null }] };
            passed.push({ type: 'chunk', chunk });
          }
        }
        passed.push({ ...event, citations: this.#guardCitations(event.citations) });
      }
    }
  }

  #guardChunk(chunk: ChatCompletionChunk, passed: TurnEvent[]): void {
    const { usage, ...unmetered } = chunk;
    this.#envelope = unmetered;
    const said: Choices = [];
    let rests: Choices | null = null;
    let ends: Choices | null = null;
    for (const choice of unmetered.choices) {
      const guarded = this.#choiceOf(choice.index);
      const ready = guarded.take(choice);
      const rest = typeof choice.finish_reason === 'string' ? guarded.end() : null;
      if (rest === null) {
        if (hasContent(ready) || !hasContent(choice)) said.push(ready);
        continue;
      }
      // A choice finishes after the last of its text.
      said.push({ ...ready, finish_reason: null });
      rests ??= [];
      rests.push({ index: choice.index, ...rest, finish_reason: null });
      ends ??= [];
      ends.push({ index: choice.index, delta: {}, finish_reason: choice.finish_reason });
    }
    if (said.length > 0) passed.push({ type: 'chunk', chunk: { ...unmetered, choices: said } });
    if (rests !== null) passed.push({ type: 'chunk', chunk: { ...unmetered, choices: rests } });
    if (ends !== null) passed.push({ type: 'chunk', chunk: { ...unmetered, choices: ends } });
    if (usage !== undefined && usage !== null)
      passed.push({ type: 'chunk', chunk: { ...unmetered, choices: [], usage } });
  }
}

/** Passes an answer on as it is, where the tenant wants nothing looked for in it; what was retrieved is looked at all the same. */
export const openAnswerGuard = ({ onPassages, onEnd }: OutputWatch): AnswerGuard => ({
  take(events) {
    for (const event of events) if (event.type === 'retrieved') onPassages(event.citations);
    return { passed: events, failure: null };
  },
  end: onEnd,
});
