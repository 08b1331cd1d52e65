import type { TurnBatch, TurnEvent } from '#app/schemas/turn.ts';

/** What is read and guarded at once where an answer floods in, characters: some milliseconds of work. */
const SLICE_CHARACTERS = 16_384;
/** A batch of an engine that writes as models do has less. */
const FREE_CHARACTERS = 4_096;

/**
 * A batch in pieces that are short steps for the event loop, or null where it is one as it is. An engine, or a network, may hand
 * over 64 KiB at once, many times a second and for many answers.
 */
export function answerSlices(events: TurnBatch): readonly TurnBatch[] | null {
  let total = 0;
  for (const event of events) total += charactersOf(event);
  if (total <= FREE_CHARACTERS) return null;
  const slices: TurnEvent[][] = [];
  let room = 0;
  for (const event of events) {
    const size = charactersOf(event);
    const last = slices.at(-1);
    if (last === undefined || room < size) {
      slices.push([event]);
      room = SLICE_CHARACTERS - size;
    } else {
      last.push(event);
      room -= size;
    }
  }
  return slices;
}

function charactersOf(event: TurnEvent): number {
  if (event.type === 'delta') return event.text.length;
  if (event.type !== 'chunk') return 0;
  let size = 0;
  for (const { delta } of event.chunk.choices) {
    for (const value of Object.values(delta)) if (typeof value === 'string') size += value.length;
    for (const call of delta.tool_calls ?? []) size += argumentsOf(call).length;
  }
  return size;
}

function argumentsOf(call: Readonly<Record<string, unknown>>): string {
  const given = call.function;
  const text: unknown = typeof given === 'object' && given !== null ? Reflect.get(given, 'arguments') : '';
  return typeof text === 'string' ? text : '';
}
