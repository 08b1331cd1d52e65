import { expect, test } from 'vitest';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { createStrangerLane } from '#router/identity/stranger-lane.ts';

const refuse = async () => {
  throw new BulkheadError('invalid_credential', 'The credential is not valid.');
};

test('credentials that are not valid wait for each other by address, and hold up nobody else', async () => {
  const lane = createStrangerLane();
  let refused = 0;
  const flood = Array.from({ length: 500 }, (_, number) =>
    lane.check(`bad-${number}`, '192.0.2.1', refuse).catch(() => {
      refused += 1;
    }),
  );
  // In one turn of the event loop: the address has its 25 places, and the rest of its credentials wait.
  await Promise.resolve();
  expect(await lane.check('new', '198.51.100.7', async () => 'valid')).toBe('valid');
  expect(refused).toBeLessThan(100);
  await Promise.all(flood);
  expect(refused).toBe(500);
});

test('a credential that was valid is in no line with its address’s strangers, until it is refused', async () => {
  const lane = createStrangerLane();
  const address = '192.0.2.1';
  await lane.check('good', address, async () => 'valid');
  let refused = 0;
  const flood = Array.from({ length: 400 }, (_, number) =>
    lane.check(`bad-${number}`, address, refuse).catch(() => {
      refused += 1;
    }),
  );
  expect(await lane.check('good', address, async () => 'valid')).toBe('valid');
  expect(refused).toBeLessThan(100);
  // Revoked: from here on it is a stranger's.
  await expect(lane.check('good', address, refuse)).rejects.toMatchObject({ code: 'invalid_credential' });
  await expect(lane.check('good', address, refuse)).rejects.toMatchObject({ code: 'invalid_credential' });
  expect(refused).toBeGreaterThan(350);
  await Promise.all(flood);
});

test('too many at once are refused as too many, not as invalid; one network of IPv6 counts as one address', async () => {
  const lane = createStrangerLane();
  const codes = await Promise.all(
    Array.from({ length: 1_200 }, (_, number) =>
      lane.check(`bad-${number}`, `2001:db8::${number.toString(16)}`, refuse).catch((error) => error.code),
    ),
  );
  expect(new Set(codes)).toEqual(new Set(['invalid_credential', 'rate_limit_exceeded']));
  expect(codes.filter((code) => code === 'rate_limit_exceeded')).toHaveLength(1_200 - 25 - 1_024);
});
