/**
 * The statements of a migration that runs without a transaction, which must be sent one at a time. Each ends with a
 * semicolon at the end of a line; comments have lines of their own. Throws for texts that may hold semicolons.
 */
export function splitStatements(sql: string): string[] {
  if (/\$[a-z_]*\$/i.test(sql))
    throw new Error('A migration without a transaction cannot hold quoted bodies ($$).');
  const code = sql
    .split('\n')
    .filter((line) => !line.trimStart().startsWith('--'))
    .join('\n');
  return code
    .split(/;[ \t]*(?:\n|$)/)
    .map((statement) => statement.trim())
    .filter((statement) => statement !== '');
}
