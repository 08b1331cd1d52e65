import { hashOf } from '#router/guardrails/prompt-guard/hash.ts';

/** One in so many names, titles, cities, companies, texts and files is never trained on: the development split has them alone. */
const HELD_OUT_OF = 12;

/** Is this kept from training? Told by the name itself, so that it is the same in every list that has it. */
export const isHeldOut = (name: string): boolean => hashOf(name.toLowerCase()) % HELD_OUT_OF === 5;

/** Which names a drawer may draw: those of training, or those of the development split. */
export type Part = 'training' | 'development';

export const isOf =
  (part: Part) =>
  (name: string): boolean =>
    isHeldOut(name) === (part === 'development');

const TRIES = 400;

/** Draws until a name is of the part. A source that has none of it is left to whoever asks: null. */
export function drawOf(part: Part, draw: () => string): string | null {
  const fits = isOf(part);
  for (let tries = 0; tries < TRIES; tries++) {
    const name = draw();
    if (fits(name)) return name;
  }
  return null;
}
