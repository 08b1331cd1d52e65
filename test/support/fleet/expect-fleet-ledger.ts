import { expect } from 'vitest';
import { eventually } from '../http-client.ts';
import { type Ledger, readLedger } from '../read-ledger.ts';
import type { LoadRequest } from './load-request.ts';
import { PACED_PROMPT_TOKENS } from './paced-engine.ts';
import type { Fleet } from './start-fleet.ts';

/** Longer than a router that finds the log of one that was killed takes to ship it. */
const SHIPPED_MS = 90_000;

/**
 * No complete answer without its row, none with two, and each with the tokens that the engine sent; no row of another
 * tenant's; what the engine served of other requests is counted up to what it sent. Rows may be on their way: waits for them.
 */
export async function expectFleetLedger(fleet: Fleet, requests: readonly LoadRequest[]): Promise<void> {
  let ledger: Ledger = { rows: new Map(), totals: new Map() };
  await eventually(
    'complete answers have their rows',
    async () => {
      ledger = await readLedger(fleet);
      return missingIn(ledger, requests).length === 0 ? true : undefined;
    },
    SHIPPED_MS,
  ).catch(() => undefined);
  const differences = missingIn(ledger, requests);
  for (const request of requests) differences.push(...differencesOf(request, fleet, ledger));
  expect(differences.slice(0, 20)).toEqual([]);
}

const hasTurn = ({ kind }: LoadRequest) => kind === 'chat' || kind === 'graph' || kind === 'rag';

function missingIn({ rows }: Ledger, requests: readonly LoadRequest[]): string[] {
  return requests
    .filter(({ verdict, requestId }) => verdict === 'complete' && !rows.has(requestId ?? ''))
    .map(({ kind, tag, requestId }) => `${kind} ${tag} (${requestId}) is complete and has no row`);
}

function differencesOf(request: LoadRequest, { engine }: Fleet, { rows }: Ledger): string[] {
  const { requestId, tag, kind, script, verdict, tenant, received } = request;
  const found = rows.get(requestId ?? '') ?? [];
  const [row] = found;
  const name = `${kind} ${tag} (${requestId}, ${verdict})`;
  if (row === undefined) return [];
  if (found.length > 1) return [`${name} has ${found.length} rows`];
  const differences: string[] = [];
  if (row.tenant_id !== tenant) differences.push(`${name} is in the rows of ${row.tenant_id}`);
  if (!hasTurn(request)) return differences;
  const sent = engine.turns.get(requestId ?? '')?.sentTokens ?? 0;
  const { prompt_tokens, completion_tokens } = row.token_usage;
  if (verdict === 'complete') {
    const isWhole =
      row.outcome === 'ok' &&
      completion_tokens === script.pieces &&
      prompt_tokens === PACED_PROMPT_TOKENS &&
      received === script.pieces;
    if (!isWhole) {
      differences.push(
        `${name}: ${row.outcome}, ${prompt_tokens}+${completion_tokens} tokens, ${received} came of ${script.pieces}`,
      );
    }
  } else if (row.outcome === 'ok') differences.push(`${name} is a complete answer by its row`);
  if (completion_tokens > sent) differences.push(`${name}: ${completion_tokens} tokens of ${sent} sent`);
  return differences;
}
