import { parentPort } from 'node:worker_threads';
import { type CompiledPolicy, compilePolicy } from '#router/policy/compile-policy.ts';
import type { ContentJob, ContentReply } from '#router/policy/content-lane.ts';
import { decideContent } from '#router/policy/decide-content.ts';

if (parentPort === null) throw new Error('content-worker.ts runs as a worker thread only.');
const port = parentPort;

/** Policies that are kept compiled. A version never changes. */
const MAX_POLICIES = 20;
const policies = new Map<string, CompiledPolicy>();

function policyOf({ config, version }: ContentJob): CompiledPolicy {
  const key = `${config.tenant_id}:${version}`;
  const policy = policies.get(key) ?? compilePolicy(config, version);
  // The most recently used one is the last.
  policies.delete(key);
  policies.set(key, policy);
  const [oldest] = policies.keys();
  if (policies.size > MAX_POLICIES && oldest !== undefined) policies.delete(oldest);
  return policy;
}

// The only sender is content-lane.ts, which uses the same types.
port.on('message', (job: ContentJob) => {
  port.postMessage({ began: true } satisfies ContentReply);
  let reply: ContentReply;
  try {
    reply = { decision: decideContent(policyOf(job), job.text) };
  } catch (error) {
    reply = { failed: error instanceof Error ? error.message : String(error) };
  }
  port.postMessage(reply);
});
