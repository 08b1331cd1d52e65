import { expect } from 'vitest';
import type { ChaosResult } from './ledger-chaos.ts';

/**
 * The ledger has what the engine served, to the token, apart from what it estimates: every request once, and none of which there is no trace. Of
 * requests that a rough kill cut off, the engine may have sent what nobody has read: they lie between what the
 * client has had and what the engine has sent. Returns the figures.
 */
export function expectExactLedger({ asked, served, rows, totals }: ChaosResult) {
  const byTag = new Map([...served.values()].map((turn) => [turn.tag, turn]));
  const differences: string[] = [];
  const expected = new Map<string, { prompt: number; completion: number }>();
  let cut = 0;
  let unread = 0;
  for (const request of asked) {
    const turn = byTag.get(request.tag);
    const requestId = turn?.requestId ?? request.requestId;
    const sum = expected.get(request.tenant) ?? { prompt: 0, completion: 0 };
    expected.set(request.tenant, sum);
    const found = requestId === null ? [] : (rows.get(requestId) ?? []);
    // Served, or answered: then there is a row. Cut off before either, nothing was used.
    const needsRow = turn !== undefined || (request.isDone && requestId !== null);
    if (found.length > 1 || (needsRow && found.length === 0)) {
      differences.push(`${request.tag} (${request.script.ending}) has ${found.length} rows`);
      continue;
    }
    const row = found[0];
    if (row === undefined) continue;
    if (row.tenant_id !== request.tenant) differences.push(`${request.tag} is ${row.tenant_id}’s`);
    const { prompt_tokens, completion_tokens } = row.token_usage;
    if (row.estimated_prompt_tokens > 0 && (prompt_tokens > 0 || row.outcome !== 'aborted')) {
      differences.push(`${request.tag}: a prompt is estimated and counted, or was not left by its client`);
    }
    sum.prompt += prompt_tokens;
    sum.completion += completion_tokens;
    const sent = turn?.completionTokens ?? 0;
    if (request.isCut && !request.isDone) {
      cut += 1;
      unread += sent - completion_tokens;
      if (completion_tokens > sent)
        differences.push(`${request.tag}: ${completion_tokens} of ${sent} tokens`);
    } else if (completion_tokens !== sent || prompt_tokens !== (turn?.promptTokens ?? 0)) {
      differences.push(
        `${request.tag} (${request.script.ending}, stream ${request.stream}, done ${request.isDone}, ${row.outcome}): ` +
          `${prompt_tokens}+${completion_tokens} tokens, served ${turn?.promptTokens}+${sent}`,
      );
    }
  }
  expect(differences.slice(0, 20)).toEqual([]);
  const known = new Set(asked.map(({ tag, requestId }) => byTag.get(tag)?.requestId ?? requestId));
  // Begun, and cut off before the engine was asked: the client does not know the id either.
  const untold = [...rows.values()].flat().filter(({ request_id }) => !known.has(request_id));
  expect(untold.filter(({ token_usage }) => token_usage.total_tokens > 0)).toEqual([]);
  const nameless = asked.filter(
    ({ tag, requestId, isCut }) => isCut && requestId === null && !byTag.has(tag),
  );
  expect(untold.length).toBeLessThanOrEqual(nameless.length);
  for (const [tenant, { prompt, completion }] of expected) {
    expect([tenant, totals.get(tenant)]).toMatchObject([tenant, { prompt, completion }]);
  }
  return { requests: asked.length, rows: rows.size, cut, unread };
}
