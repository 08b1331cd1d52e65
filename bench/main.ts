/**
 * `npm run bench -- <name> [options]`: runs one benchmark, a file of this directory. Each prints its claims on stdout,
 * one JSON line each, with the machine that they were measured on; progress goes to stderr.
 */
import { readdirSync } from 'node:fs';

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.ts') && file !== 'main.ts')
  .map((file) => file.replace('.ts', ''))
  .sort();
const [name = '', ...args] = process.argv.slice(2);

if (names.includes(name)) {
  const benchmark: unknown = await import(`./${name}.ts`);
  // One without `run` runs when it is imported.
  if (isRunnable(benchmark)) await benchmark.run(args);
} else {
  console.error(`Usage: npm run bench -- <${names.join(' | ')}>`);
  process.exitCode = 2;
}

function isRunnable(value: unknown): value is { run(args: readonly string[]): Promise<void> } {
  return typeof value === 'object' && value !== null && 'run' in value && typeof value.run === 'function';
}
