import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createdInvitationSchema } from '#app/schemas/member.ts';
import { requestLogPageSchema } from '#app/schemas/request-log.ts';
import { usageReportSchema } from '#app/schemas/usage.ts';
import { type CliPlatform, startCliPlatform } from '#test/support/cli-platform.ts';

let started: CliPlatform;
let adminKey: string;
let globexAdminKey: string;
const cli: CliPlatform['cli'] = (...command) => started.cli(...command);

/** The output of a command that must succeed. */
async function ok(...args: string[]): Promise<string> {
  const { code, out, err } = await cli(args);
  if (code !== 0) throw new Error(`${args.join(' ')} ended with ${code}: ${err}`);
  return out;
}

beforeAll(async () => {
  started = await startCliPlatform();
  for (const tenant of ['acme', 'globex']) await ok('tenant', 'create', tenant);
  adminKey = await started.createKey('acme', 'ada', 'admin');
  globexAdminKey = await started.createKey('globex', 'gus', 'admin');
});
afterAll(() => started.stop());

describe('members', () => {
  it('are added, changed, listed and removed', async () => {
    expect(await ok('member', 'list', 'acme')).toBe('Tenant acme lists no members.\n');
    expect(await ok('member', 'add', 'acme', 'bob@acme.example')).toBe(
      'bob@acme.example is a member of acme now (member).\n',
    );
    expect(await ok('member', 'role', 'acme', 'bob@acme.example', '--role', 'admin')).toBe(
      'bob@acme.example is admin now.\n',
    );
    expect(await ok('member', 'list', 'acme', '--key', adminKey)).toMatch(/bob@acme\.example +admin +active/);
    const removed = JSON.parse(await ok('member', 'remove', 'acme', 'bob@acme.example', '--json'));
    expect(removed).toMatchObject({ user_id: 'bob@acme.example', status: 'removed' });
    expect(await ok('member', 'list', 'acme')).toMatch(/bob@acme\.example +admin +removed/);
  });

  it('lose their keys when they are removed', async () => {
    const key = await started.createKey('acme', 'leaver');
    expect((await cli(['usage', '--key', key])).code).toBe(0);
    await ok('member', 'remove', 'acme', 'leaver');
    const refused = await cli(['usage', '--key', key]);
    expect([refused.code, refused.err]).toEqual([1, expect.stringContaining('invalid_credential')]);
  });

  it('come by an invitation, which works once and needs no other credential', async () => {
    const invited = await cli(['member', 'invite', 'acme', '--user', 'kate', '--email', 'k@acme.example']);
    expect(invited.code).toBe(0);
    const token = invited.out.trim();
    expect(token).toMatch(/^inv_[0-9a-z]{26}_[A-Za-z0-9_-]{43}$/);
    expect(invited.err).toContain('kate (member)');
    const listed = await ok('member', 'invitations', 'acme');
    expect(listed).toMatch(/kate +member +k@acme\.example +.*until 20/);
    expect(listed).not.toContain(token.slice(31));

    // A key of this machine is not sent along: it would be another user's.
    const accepted = await cli(['member', 'accept', 'acme', token], { env: { BULKHEAD_API_KEY: adminKey } });
    expect([accepted.code, accepted.err]).toEqual([
      0,
      expect.stringContaining('kate is a member of acme now (member).'),
    ]);
    expect(accepted.out).toMatch(/^bk_[0-9a-z]{26}_[A-Za-z0-9_-]{43}\n$/);
    expect((await cli(['usage', '--key', accepted.out.trim()])).code).toBe(0);
    expect((await cli(['member', 'accept', 'acme', token])).code).toBe(1);
    expect(await ok('member', 'invitations', 'acme')).toMatch(/kate .*accepted 20.* by kate/);
  });

  it('that were invited can be uninvited', async () => {
    const made = createdInvitationSchema.parse(
      JSON.parse(await ok('member', 'invite', 'acme', '--role', 'admin', '--expires-in', '30m', '--json')),
    );
    expect(made).toMatchObject({ user_id: null, role: 'admin', email: null });
    const seconds = (Date.parse(made.expires_at) - Date.parse(made.created_at)) / 1_000;
    expect(Math.abs(seconds - 1_800)).toBeLessThan(60);
    expect(await ok('member', 'uninvite', 'acme', made.invitation_id)).toBe(
      `Invitation ${made.invitation_id} is taken back.\n`,
    );
    const late = await cli(['member', 'accept', 'acme', made.token, '--key', adminKey]);
    expect(late.code).toBe(1);
    expect(await ok('member', 'invitations', 'acme')).toMatch(/anybody +admin .*taken back 20/);
  });

  it('of another tenant are out of reach', async () => {
    for (const args of [
      ['list', 'acme'],
      ['add', 'acme', 'eve'],
      ['remove', 'acme', 'kate'],
      ['invite', 'acme'],
      ['invitations', 'acme'],
    ]) {
      const { code, err } = await cli(['member', ...args, '--key', globexAdminKey]);
      expect([code, err]).toEqual([1, expect.stringContaining('no such')]);
    }
  });
});

