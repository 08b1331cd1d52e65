/**
 * Adds to package-lock.json the platform packages (native binaries for other systems) that npm left out
 * because the registry in use does not serve them. Without their entries `npm ci` refuses the lockfile on
 * every system. With `--check` it only tells. Run it after `npm install`.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

type LockedPackage = {
  version?: string;
  dev?: boolean;
  optional?: boolean;
  cpu?: string[];
  os?: string[];
  libc?: string[];
  optionalDependencies?: Record<string, string>;
};
export type Lockfile = { packages: Record<string, LockedPackage> };

const EXACT_VERSION = /^\d+\.\d+\.\d+(?:[-+].*)?$/;

/** The packages by their path in node_modules that the lockfile needs and does not have. */
export function missingPlatformPackages(lockfile: Lockfile): Record<string, LockedPackage> {
  const missing: Record<string, LockedPackage> = {};
  for (const parent of Object.values(lockfile.packages)) {
    for (const [name, version] of Object.entries(parent.optionalDependencies ?? {})) {
      const path = `node_modules/${name}`;
      const os = /(?:^|[-/])(android|darwin|linux|win32|freebsd)/.exec(name)?.[1];
      const cpu = /-(arm64|x64)(?:-|$)/.exec(name)?.[1];
      if (os === undefined || cpu === undefined || path in lockfile.packages) continue;
      if (!EXACT_VERSION.test(version)) {
        throw new Error(`${name}@${version}: only an exact version can be locked without the registry`);
      }
      const libc = name.includes('musl') ? ['musl'] : name.includes('gnu') ? ['glibc'] : undefined;
      missing[path] = {
        version,
        cpu: [cpu],
        ...(parent.dev === true ? { dev: true } : {}),
        ...(libc === undefined ? {} : { libc }),
        optional: true,
        os: [os],
      };
    }
  }
  return missing;
}

function main(): void {
  const file = fileURLToPath(new URL('../package-lock.json', import.meta.url));
  const lockfile = JSON.parse(readFileSync(file, 'utf8')) as Lockfile;
  const missing = missingPlatformPackages(lockfile);
  const names = Object.keys(missing);
  if (names.length === 0) {
    console.log('package-lock.json has every platform package.');
    return;
  }
  if (process.argv.includes('--check')) {
    console.error(`package-lock.json lacks ${names.join(', ')}.\nRun: node scripts/complete-lockfile.ts`);
    process.exitCode = 1;
    return;
  }
  const entries = Object.entries({ ...lockfile.packages, ...missing });
  lockfile.packages = Object.fromEntries(entries.sort(([a], [b]) => a.localeCompare(b, 'en')));
  writeFileSync(file, `${JSON.stringify(lockfile, null, 2)}\n`);
  console.log(`Added ${names.length} platform packages to package-lock.json.`);
}

if (import.meta.main) main();
