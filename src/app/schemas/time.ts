import { z } from 'zod';

/** Years 1 to 9999 in UTC: PostgreSQL has no year 0, and what is beyond is not written with four digits. */
const FIRST = Date.parse('0001-01-01T00:00:00Z');
const LAST = Date.parse('9999-12-31T23:59:59.999Z');

/** A time that a caller names, with its offset. */
export const timeSchema = z.iso.datetime({ offset: true }).refine(
  (text) => {
    const time = Date.parse(text);
    return time >= FIRST && time <= LAST;
  },
  { error: 'must be a time of the years 1 to 9999' },
);
