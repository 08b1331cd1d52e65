/** What emitters of Node and of libraries have in common; some do not declare `error` among their events, and emit it. */
type AnyEmitter = { on(event: never, listener: never): unknown };
type ErrorEmitter = { on(event: 'error', listener: (error: Error) => void): unknown };

/**
 * Gives an emitter an `error` listener for its whole life, and returns it. Node ends the process at an `error` event without a
 * listener, and `once`, `pipeline` and pools take theirs off again while the emitter lives on. Every socket, server, child,
 * thread, pool and stream of ours is created inside this call; `test/architecture.test.ts` looks for others.
 */
export function withErrorListener<Emitter extends AnyEmitter>(
  emitter: Emitter,
  /** Default: nothing. What uses the emitter meets the same error where it waits for it. */
  onError: (error: Error) => void = () => {},
): Emitter {
  // Whatever events it declares, `on` takes any name.
  (emitter as unknown as ErrorEmitter).on('error', onError);
  return emitter;
}
