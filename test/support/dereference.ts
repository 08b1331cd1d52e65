/** An OpenAPI document with each reference replaced by what it refers to, so that a test need not follow any. */
export function dereference(document: unknown): unknown {
  const at = (pointer: string): unknown =>
    pointer
      .slice(2)
      .split('/')
      .reduce<unknown>(
        (value, name) => (typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined),
        document,
      );
  const resolve = (value: unknown, above: readonly string[]): unknown => {
    if (Array.isArray(value)) return value.map((item) => resolve(item, above));
    if (typeof value !== 'object' || value === null) return value;
    const { $ref: pointer, ...others } = { $ref: undefined, ...value };
    const own = Object.fromEntries(
      Object.entries(others).map(([name, part]) => [name, resolve(part, above)]),
    );
    if (typeof pointer !== 'string') return own;
    if (above.includes(pointer)) throw new Error(`${pointer} holds itself.`);
    const target = resolve(at(pointer), [...above, pointer]);
    if (typeof target !== 'object' || target === null) throw new Error(`${pointer} is not there.`);
    return { ...target, ...own };
  };
  return resolve(document, []);
}
