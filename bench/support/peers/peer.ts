import { type ChildService, startChildService, untilReady } from '#test/support/child-service.ts';

/** Something that answers `POST /v1/chat/completions` in front of the upstream. */
export type Contestant = Readonly<{
  name: string;
  url: string;
  headers: Readonly<Record<string, string>>;
  /** What the peer calls the upstream's model, where it wants a name of its own. */
  model?: string;
  version?: string;
}>;

/** A peer that runs. */
export type OpenPeer = Readonly<{ contestant: Contestant; close(): Promise<void> }>;

/** A peer that is not measured, and why. */
export type AbsentPeer = Readonly<{ name: string; absent: string }>;

export type Peer = OpenPeer | AbsentPeer;

export const MODEL = 'instant';

/** Starts a server and waits until it answers at all, with whatever status. */
export async function startListening(
  name: string,
  start: { command: string; args: readonly string[]; env?: NodeJS.ProcessEnv; cwd?: string },
  url: string,
  timeoutMs = 30_000,
): Promise<ChildService> {
  const child = startChildService({ name, ...start });
  await untilReady(
    child,
    async () => {
      const response = await fetch(url, { signal: AbortSignal.timeout(1_000) });
      await response.body?.cancel();
      return true;
    },
    timeoutMs,
  );
  return child;
}

/**
 * Why the contestant must not be measured, or null: it has to give the upstream's own reply, whole. One that answers
 * with an error, or from its own head, would be fast for nothing.
 */
export async function flawOfReply({ url, headers }: Contestant, body: string): Promise<string | null> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body,
      signal: AbortSignal.timeout(30_000),
    });
    const text = await response.text();
    const isWhole =
      response.status === 200 &&
      /"content": ?"A short answer of eight tokens\."/.test(text) &&
      /"finish_reason": ?"stop"/.test(text) &&
      /"total_tokens": ?208\b/.test(text);
    return isWhole ? null : `it did not pass the reply on: ${response.status} ${text.slice(0, 300)}`;
  } catch (error) {
    return `it did not answer: ${error instanceof Error ? error.message : error}`;
  }
}

/** Runs the starter; a peer that does not start is absent, with the reason. */
export async function openPeer(name: string, start: () => Promise<Peer>): Promise<Peer> {
  try {
    return await start();
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return { name, absent: `it did not start: ${message.slice(-600)}` };
  }
}
