import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { collectFiles } from '#cli/ingest/collect-files.ts';

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'bulkhead-collect-'));
  await mkdir(join(root, 'docs/deep'), { recursive: true });
  await mkdir(join(root, 'docs/node_modules'));
  await mkdir(join(root, 'docs/.hidden'));
  await mkdir(join(root, 'empty'));
  for (const name of ['b.md', 'a.PDF', 'x.png', 'deep/c.txt', 'node_modules/d.md', '.hidden/e.md']) {
    await writeFile(join(root, 'docs', name), name);
  }
  await symlink(root, join(root, 'docs/loop'));
});
afterAll(() => rm(root, { recursive: true, force: true }));

const names = (files: { path: string }[]) => files.map(({ path }) => path.slice(root.length + 1));

it('takes the documents of a directory to its bottom, in order, without links and hidden entries', async () => {
  const { files, failures } = await collectFiles([join(root, 'docs')]);
  expect(names(files)).toEqual(['docs/a.PDF', 'docs/b.md', 'docs/deep/c.txt']);
  expect(failures).toEqual([]);
});

it('takes any file that is named, once', async () => {
  const image = join(root, 'docs/x.png');
  const { files } = await collectFiles([image, image, join(root, 'docs/b.md')]);
  expect(files.map(({ filename }) => filename)).toEqual(['x.png', 'b.md']);
});

it('says what is missing or holds nothing, and goes on', async () => {
  const { files, failures } = await collectFiles([
    join(root, 'no'),
    join(root, 'empty'),
    join(root, 'docs/b.md'),
  ]);
  expect(files).toHaveLength(1);
  expect(failures.map(({ code }) => code)).toEqual(['ENOENT', 'no_documents']);
});

it('takes other endings when told to', async () => {
  expect(names((await collectFiles([join(root, 'docs')], ['png'])).files)).toEqual(['docs/x.png']);
});
