import type { LimitDecision } from '#router/limits/rate-limiter.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';
import type { RequestText } from '#router/policy/decide-content.ts';

/** What the stages of a request leave behind of themselves, for its row in the request log. Nothing waits for it. */
export type Explanation = {
  method: string;
  /** The route's pattern. */
  path: string;
  authMs: number | null;
  limits: Readonly<{ decision: LimitDecision; tokensReserved: number; tookMs: number }> | null;
  policyMs: number | null;
  requestedModel: string | null;
  tools: readonly string[];
  flags: readonly string[];
  retrieved: readonly Readonly<{ chunk_id: string; score: number }>[] | null;
  retrieveMs: number | null;
  engine: string | null;
  /** How often the engine was asked until now; null: not yet. */
  attempts: number | null;
  finishReason: string | null;
  firstTokenMs: number | null;
  generateMs: number | null;
  /** Where the tenant has its bodies kept, and only there. */
  texts: readonly RequestText[] | null;
  answer: KeptAnswer | null;
};

export const newExplanation = (method = '', path = ''): Explanation => ({
  method,
  path,
  authMs: null,
  limits: null,
  policyMs: null,
  requestedModel: null,
  tools: [],
  flags: [],
  retrieved: null,
  retrieveMs: null,
  engine: null,
  attempts: null,
  finishReason: null,
  firstTokenMs: null,
  generateMs: null,
  texts: null,
  answer: null,
});

/** Characters of one request, and of one answer, that are kept at most. */
export const MAX_KEPT_CHARACTERS = 16_384;

/** Has a request's texts, and its answer, kept where its tenant asks for that. */
export function keepTexts(
  explained: Explanation,
  policy: CompiledPolicy,
  texts: readonly RequestText[],
): void {
  if (policy.config.request_log.bodies === 'off') return;
  explained.texts = texts;
  explained.answer ??= new KeptAnswer();
}

/** The beginning of an answer as it streams by. */
export class KeptAnswer {
  #pieces: string[] = [];
  #length = 0;
  #isCut = false;

  take(piece: string): void {
    const room = MAX_KEPT_CHARACTERS - this.#length;
    if (piece.length > room) this.#isCut = true;
    if (room <= 0) return;
    this.#pieces.push(piece.slice(0, room));
    this.#length += Math.min(piece.length, room);
  }

  get text(): string {
    return this.#pieces.join('');
  }

  get isCut(): boolean {
    return this.#isCut;
  }
}
