import { createDeadline, type Deadline } from '#app/deadline.ts';
import type { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { isAbort } from '#app/errors/bulkhead-error.ts';
import type { JudgePolicy } from '#app/schemas/guardrail-judge.ts';
import type { TenantContext } from '#app/tenant-context.ts';
import type { Logger } from '#observability/logger.ts';
import type { Judges } from '#router/judges/create-judges.ts';
import type { JudgedText } from '#router/judges/judge.ts';
import { windowsOf } from '#router/judges/judged-windows.ts';
import { WaitingLine } from '#router/limits/redis/waiting-line.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import { refusalError } from '#router/policy/refusal.ts';

/** Whose text is judged, and for which request. */
export type JudgedRequest = Readonly<{
  policy: CompiledPolicy;
  context: TenantContext;
  requestId: string;
  signal: AbortSignal;
}>;

/** A text as judges left it. */
export type Judged = Readonly<{ text: string; isMasked: boolean }>;

/** Calls for one request, one way: a longer text is refused rather than judged in part. */
const MAX_CALLS = 512;
const MAX_AT_ONCE = 4;

/** Asks the judges of a tenant, one way, for one request, and tells the log what came of it. Not to be used after `report`. */
export class JudgeWatch {
  readonly #request: JudgedRequest;
  readonly #judges: Judges;
  readonly #logger: Logger;
  readonly #source: JudgedText['source'];
  readonly #policies: readonly (readonly [index: number, policy: JudgePolicy])[];
  readonly #tallies = new Map<
    string,
    { judge: string; calls: number; cached: number; failed: number; took_ms: number; categories: Set<string> }
  >();
  readonly #deadline: Deadline;
  /** One request takes few places at once, and the time of a call begins when it has one here. */
  readonly #line = new WaitingLine(MAX_AT_ONCE);
  #calls = 0;

  constructor(options: {
    request: JudgedRequest;
    judges: Judges;
    logger: Logger;
    source: JudgedText['source'];
  }) {
    this.#request = options.request;
    this.#judges = options.judges;
    this.#logger = options.logger;
    this.#source = options.source;
    this.#policies = judgesFor(options.request.policy, options.source);
    this.#deadline = createDeadline(options.request.signal);
  }

  /** Ends the calls that are under way. */
  stop(): void {
    this.#deadline.end();
  }

  /**
   * The text, judged by every judge in turn, each after the last has masked it. Throws `guardrail_refused` where one refuses,
   * or gives no verdict and must.
   */
  async judge(
    whole: string,
    options: { lead?: string; question?: string; param?: string } = {},
  ): Promise<Judged> {
    let text = whole;
    let isMasked = false;
    for (const [index, policy] of this.#policies) {
      const judged = await this.#judgeBy(index, policy, text, options);
      if (judged === null) continue;
      text = judged;
      isMasked = true;
    }
    return { text, isMasked };
  }

  /** To be called once, at the end. */
  report(): void {
    this.stop();
    if (this.#tallies.size === 0) return;
    const { requestId, context } = this.#request;
    const judges = [...this.#tallies.values()].map(({ categories, took_ms, ...tally }) => ({
      ...tally,
      took_ms: Math.round(took_ms),
      categories: [...categories],
    }));
    this.#logger.info(
      {
        event: 'judges',
        request_id: requestId,
        tenant_id: context.tenantId,
        source: this.#source,
        judges,
      },
      'external judges were asked',
    );
  }

  /** The masked text, or null where nothing is masked. */
  async #judgeBy(
    index: number,
    policy: JudgePolicy,
    text: string,
    { lead = '', question = '', param }: { lead?: string; question?: string; param?: string },
  ): Promise<string | null> {
    const { context } = this.#request;
    const judge = this.#judges.find(policy.judge, context.tenantId);
    // It was there when the policy was written.
    if (judge === null)
      return this.#failed(index, policy, new Error('There is no such judge any more.'), param);
    const windows = windowsOf(text, judge.maxCharacters);
    this.#calls += windows.length;
    // Whatever the tenant says of errors: a text must not get by for its length.
    if (this.#calls > MAX_CALLS) throw failure(index, 'The content is too long for its judge', param);
    // The first no ends the other calls.
    const deadline = createDeadline(this.#deadline.signal);
    try {
      const pieces = await Promise.all(
        windows.map((window, place) =>
          this.#askOnce(index, policy, {
            judge,
            signal: deadline.signal,
            text: {
              source: this.#source,
              question,
              text: window.text,
              lead: place === 0 ? lead : window.lead,
            },
            param,
          }),
        ),
      );
      return pieces.every((piece) => piece === null)
        ? null
        : pieces.map((piece, place) => piece ?? windows[place]?.text ?? '').join('');
    } finally {
      deadline.end();
    }
  }

  async #askOnce(
    index: number,
    policy: JudgePolicy,
    asked: {
      judge: NonNullable<ReturnType<Judges['find']>>;
      signal: AbortSignal;
      text: JudgedText;
      param: string | undefined;
    },
  ): Promise<string | null> {
    const { judge, signal, text, param } = asked;
    const tally = this.#tallyOf(policy.judge);
    const wait = this.#line.enter();
    if (wait !== null) await wait;
    const began = performance.now();
    try {
      signal.throwIfAborted();
      tally.calls += 1;
      const verdict = await judge.ask({ policy: this.#request.policy, signal }, text);
      if (verdict.isCached) tally.cached += 1;
      if (verdict.outcome === 'safe') return null;
      const counted = verdict.categories.filter((name) => policy.categories?.includes(name) ?? true);
      for (const name of verdict.categories) tally.categories.add(name);
      // Unsafe for no reason given is unsafe for any.
      if (counted.length === 0 && verdict.categories.length > 0) return null;
      if (policy.action === 'flag') return null;
      if (verdict.outcome === 'masked') return verdict.text;
      throw refused(index, policy.judge, counted, param);
    } catch (error) {
      if (signal.aborted || isAbort(error) || isRefusal(error)) throw error;
      tally.failed += 1;
      return this.#failed(index, policy, error, param);
    } finally {
      this.#line.leave();
      tally.took_ms += performance.now() - began;
    }
  }

  #failed(index: number, policy: JudgePolicy, error: unknown, param: string | undefined): null {
    const { requestId, context } = this.#request;
    this.#logger.error(
      {
        event: 'judge_failed',
        err: error,
        judge: policy.judge,
        on_error: policy.on_error,
        source: this.#source,
        request_id: requestId,
        tenant_id: context.tenantId,
      },
      policy.on_error === 'deny'
        ? 'a judge gave no verdict, so the content is refused'
        : 'a judge gave no verdict, and the content is let through',
    );
    if (policy.on_error === 'allow') return null;
    throw failure(index, 'A judge could not look at the content', param);
  }

  #tallyOf(judge: string) {
    const tally = this.#tallies.get(judge) ?? {
      judge,
      calls: 0,
      cached: 0,
      failed: 0,
      took_ms: 0,
      categories: new Set<string>(),
    };
    this.#tallies.set(judge, tally);
    return tally;
  }
}

