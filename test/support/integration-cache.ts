import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * Where `scripts/install-integration-dependencies.sh` puts what no package manager of the system has: the
 * llama.cpp server, its model and a Python environment. Outside the clone, so that the next clone finds it.
 */
export const integrationCache = (): string =>
  process.env.BULKHEAD_INTEGRATION_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'bulkhead-integration');
