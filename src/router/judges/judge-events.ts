import { BulkheadError, isAbort } from '#app/errors/bulkhead-error.ts';
import { chatCompletionChunkSchema } from '#app/schemas/chat-completion-chunk.ts';
import type { TurnBatch, TurnEvent } from '#app/schemas/turn.ts';
import { guardrailFailure } from '#router/guardrails/explain-refusal.ts';
import { type JudgeWatch, unplaceable } from '#router/judges/judge-watch.ts';
import { endsSentence, leadOf } from '#router/judges/judged-windows.ts';

/** The first window is short, so that an answer begins soon; each is twice as long as the last, to this. */
const FIRST_WINDOW = 200;
const LAST_WINDOW = 1_600;
/** After so many windows they are as long as bounds the calls for one answer. */
const MANY_WINDOWS = 64;
const LONG_WINDOW = 8_000;
/** Events without text that are held with a window. */
const MAX_HELD_EVENTS = 4_096;
const MAX_CHANNELS = 256;

/** Names of the protocol and not text of a model. */
const NAMES: ReadonlySet<string> = new Set(['role', 'id', 'type', 'index', 'format']);
const WORD = /^[\w.:-]{0,64}$/;

/**
 * A turn’s events, each held until its text was judged: a window ends with a sentence once it is long enough, and at twice
 * that length wherever it is. A judge sees the window, the end of what came before it, and the question. What one masks
 * stands in the place of the window’s text. Throws `guardrail_refused`.
 */
export async function* judgeEvents(
  batches: AsyncIterable<TurnBatch>,
  { watch, question }: { watch: JudgeWatch; question: string },
): AsyncGenerator<TurnBatch, void> {
  let held: TurnEvent[] = [];
  let windows = 0;
  let characters = 0;
  let ending = '';
  /** By place in the answer: the window’s text, and the end of what was judged before. */
  const channels = new Map<string, { text: string; lead: string }>();

  const add = (channel: string, text: string): string => {
    const known = channels.get(channel) ?? { text: '', lead: '' };
    if (!channels.has(channel) && channels.size >= MAX_CHANNELS)
      throw new RangeError('The answer has too many parts to judge.');
    known.text += text;
    channels.set(channel, known);
    characters += text.length;
    if (text !== '') ending = text;
    return text;
  };
  const isComplete = (): boolean => {
    const size =
      windows < MANY_WINDOWS ? Math.min(FIRST_WINDOW * 2 ** Math.min(windows, 16), LAST_WINDOW) : LONG_WINDOW;
    return (
      characters >= 2 * size || held.length >= MAX_HELD_EVENTS || (characters >= size && endsSentence(ending))
    );
  };
  async function judgeHeld(): Promise<TurnEvent[]> {
    const masks = new Map<string, string>();
    for (const [channel, known] of channels) {
      if (known.text.trim() !== '') {
        const { text, isMasked } = await watch.judge(known.text, { lead: known.lead, question });
        if (isMasked) masks.set(channel, text);
      }
      known.lead = leadOf(known.lead + known.text);
      known.text = '';
    }
    windows += 1;
    characters = 0;
    ending = '';
    const judged = masks.size === 0 ? held : held.map((event) => masked(event, masks));
    held = [];
    return judged;
  }

  for await (const events of batches) {
    for (const event of events) {
      if (held.length === 0 && (event.type === 'started' || event.type === 'retrieved')) {
        yield [event];
        continue;
      }
      try {
        mapTexts(event, add);
        held.push(event);
        if (event.type !== 'finished' && !isComplete()) continue;
        yield await judgeHeld();
      } catch (error) {
        if (error instanceof BulkheadError || isAbort(error)) throw error;
        throw guardrailFailure();
      }
    }
  }
}

/** The event with the window’s masked text in the place of its first text, and none in that of the others. */
function masked(event: TurnEvent, masks: Map<string, string>): TurnEvent {
  let isChanged = false;
  const mapped = mapTexts(event, (channel, text) => {
    const mask = masks.get(channel);
    if (mask === undefined) return text;
    // Arguments are JSON: half a mask would break what reads them.
    if (channel.includes('call')) throw unplaceable();
    isChanged = true;
    masks.set(channel, '');
    return mask;
  });
  if (!isChanged || mapped.type !== 'chunk') return mapped;
  // Log probabilities spell the text out.
  const choices = mapped.chunk.choices.map((choice) =>
    'logprobs' in choice ? { ...choice, logprobs: null } : choice,
  );
  return { ...mapped, chunk: { ...mapped.chunk, choices } };
}

/** The event with each text of the answer replaced. Log probabilities are not text of their own. */
function mapTexts(event: TurnEvent, map: (channel: string, text: string) => string): TurnEvent {
  if (event.type === 'delta') return { ...event, text: map('answer', event.text) };
  if (event.type !== 'chunk') return event;
  const choices = event.chunk.choices.map(({ index, logprobs, finish_reason, ...others }) => ({
    index,
    ...asObject(mapValue(others, `${index}`, map)),
    ...(logprobs === undefined ? {} : { logprobs }),
    ...(finish_reason === undefined ? {} : { finish_reason }),
  }));
  return { type: 'chunk', chunk: chatCompletionChunkSchema.parse({ ...event.chunk, choices }) };
}

function mapValue(value: unknown, path: string, map: (channel: string, text: string) => string): unknown {
  if (typeof value === 'string') return map(path, value);
  if (Array.isArray(value))
    return value.map((item, place) => mapValue(item, `${path}.${indexOf(item) ?? place}`, map));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      NAMES.has(name) && typeof item === 'string' && WORD.test(item)
        ? item
        : mapValue(item, `${path}.${name}`, map),
    ]),
  );
}

/** Parts of one tool call come in several events, at the same index. */
const indexOf = (item: unknown): number | undefined =>
  typeof item === 'object' && item !== null && 'index' in item && typeof item.index === 'number'
    ? item.index
    : undefined;

const asObject = (value: unknown): object => (typeof value === 'object' && value !== null ? value : {});
