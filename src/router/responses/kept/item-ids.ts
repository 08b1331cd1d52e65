import type { ResponseId } from '#app/ids.ts';

/** `msg_<suffix>_0` is of the response's output, `msg_<suffix>_in0` of its input. */
const ITEM_ID = /^[a-z]{1,8}_([0-9a-z]{26})_(in)?(?:0|[1-9][0-9]{0,4})$/;

/** Where an item is kept, which its id tells; null for an id that no item here has. */
export function placeOfItem(id: string): { responseId: ResponseId; isInput: boolean } | null {
  const [, suffix, input] = ITEM_ID.exec(id) ?? [];
  // The pattern holds what the schema of the id asks for.
  return suffix === undefined
    ? null
    : { responseId: `resp_${suffix}` as ResponseId, isInput: input !== undefined };
}

const PREFIXES: Readonly<Record<string, string>> = {
  message: 'msg',
  function_call: 'fc',
  function_call_output: 'fco',
};

/** The id of an item that was sent without one. */
export const inputItemId = (responseId: ResponseId, type: string, place: number): string =>
  `${PREFIXES[type] ?? 'item'}_${responseId.replace(/^resp_/, '')}_in${place}`;
