#!/usr/bin/env node
/** `npx bulkhead …` in the clone: installs what is missing, then runs the CLI on the Node 24 of the clone. */
import { spawn } from 'node:child_process';
import module from 'node:module';
import { fileURLToPath } from 'node:url';
import { ensureInstalled, nodeBinary } from '../scripts/bootstrap.mjs';

const main = new URL('../src/cli/main.ts', import.meta.url);

// Compiled once, then read: a command starts in half the time. Node 20 has no such cache; an unwritable one is ignored.
module.enableCompileCache?.(fileURLToPath(new URL('../.cache/node', import.meta.url)));

try {
  await ensureInstalled();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(process.exitCode || 1);
}

if (Number(process.versions.node.split('.')[0]) >= 24) {
  await import(main.href);
} else {
  const child = spawn(nodeBinary(), [fileURLToPath(main), ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal's Ctrl-C reaches the child by itself; what is sent to this process alone is passed on.
  const forwarded = ['SIGTERM', 'SIGHUP', ...(process.stdin.isTTY ? [] : ['SIGINT'])];
  for (const signal of forwarded) process.on(signal, () => child.kill(signal));
  if (process.stdin.isTTY) process.on('SIGINT', () => {});
  child.once('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' ? 130 : 143);
  });
}
