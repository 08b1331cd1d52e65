/** Blocks of a text that are looked at in one piece: a few milliseconds at most, of the densest text. */
const BLOCKS_A_STEP = 32;

/** A text of so many characters is looked at in one piece. */
export const LONG_TEXT = 4_096;

/** Whether others may have their turn after this block. */
export const isStep = (block: number): boolean => block % BLOCKS_A_STEP === BLOCKS_A_STEP - 1;