describe('a policy’s versions', () => {
  it('are listed, shown and restored', async () => {
    await ok('tenant', 'set', 'acme', 'rag.top_k=3');
    await ok('tenant', 'set', 'acme', 'rag.top_k=4');
    expect(await ok('tenant', 'history', 'acme', '--limit', '2')).toMatch(/^version +at +by\n +3 .*\n +2 /);
    const second = JSON.parse(await ok('tenant', 'history', 'acme', '--at', '2', '--key', adminKey));
    expect(second).toMatchObject({ version: 2, config: { rag: { top_k: 3 } } });
    const late = await cli(['tenant', 'restore', 'acme', '2', '--from', '2']);
    expect([late.code, late.err]).toEqual([1, expect.stringContaining('precondition_failed')]);
    expect(await ok('tenant', 'restore', 'acme', '2', '--from', '3')).toBe(
      'Tenant acme is at version 4 now, as version 2 was.\n',
    );
    expect(JSON.parse(await ok('tenant', 'show', 'acme')).config.rag.top_k).toBe(3);
    expect((await cli(['tenant', 'restore', 'acme', '99'])).code).toBe(1);
  });

  it('are tried on recent requests first', async () => {
    for (let i = 0; i < 3; i++) await ok('usage', '--key', adminKey);
    const page = async () =>
      requestLogPageSchema.parse(JSON.parse(await ok('requests', 'acme', '--user', 'ada', '--json')));
    await expect.poll(async () => (await page()).data.length, { timeout: 20_000 }).toBeGreaterThan(2);
    const dry = await ok('tenant', 'dry-run', 'acme', 'rate_limits.requests_per_minute=1', '--limit', '50');
    expect(dry).toMatch(/^Of \d+ requests [1-9]\d* would newly be refused/);
    expect(dry).toMatch(/newly refused +\S*requests_per_minute +\d+ +req_/);
    const json = JSON.parse(
      await ok('tenant', 'dry-run', 'acme', '--json', '--to', '2020-01-01', 'enabled=false'),
    );
    expect(json).toMatchObject({ tenant_id: 'acme', requests: 0 });
    // Nothing was changed.
    expect(JSON.parse(await ok('tenant', 'show', 'acme')).config.enabled).toBe(true);
  });
});

describe('money', () => {
  it('prices are set from a time on and listed', async () => {
    expect(await ok('price', 'list')).toContain('No prices are set');
    expect(await ok('price', 'set', '*', '--prompt', '0.15', '--completion', '0.6')).toMatch(
      /^version.*\n +1 +\* .* 0\.15 +0\.6 /,
    );
    await ok('price', 'set', 'org/model', '--prompt', '1', '--completion', '2', '--from', '2099-01-01');
    const listed = JSON.parse(await ok('price', 'list', '--json'));
    expect(listed.data).toMatchObject([
      { version: 2, model: 'org/model', effective_from: '2099-01-01T00:00:00.000Z' },
      { version: 1, model: '*', usd_per_million_prompt_tokens: 0.15 },
    ]);
    const past = await cli([
      'price',
      'set',
      'm',
      '--prompt',
      '1',
      '--completion',
      '1',
      '--from',
      '2020-01-01',
    ]);
    expect(past.code).toBe(1);
    expect(past.err).toContain('effective_from');
    expect((await cli(['price', 'list', '--key', adminKey])).code).toBe(1);
  });

  it('a budget is shown, set and taken away', async () => {
    expect(await ok('budget', 'acme')).toMatch(/^Tenant acme has no budget\. Spent since 20..-..-01T00:00/);
    expect(await ok('budget', 'acme', '12.5')).toMatch(
      /^Tenant acme may spend \$12\.5 a month\..* left: \$12/,
    );
    const shown = JSON.parse(await ok('budget', 'acme', '--json', '--key', adminKey));
    expect(shown).toMatchObject({ tenant_id: 'acme', budget_usd: 12.5 });
    expect(shown.left_usd).toBe(12.5 - shown.spent_usd);
    // What a tenant may spend is the operator's to say.
    expect((await cli(['budget', 'acme', '1000', '--key', adminKey])).code).toBe(1);
    expect(await ok('budget', 'acme', 'none')).toContain('has no budget');
  });

  it('usage is told by tenant, user and time', async () => {
    const report = async (...args: string[]) =>
      usageReportSchema.parse(JSON.parse(await ok('usage', '--of', 'acme', '--json', ...args)));
    const all = await report('--key', adminKey);
    expect(all.totals.requests).toBeGreaterThan(3);
    const { totals } = await report('--user', 'kate');
    expect(totals.requests).toBe(1);
    expect((await report('--from', '2099-01-01')).totals.requests).toBe(0);
    expect(await ok('usage', '--of', 'acme')).toMatch(/^route +requests[\s\S]*^all +\d+/m);
    expect(await ok('usage', '--all-tenants', '--to', '2020-01-01')).not.toMatch(/acme +[1-9]/);
    expect((await cli(['usage', '--of', 'acme', '--key', globexAdminKey])).code).toBe(1);
  });
});

