import { hash } from 'node:crypto';
import { createDeadline } from '#app/deadline.ts';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { FairSemaphore } from '#app/fair/fair-semaphore.ts';
import { RecentMap } from '#app/recent-map.ts';
import type { JudgeSetting } from '#app/schemas/guardrail-judge.ts';
import type { TenantConfig } from '#app/schemas/tenant-config.ts';
import type { Settings } from '#app/settings/settings.ts';
import { createBedrockJudge } from '#router/judges/bedrock-judge.ts';
import { type Judge, type JudgedText, JudgeFailure, type Verdict } from '#router/judges/judge.ts';
import { createJudgeHttp } from '#router/judges/judge-http.ts';
import { createLlamaGuardJudge } from '#router/judges/llama-guard-judge.ts';
import { TenantPlaces } from '#router/judges/tenant-places.ts';
import type { CompiledPolicy } from '#router/policy/compile-policy.ts';

/** For whom a judge is asked. */
export type AskedFor = Readonly<{ policy: CompiledPolicy; signal: AbortSignal }>;

export interface AvailableJudge {
  readonly maxCharacters: number;
  /** Throws {@link JudgeFailure} where there is no verdict in time, or the signal’s reason. */
  ask(asked: AskedFor, text: JudgedText): Promise<Verdict & { isCached: boolean }>;
}

/** The judges of the deployment. */
export interface Judges {
  /** null where there is none of that name, or not for this tenant. */
  find(name: string, tenantId: string): AvailableJudge | null;
  /** Throws `invalid_request` naming the field where a tenant picks a judge that it cannot have. */
  checkConfig(config: TenantConfig): void;
  close(): Promise<void>;
}

/** Verdicts that are remembered at least of one tenant’s policy; they go when its version does. */
const MIN_VERDICTS = 1_000;
/** Calls of all tenants that may wait for one judge. */
const MAX_WAITING = 4_096;
const VERDICT_MS = 10 * 60_000;

/** Connects to nothing yet. */
export function createJudges(options: {
  settings: Pick<Settings, 'GUARDRAIL_JUDGES'>;
  /** The judges' settings as of now: their keys may change while the process runs, all else may not. */
  current?: () => Settings['GUARDRAIL_JUDGES'];
  /** Milliseconds. */
  monotonicNow: () => number;
}): Judges {
  const { settings, monotonicNow, current = () => settings.GUARDRAIL_JUDGES } = options;
  const keyOf = (name: string): string | undefined => {
    const found = current().find((setting) => setting.name === name);
    return found?.kind === 'llama_guard' ? found.api_key : undefined;
  };
  const open = (setting: JudgeSetting): Judge =>
    setting.kind === 'llama_guard'
      ? createLlamaGuardJudge(setting, createJudgeHttp(), () => keyOf(setting.name))
      : createBedrockJudge(setting);
  const judges = new Map(
    settings.GUARDRAIL_JUDGES.map((setting) => {
      const judge = open(setting);
      return [setting.name, { setting, judge, available: availableJudge(setting, judge, monotonicNow) }];
    }),
  );
  const find: Judges['find'] = (name, tenantId) => {
    const found = judges.get(name);
    if (found === undefined) return null;
    const { tenants } = found.setting;
    return tenants === undefined || tenants.some((id) => id === tenantId) ? found.available : null;
  };
  return {
    find,
    checkConfig({ tenant_id, guardrails }) {
      for (const [index, { judge }] of guardrails.judges.entries()) {
        if (find(judge, tenant_id) !== null) continue;
        const param = `guardrails.judges.${index}.judge`;
        throw new BulkheadError('invalid_request', `${param}: there is no such judge for this tenant`, {
          param,
        });
      }
    },
    async close() {
      await Promise.all([...judges.values()].map(({ judge }) => judge.close()));
    },
  };
}

type Verdicts = RecentMap<string, { verdict: Verdict; until: number }>;

/** A judge with a deadline, places for each tenant, and a memory. */
function availableJudge(setting: JudgeSetting, judge: Judge, monotonicNow: () => number): AvailableJudge {
  const places = new TenantPlaces(setting.concurrency);
  const all = new FairSemaphore({
    resource: `calls of the judge ${setting.name}`,
    capacity: setting.total_concurrency,
    maxWaiting: MAX_WAITING,
    maxWaitMs: setting.timeout_ms,
  });
  const verdicts = new WeakMap<CompiledPolicy, Verdicts>();

  const recall = (known: Verdicts, key: string): Verdict | null => {
    const entry = known.get(key);
    return entry !== undefined && entry.until > monotonicNow() ? entry.verdict : null;
  };

  async function call({ policy, signal }: AskedFor, text: JudgedText): Promise<Verdict> {
    const deadline = createDeadline(signal);
    deadline.arm(setting.timeout_ms, () => new BulkheadError('service_unavailable', 'The judge is late.'));
    try {
      const leave = await places.enter(policy.config.tenant_id, deadline.signal);
      try {
        return await all.run(policy.config.tenant_id, deadline.signal, () =>
          judge.judge(text, deadline.signal),
        );
      } finally {
        leave();
      }
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof JudgeFailure) throw error;
      throw new JudgeFailure(
        deadline.signal.aborted
          ? `The judge gave no verdict within ${setting.timeout_ms} ms.`
          : 'The judge failed.',
        { cause: error },
      );
    } finally {
      deadline.end();
    }
  }

  return {
    maxCharacters: setting.max_characters,
    async ask(asked, text) {
      let known = verdicts.get(asked.policy);
      if (known === undefined) {
        known = new RecentMap(MIN_VERDICTS);
        verdicts.set(asked.policy, known);
      }
      const { source, lead, question } = text;
      const key = hash('sha256', JSON.stringify([source, lead, question, text.text]), 'base64');
      const remembered = recall(known, key);
      if (remembered !== null) return { ...remembered, isCached: true };
      const verdict = await call(asked, text);
      // A masked text is the text itself: only hashes and categories are kept.
      if (verdict.outcome !== 'masked') known.set(key, { verdict, until: monotonicNow() + VERDICT_MS });
      return { ...verdict, isCached: false };
    },
  };
}
