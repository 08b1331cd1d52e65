import { z } from 'zod';

/** A switch. */
export const flag = z
  .enum(['on', 'off', 'true', 'false', '1', '0'])
  .transform((value) => value === 'on' || value === 'true' || value === '1');

/** JSON as text; `fallback` where it is absent. */
export const json = (fallback: string) =>
  z
    .string()
    .default(fallback)
    .transform((text, context): unknown => {
      try {
        return JSON.parse(text);
      } catch {
        context.addIssue('must be JSON');
        return z.NEVER;
      }
    });

/** Items with commas between; blank ones are left out. */
export const commaList = z
  .string()
  .default('')
  .transform((text) =>
    text
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== ''),
  );

/**
 * `name=value` pairs with commas between, values URL-encoded.
 * https://opentelemetry.io/docs/specs/otel/resource/sdk/#specifying-resource-information-via-an-environment-variable
 */
export const keyValueList = z
  .string()
  .default('')
  .transform((text, context): Readonly<Record<string, string>> => {
    const pairs: [string, string][] = [];
    for (const part of text.split(',').filter((item) => item.trim() !== '')) {
      const at = part.indexOf('=');
      try {
        if (at < 1) throw new Error('no name');
        pairs.push([part.slice(0, at).trim(), decodeURIComponent(part.slice(at + 1).trim())]);
      } catch {
        context.addIssue('must be name=value pairs with commas between, URL-encoded');
        return z.NEVER;
      }
    }
    return Object.fromEntries(pairs);
  });

/** A time, whole milliseconds. */
export const milliseconds = z.coerce.number().int().positive();
