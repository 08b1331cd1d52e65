import type { z } from 'zod';

const NAMES: Readonly<Record<string, string>> = {
  string: 'a string',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'an array',
  tuple: 'an array',
  object: 'an object',
  record: 'an object',
  null: 'null',
};

const FORMATS: Readonly<Record<string, string>> = {
  email: 'an e-mail address',
  url: 'a URL such as https://example.com',
  base64: 'base64',
  datetime: 'a time such as 2026-01-31T12:00:00Z',
  date: 'a date such as 2026-01-31',
  ipv4: 'an IPv4 address',
  ipv6: 'an IPv6 address',
};

/** What a value is in JSON's words. */
function nameOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'an array';
  return NAMES[typeof value] ?? typeof value;
}

/**
 * What is wrong, in words that go after the field's name: `is required`, `must be an array, not a string`. An error map for zod's
 * parsers; messages that a schema gives itself come before it. None of zod's own words are left.
 */
export const plainMessage: z.core.$ZodErrorMap = (issue) => {
  switch (issue.code) {
    case 'invalid_type':
      return typeMessage(issue.expected, issue.input);
    case 'invalid_value': {
      return issue.input === undefined ? 'is required' : oneOf(issue.values);
    }
    case 'too_small':
      return sizeMessage(issue.origin, 'at least', 'more than', issue.minimum, issue.inclusive);
    case 'too_big':
      return sizeMessage(issue.origin, 'at most', 'less than', issue.maximum, issue.inclusive);
    case 'invalid_format': {
      const format = FORMATS[issue.format];
      if (format !== undefined) return `must be ${format}`;
      return issue.format === 'regex' ? `must match ${issue.pattern}` : 'is not of the form that is needed';
    }
    case 'unrecognized_keys':
      return issue.keys.length === 1
        ? `${issue.keys[0]} is not a known field`
        : `${issue.keys.join(', ')} are not known fields`;
    case 'invalid_key':
      return `has a name that ${issue.issues[0]?.message ?? 'is not valid'}`;
    case 'not_multiple_of':
      return `must be a multiple of ${issue.divisor}`;
    case 'invalid_union':
      if (Array.isArray(issue.options)) return oneOf(issue.options);
      return unionMessage(issue.errors, issue.input) ?? 'is not valid';
    default:
      return 'is not valid';
  }
};

function oneOf(allowed: readonly unknown[]): string {
  const values = allowed.map((value) => JSON.stringify(value) ?? String(value));
  return values.length === 1 ? `must be ${values[0]}` : `must be one of ${values.join(', ')}`;
}

function typeMessage(expected: string, input: unknown): string {
  if (input === undefined) return 'is required';
  const wanted = NAMES[expected] ?? expected;
  // A number that is no whole one, or is none that a double can hold.
  return typeof input === 'number' && ['int', 'number'].includes(expected)
    ? `must be ${wanted}`
    : `must be ${wanted}, not ${nameOf(input)}`;
}

function sizeMessage(
  origin: string,
  inclusive: string,
  exclusive: string,
  limit: number | bigint,
  isInclusive = true,
): string {
  const bound = `${isInclusive ? inclusive : exclusive} ${limit}`;
  const unit = limit === 1 ? '' : 's';
  switch (origin) {
    case 'string':
      return bound === 'at least 1' ? 'must not be empty' : `must have ${bound} character${unit}`;
    case 'array':
    case 'set':
      return bound === 'at least 1' ? 'must not be empty' : `must have ${bound} item${unit}`;
    case 'object':
    case 'record':
    case 'map':
      return bound === 'at least 1' ? 'must not be empty' : `must have ${bound} field${unit}`;
    default:
      return `must be ${bound}`;
  }
}

/** Where none of the choices is of the value's type, the types. What is wrong within one of them is `deepestIssue`'s to say. */
function unionMessage(choices: readonly (readonly z.core.$ZodIssue[])[], input: unknown): string | undefined {
  if (input === undefined) return 'is required';
  const names = new Set<string>();
  for (const [issue] of choices) {
    if (issue?.code === 'invalid_type' && issue.path.length === 0)
      names.add(NAMES[issue.expected] ?? issue.expected);
    else if (issue?.code === 'invalid_value' && issue.path.length === 0) {
      for (const value of issue.values) names.add(JSON.stringify(value) ?? String(value));
    } else return issue?.path.length === 0 ? issue.message : undefined;
  }
  if (names.size === 0) return undefined;
  const wanted = `must be ${[...names].join(' or ')}`;
  // A string that is none of the strings allowed.
  return wanted.includes('"') ? wanted : `${wanted}, not ${nameOf(input)}`;
}

/** The `error` of a schema with words of its own, for a value that is there. */
export const requiredOr =
  (message: string) =>
  ({ input }: { input?: unknown }): string =>
    input === undefined ? 'is required' : message;

/**
 * The issue that says most: of a union none of whose choices fit, that of the choice that the value came furthest into, with the whole
 * path to it.
 */
export function deepestIssue(issue: z.core.$ZodIssue): z.core.$ZodIssue {
  if (issue.code !== 'invalid_union') return issue;
  const within = issue.errors
    .flatMap(([first]) => (first === undefined ? [] : [deepestIssue(first)]))
    .filter(({ path }) => path.length > 0);
  const deepest = within.sort((one, other) => other.path.length - one.path.length)[0];
  return deepest === undefined ? issue : { ...deepest, path: [...issue.path, ...deepest.path] };
}
