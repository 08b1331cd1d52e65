import { BulkheadError } from '#app/errors/bulkhead-error.ts';

/** Waits no longer than `milliseconds`, then fails as `service_unavailable`; the work itself may go on. */
export async function within<Result>(
  work: Promise<Result>,
  milliseconds: number,
  message: string,
): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new BulkheadError('service_unavailable', message)), milliseconds);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
    // A failure after the deadline is nobody's: it must not end the process.
    work.catch(() => undefined);
  }
}