/** The tenant’s judges of one way, with their places in its policy. */
export const judgesFor = ({ config }: CompiledPolicy, source: JudgedText['source']) =>
  [...config.guardrails.judges.entries()].filter(
    ([, { applies_to }]) => applies_to === 'both' || applies_to === source,
  );

const refusals = new WeakSet<Error>();
const verdicts = new WeakSet<Error>();
const isRefusal = (error: unknown): boolean => error instanceof Error && refusals.has(error);

/** Whether a judge found the content unsafe, and did not merely fail. */
export const isUnsafe = (error: unknown): boolean => error instanceof Error && verdicts.has(error);

function refused(
  index: number,
  judge: string,
  categories: readonly string[],
  param: string | undefined,
): BulkheadError {
  const why = categories.length === 0 ? '' : `: ${categories.join(', ')}`;
  const error = refusal(index, `The content is unsafe (judge ${judge}${why}).`, param);
  verdicts.add(error);
  return error;
}

const failure = (index: number, why: string, param: string | undefined): BulkheadError =>
  refusal(index, `${why}, so it is refused.`, param);

function refusal(index: number, message: string, param: string | undefined): BulkheadError {
  const error = refusalError({
    code: 'guardrail_refused',
    policy: `guardrails.judges.${index}`,
    message,
    ...(param === undefined ? {} : { param }),
  });
  refusals.add(error);
  return error;
}

/** What a judge masks where it cannot be put back. */
export const unplaceable = (param?: string): BulkheadError =>
  refusalError({
    code: 'guardrail_refused',
    policy: 'guardrails.judges',
    message: 'A judge masks part of the content where nothing can stand in its place, so it is refused.',
    ...(param === undefined ? {} : { param }),
  });
