import { randomFillSync } from 'node:crypto';

/** Random bytes are taken from the system this many at a time: one call a span would cost more than the span. */
const POOL_BYTES = 4_096;
const pool = Buffer.alloc(POOL_BYTES);
let used = POOL_BYTES;

function randomHex(bytes: number): string {
  if (used + bytes > POOL_BYTES) {
    randomFillSync(pool);
    used = 0;
  }
  used += bytes;
  return pool.toString('hex', used - bytes, used);
}

/** 32 hexadecimal digits, not all zero. */
export const newTraceId = (): string => notZero(16);

/** 16 hexadecimal digits, not all zero. */
export const newSpanId = (): string => notZero(8);

function notZero(bytes: number): string {
  for (;;) {
    const id = randomHex(bytes);
    if (/[^0]/.test(id)) return id;
  }
}
