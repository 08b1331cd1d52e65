import { expect, it } from 'vitest';
import { expectExactLedger } from '../support/expect-exact-ledger.ts';
import { runLedgerChaos } from '../support/ledger-chaos.ts';

it('the ledger equals what the engine served, to the token, over kill -9', async () => {
  const result = await runLedgerChaos({ requests: 300, kills: ['calm', 'rough'], connections: 16 });
  const figures = expectExactLedger(result);
  expect(figures.requests).toBeGreaterThanOrEqual(300);
}, 180_000);
