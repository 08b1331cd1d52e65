import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { FILTER_FIELDS, type VaultFilter } from '#rag/index/vault-filter.ts';

/** Deeper trees than any caller makes; the SQL parser below recurses. */
const MAX_DEPTH = 16;
const MAX_VALUES = 10_000;

const COMPARISONS: Readonly<Record<string, string>> = { eq: '=', lt: '<', lte: '<=', gt: '>', gte: '>=' };

/**
 * A filter as the SQL of LanceDB (DataFusion), whose filters are text without parameters. Everything is checked
 * at run time as well, since a filter may come out of JSON: a field or operator that is not known throws, and is
 * never left out.
 */
export function toLanceSql(filter: VaultFilter, depth = 0): string {
  if (depth > MAX_DEPTH) throw refused('it is nested too deeply');
  switch (filter.op) {
    case 'and':
    case 'or': {
      if (filter.filters.length === 0) return filter.op === 'and' ? 'TRUE' : 'FALSE';
      const parts = filter.filters.map((part) => toLanceSql(part, depth + 1));
      return `(${parts.join(filter.op === 'and' ? ' AND ' : ' OR ')})`;
    }
    case 'not':
      // Not NOT: of an unknown (a null page) it would be unknown, and the row lost.
      return `((${toLanceSql(filter.filter, depth + 1)}) IS NOT TRUE)`;
    case 'in': {
      if (filter.values.length > MAX_VALUES) throw refused('it lists too many values');
      if (filter.values.length === 0) return 'FALSE';
      return `(${column(filter.field, 'text')} IN (${filter.values.map(textLiteral).join(', ')}))`;
    }
    case 'eq':
    case 'lt':
    case 'lte':
    case 'gt':
    case 'gte':
      return comparison(filter.op, filter.field, filter.value);
    default:
      throw refused(`it has the operator ${JSON.stringify((filter satisfies never as { op: unknown }).op)}`);
  }
}

function comparison(op: string, field: string, value: unknown): string {
  const sign = COMPARISONS[op];
  if (sign === undefined) throw refused(`it has the operator ${JSON.stringify(op)}`);
  if (typeof value !== 'string') return `(${column(field, 'number')} ${sign} ${numberLiteral(value)})`;
  if (op !== 'eq') throw refused(`it compares text by ${JSON.stringify(op)}`);
  return `(${column(field, 'text')} = ${textLiteral(value)})`;
}

function column(field: string, kind: 'text' | 'number'): string {
  const known: Readonly<Record<string, string>> = FILTER_FIELDS;
  if (!Object.hasOwn(known, field) || known[field] !== kind) {
    throw refused(`it compares the field ${JSON.stringify(field)} with a ${kind}`);
  }
  return field;
}

/** DataFusion knows one escape in a literal, the doubled quote; a backslash is a plain character (tested). */
function textLiteral(value: unknown): string {
  if (typeof value !== 'string') throw refused('it compares text with something else');
  // A lone surrogate would become U+FFFD on its way into UTF-8, and match what it is not.
  if (!value.isWellFormed()) throw refused('it compares with text that is not Unicode');
  return `'${value.replaceAll("'", "''")}'`;
}

function numberLiteral(value: unknown): string {
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) {
    throw refused('it compares a number with something else than an integer');
  }
  return String(value);
}

const refused = (why: string) =>
  new BulkheadError('internal_error', 'A search filter was refused.', {
    cause: new Error(`The filter is not supported: ${why}.`),
  });
