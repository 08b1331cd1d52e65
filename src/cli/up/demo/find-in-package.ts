import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';

/** A directory of a package that this one depends on, by Node's own resolution; null where it is missing. */
export function findInPackage(packageName: string, directory: string): string | null {
  const require = createRequire(import.meta.url);
  // `require.resolve(name + '/package.json')` fails where the package's exports do not list it.
  for (const modules of require.resolve.paths(packageName) ?? []) {
    if (!existsSync(join(modules, packageName, 'package.json'))) continue;
    const found = join(modules, packageName, directory);
    return existsSync(found) ? found : null;
  }
  return null;
}
