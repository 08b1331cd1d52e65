import { EventEmitter } from 'node:events';
import { expect, it } from 'vitest';
import { watchProcessFaults } from '#app/faults/process-faults.ts';

function watched() {
  const source = new EventEmitter();
  const reported: unknown[] = [];
  const stopped = Promise.withResolvers<void>();
  const exits: number[] = [];
  let stops = 0;
  const end = watchProcessFaults({
    source,
    report: (fields) => reported.push(fields.event),
    stop: () => {
      stops += 1;
      return stopped.promise;
    },
    exit: (code) => exits.push(code),
  });
  return { source, reported, stopped, exits, stops: () => stops, end };
}

it('a rejection that nothing waits for is logged, and ends nothing', () => {
  const { source, reported, stops } = watched();
  source.emit('unhandledRejection', new TypeError('x is undefined'));
  expect(reported).toEqual(['unhandled_rejection']);
  expect(stops()).toBe(0);
});

it('an error event of a socket or disk that nothing listened to is logged, and ends nothing', () => {
  const { source, reported, stops } = watched();
  for (const code of ['ECONNRESET', 'EPIPE', 'ENOSPC', '57P01']) {
    source.emit('uncaughtException', Object.assign(new Error('socket'), { code }));
  }
  expect(new Set(reported)).toEqual(new Set(['unhandled_fault']));
  expect(stops()).toBe(0);
});

it('any other exception stops the process once, when what is under way is finished', async () => {
  const { source, reported, stopped, exits, stops } = watched();
  source.emit('uncaughtException', new TypeError('x is undefined'));
  source.emit('uncaughtException', new TypeError('y is undefined'));
  expect(reported).toEqual(['uncaught_exception', 'uncaught_exception']);
  expect(stops()).toBe(1);
  expect(exits).toEqual([]);
  stopped.resolve();
  await stopped.promise;
  await Promise.resolve();
  expect(exits).toEqual([1]);
});

it('listens no more when it is ended', () => {
  const { source, end } = watched();
  end();
  expect(source.eventNames()).toEqual([]);
});
