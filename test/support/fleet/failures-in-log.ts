import type { LoadRequest } from './load-request.ts';
import type { Fleet } from './start-fleet.ts';

/** What the services logged of these requests, shortened: why they did not complete. For messages of assertions. */
export async function failuresInLog(fleet: Fleet, requests: readonly LoadRequest[]): Promise<string[]> {
  const ids = requests.map(({ requestId }) => requestId).filter((id) => id !== null);
  const lines = (await fleet.log()).split('\n');
  return ids
    .slice(0, 5)
    .flatMap((id) =>
      lines
        .filter((line) => line.includes(id) && line.includes('"level":"error"'))
        .map((line) => line.replaceAll(/\\n +at [^"\\]*/g, '').slice(0, 1_500)),
    );
}
