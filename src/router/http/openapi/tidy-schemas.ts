type Json = null | boolean | number | string | Json[] | { [name: string]: Json };

const PREFIX = '#/components/schemas/';
/** What the library adds to a schema's name where it describes what is sent, not what is answered. */
const SENT = 'Input';

/**
 * Makes one component of a schema that is the same whether it is sent or answered, names what is only sent without a
 * suffix, and leaves out what nothing refers to.
 */
export function tidySchemas(document: { components: { schemas?: unknown } }): void {
  const tree = document as unknown as { [name: string]: Json; components: { [name: string]: Json } };
  dropNoise(tree);
  const schemas = (tree.components.schemas ?? {}) as Record<string, Json>;
  tree.components.schemas = {};
  const used = reachable(tree, schemas);
  const names = new Map<string, string>();
  const same = equalPairs(schemas);
  for (const name of used) {
    const plain = plainName(name, schemas);
    const isFree = plain !== name && (same.has(plain) || !used.has(plain));
    names.set(name, isFree ? plain : name);
  }
  const renamed: Record<string, Json> = {};
  for (const name of [...used].sort()) renamed[names.get(name) ?? name] = schemas[name] ?? {};
  tree.components.schemas = renamed;
  rename(tree, names);
}

/** `TenantConfig` for `TenantConfigInput`; the name itself where it is of what is answered. */
function plainName(name: string, schemas: Record<string, Json>): string {
  const plain = name.endsWith(SENT) ? name.slice(0, -SENT.length) : name;
  return Object.hasOwn(schemas, plain) ? plain : name;
}

/** Names of schemas that are the same in both directions, with all that they refer to. */
function equalPairs(schemas: Record<string, Json>): Set<string> {
  const same = new Set(Object.keys(schemas).filter((name) => Object.hasOwn(schemas, `${name}${SENT}`)));
  const written = (name: string) =>
    JSON.stringify(schemas[name], (key, value: unknown) => {
      if (key !== '$ref' || typeof value !== 'string') return value;
      const plain = plainName(value.slice(PREFIX.length), schemas);
      return same.has(plain) ? `${PREFIX}${plain}` : value;
    });
  for (let before = -1; before !== same.size; ) {
    before = same.size;
    for (const name of same) if (written(name) !== written(`${name}${SENT}`)) same.delete(name);
  }
  return same;
}

/** Names of the schemas that the rest of the document refers to, and those that they refer to. */
function reachable(from: Json, schemas: Record<string, Json>): Set<string> {
  const found = new Set<string>();
  const visit = (value: Json): void => {
    each(value, (object) => {
      const { $ref } = object;
      if (typeof $ref !== 'string' || !$ref.startsWith(PREFIX)) return;
      const name = $ref.slice(PREFIX.length);
      if (found.has(name)) return;
      found.add(name);
      visit(schemas[name] ?? null);
    });
  };
  visit(from);
  return found;
}

function rename(value: Json, names: ReadonlyMap<string, string>): void {
  each(value, (object) => {
    const { $ref } = object;
    if (typeof $ref !== 'string' || !$ref.startsWith(PREFIX)) return;
    const name = $ref.slice(PREFIX.length);
    object.$ref = `${PREFIX}${names.get(name) ?? name}`;
  });
}

/** Bounds that only say that a number is exact in JavaScript, and the calendar written as a pattern. */
function dropNoise(value: Json): void {
  each(value, (object) => {
    if (object.format === 'date-time') delete object.pattern;
    if (object.type !== 'integer') return;
    if (object.minimum === Number.MIN_SAFE_INTEGER) delete object.minimum;
    if (object.maximum === Number.MAX_SAFE_INTEGER) delete object.maximum;
  });
}

/** Calls for every object of a tree, those within objects too. */
function each(value: Json, look: (object: { [name: string]: Json }) => void): void {
  if (typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) each(item, look);
    return;
  }
  look(value);
  for (const item of Object.values(value)) each(item, look);
}
