import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { type Lockfile, missingPlatformPackages } from '../scripts/complete-lockfile.ts';

const read = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../${name}`, import.meta.url)), 'utf8');

test('the lockfile holds the native packages of every system, or `npm ci` would refuse it', () => {
  const lockfile = JSON.parse(read('package-lock.json')) as Lockfile;
  expect(missingPlatformPackages(lockfile)).toEqual({});
});

test('a platform package that npm left out is found, with what it runs on', () => {
  const lockfile: Lockfile = {
    packages: {
      'node_modules/a': { optionalDependencies: { '@a/cli-linux-arm64-musl': '1.2.3', fast: '^1' } },
    },
  };
  expect(missingPlatformPackages(lockfile)).toEqual({
    'node_modules/@a/cli-linux-arm64-musl': {
      version: '1.2.3',
      cpu: ['arm64'],
      libc: ['musl'],
      optional: true,
      os: ['linux'],
    },
  });
});
