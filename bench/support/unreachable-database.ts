import type { Database } from '#app/database/database.ts';

/** A database that is away. */
export function unreachableDatabase(): Database {
  const away = () => Promise.reject(new Error('The database is away.'));
  return {
    asUser: away,
    asTenant: away,
    asSystem: away,
    listen: away,
    checkReady: away,
    close: async () => {},
  };
}
