import { cp } from 'node:fs/promises';

/** `tsc` emits code only: the SQL of the migrations goes along. */
await cp(
  new URL('../src/app/database/migrations', import.meta.url),
  new URL('../dist/app/database/migrations', import.meta.url),
  {
    recursive: true,
  },
);