describe('the audit and the request log', () => {
  it('are read by kind, and backwards', async () => {
    const prices = JSON.parse(await ok('audit', '--action', 'prices.added', '--json'));
    expect(prices.data.length).toBeGreaterThan(0);
    expect(new Set(prices.data.map(({ action }: { action: string }) => action))).toEqual(
      new Set(['prices.added']),
    );
    const newest = JSON.parse(await ok('audit', 'acme', '--limit', '1', '--json')).data[0].seq;
    const older = JSON.parse(await ok('audit', 'acme', '--before', String(newest), '--limit', '1', '--json'));
    expect(older.data[0].seq).toBe(newest - 1);

    const [first] = JSON.parse(await ok('requests', 'acme', '--json', '--limit', '1')).data;
    const next = JSON.parse(await ok('requests', 'acme', '--json', '--before', first.request_id)).data;
    expect(next.length).toBeGreaterThan(0);
    expect(next.every(({ request_id }: { request_id: string }) => request_id < first.request_id)).toBe(true);
  });
});

describe('erasing', () => {
  it('asks for the id twice, and leaves nothing', async () => {
    await ok('tenant', 'create', 'brief');
    const wrong = await cli(['tenant', 'erase', 'brief', '--confirm', 'briefs']);
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining('brief')]);
    expect((await cli(['tenant', 'erase', 'acme', '--confirm', 'acme', '--key', adminKey])).code).toBe(1);
    expect(await ok('tenant', 'erase', 'brief', '--confirm', 'brief')).toContain('Tenant brief is erased.');
    expect((await cli(['tenant', 'show', 'brief'])).code).toBe(1);
  });
});

it.each([
  [['member', 'add', 'acme', '../keys'], 'user id'],
  [['member', 'add', 'acme', 'a', '--role', 'service'], 'admin'],
  [['member', 'role', 'acme', 'a'], '--role'],
  [['member', 'invite', 'acme', '--expires-in', '7'], '12h'],
  [['member', 'uninvite', 'acme', '../x'], 'invitation id'],
  [['member', 'list', '../x'], 'tenant id'],
  [['price', 'set', 'm', '--prompt', 'free', '--completion', '1'], 'dollars'],
  [['budget', 'acme', '-5'], '-5'],
  [['budget', 'acme', 'all'], 'or none'],
  [['usage', '--of', 'acme', '--all-tenants'], 'not both'],
  [['usage', '--user', 'bob'], '--of'],
  [['usage', '--from', 'yesterday'], '2027-01-31'],
  [['tenant', 'restore', 'acme', 'last'], 'whole number'],
  [['tenant', 'dry-run', 'acme'], 'Nothing to set'],
  [['tenant', 'dry-run', 'acme', 'wieght=2'], 'wieght'],
  [['tenant', 'erase', 'acme'], '--confirm'],
  [['audit', '--action', 'shout'], 'Allowed choices'],
  [['audit', '--limit', '0'], 'above 0'],
  [['requests', 'acme', '--outcome', 'fine'], 'Allowed choices'],
  [['requests', 'acme', '--limit', '1000'], 'at most 100'],
  [['tenant', 'history', 'acme', '--limit', '101'], 'at most 100'],
])('says what is wrong with %j and exits with 2', async (args, words) => {
  const { code, err } = await cli(args);
  expect([code, err]).toEqual([2, expect.stringContaining(words)]);
});

it('has every command in docs/cli.md, and no other', async () => {
  const commandsOf = async (...names: string[]): Promise<string[]> => {
    const help = await ok(...names, '--help');
    const [, listed = ''] = help.split(/^Commands:$/m);
    const children = [...listed.matchAll(/^ {2}([a-z-]+)/gm)].map(([, name]) => name ?? '');
    const own = children.filter((name) => name !== 'help');
    if (own.length === 0) return [names.join(' ')];
    return (await Promise.all(own.map((name) => commandsOf(...names, name)))).flat();
  };
  const commands = await commandsOf();
  const text = await readFile(new URL('../../docs/cli.md', import.meta.url), 'utf8');
  const documented = [...text.matchAll(/`bulkhead ([a-z-]+(?: [a-z-]+)?)/g)].map(([, name]) => name ?? '');
  expect(commands.length).toBeGreaterThan(25);
  expect(commands.filter((command) => !documented.includes(command))).toEqual([]);
  const isKnown = (name: string) => commands.includes(name) || commands.includes(name.split(' ')[0] ?? '');
  expect(documented.filter((name) => !isKnown(name))).toEqual([]);
});

it('reads a draft from a file', async () => {
  await writeFile(join(started.root, 'draft.json'), '{"enabled": false}');
  const path = join(started.root, 'draft.json');
  expect(JSON.parse(await ok('tenant', 'dry-run', 'acme', '--file', path, '--json'))).toMatchObject({
    tenant_id: 'acme',
  });
});
