import { untilAborted } from '#app/until-aborted.ts';
import { CredentialRefused } from '#inference/openai/engine-failure.ts';
import { AttemptFailure } from '#inference/retry.ts';

/** The key that a server asks for. It may change while the process runs. */
export type EngineCredential = Readonly<{
  /** undefined: none is sent. */
  current(): string | undefined;
  /**
   * Looks for a newer key after a server refused the present one, at most every other second; resolves with whether settings
   * changed. Never rejects. Absent: there can be none.
   */
  refresh?: () => Promise<boolean>;
}>;

/** A key that never changes. */
export const fixedCredential = (apiKey: string | undefined): EngineCredential => ({ current: () => apiKey });

/** As the header that carries it. */
export function authorizationOf(credential: EngineCredential): Readonly<Record<string, string>> {
  const apiKey = credential.current();
  return apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` };
}

/** How long a key that worked before is waited for, while the server refuses it and no newer one is there, milliseconds. */
const LONGEST_MS = 10_000;

/**
 * Attempts with a key that may change. A refused key is looked up again, and where there is a newer one the attempt may be
 * repeated. A key that worked and is refused now is being rotated: the newer one is waited for, up to LONGEST_MS. One that
 * never worked is wrong, and the attempt fails at once.
 */
export function createKeyedAttempts(
  credential: EngineCredential,
  monotonicNow: () => number,
): <Result>(attempt: () => Promise<Result>, signal: AbortSignal) => Promise<Result> {
  const { refresh } = credential;
  if (refresh === undefined) return (attempt) => attempt();
  let worked: string | undefined;

  async function isReplaced(tried: string | undefined, signal: AbortSignal): Promise<boolean> {
    const from = monotonicNow();
    for (;;) {
      // Calls share a look, and looks have a pause between them.
      await untilAborted(refresh?.() ?? Promise.resolve(false), signal);
      if (credential.current() !== tried) return true;
      if (tried !== worked || monotonicNow() - from > LONGEST_MS) return false;
    }
  }

  return async (attempt, signal) => {
    const tried = credential.current();
    try {
      const result = await attempt();
      worked = tried;
      return result;
    } catch (error) {
      if (!(error instanceof CredentialRefused) || !(await isReplaced(tried, signal))) throw error;
      throw new AttemptFailure(error.failure, true);
    }
  };
}
