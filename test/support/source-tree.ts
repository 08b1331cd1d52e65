import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** The sources of one version, ready to be run. */
export type SourceTree = Readonly<{ root: string; dispose(): Promise<void> }>;

export const currentTree: SourceTree = { root: ROOT, dispose: async () => undefined };

/** The version of a commit, in a worktree of its own with the packages of this one; null where the history lacks it. */
export async function checkedOutTree(commit: string): Promise<SourceTree | null> {
  const git = (...args: string[]) => run('git', ['-C', ROOT, ...args]);
  try {
    await git('cat-file', '-e', `${commit}^{commit}`);
  } catch {
    return null;
  }
  const root = join(await mkdtemp(join(tmpdir(), 'bulkhead-version-')), 'tree');
  const dispose = async () => {
    await git('worktree', 'remove', '--force', root).catch(() => undefined);
    await rm(join(root, '..'), { recursive: true, force: true });
  };
  try {
    await git('worktree', 'add', '--detach', root, commit);
    await symlink(join(ROOT, 'node_modules'), join(root, 'node_modules'));
    return { root, dispose };
  } catch (error) {
    await dispose();
    throw error;
  }
}

/** This version with more migrations: the one that comes after it, as far as the database can tell. */
export async function treeWithMigrations(migrations: Readonly<Record<string, string>>): Promise<SourceTree> {
  const root = await mkdtemp(join(tmpdir(), 'bulkhead-version-'));
  await cp(join(ROOT, 'src'), join(root, 'src'), { recursive: true });
  await cp(join(ROOT, 'package.json'), join(root, 'package.json'));
  for (const name of ['node_modules', 'models']) await symlink(join(ROOT, name), join(root, name));
  for (const [name, sql] of Object.entries(migrations)) {
    await writeFile(join(root, 'src/app/database/migrations', name), sql);
  }
  return { root, dispose: () => rm(root, { recursive: true, force: true }) };
}
