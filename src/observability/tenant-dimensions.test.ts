import { describe, expect, it } from 'vitest';
import { createTenantDimensions } from '#observability/tenant-dimensions.ts';

describe('tenants with metrics of their own', () => {
  it('are those of the list, and no more than the bound', () => {
    const dimensions = createTenantDimensions({
      tenants: ['acme', 'globex', 'initech'],
      max: 2,
      now: () => 0,
    });
    expect(['acme', 'globex', 'initech', 'other'].map(dimensions.hasOwn)).toEqual([true, true, false, false]);
    expect(dimensions.size).toBe(2);
  });

  it('are the busiest of all, however many there are', () => {
    const removed: string[] = [];
    const dimensions = createTenantDimensions({
      tenants: '*',
      max: 3,
      now: () => 0,
      onRemoved: (tenantId) => removed.push(tenantId),
    });
    for (let round = 0; round < 5; round++)
      for (const id of ['a', 'b', 'c']) expect(dimensions.hasOwn(id)).toBe(true);
    for (let i = 0; i < 5_000; i++) expect(dimensions.hasOwn(`passer-by-${i}`)).toBe(false);
    for (let i = 0; i < 10; i++) expect(dimensions.hasOwn('busy')).toBe(false);
    expect(dimensions.hasOwn('busy')).toBe(true);
    expect(removed).toHaveLength(1);
    expect(dimensions.size).toBe(3);
  });

  it('do not change places back and forth', () => {
    const removed: string[] = [];
    const dimensions = createTenantDimensions({
      tenants: '*',
      max: 1,
      now: () => 0,
      onRemoved: (id) => removed.push(id),
    });
    for (let i = 0; i < 1_000; i++) for (const id of ['a', 'b']) dimensions.hasOwn(id);
    expect(removed).toEqual([]);
  });

  it('give way to who is busy now', () => {
    let at = 0;
    const dimensions = createTenantDimensions({ tenants: '*', max: 1, now: () => at });
    for (let i = 0; i < 64; i++) dimensions.hasOwn('yesterday');
    for (let hour = 0; hour < 8; hour++) {
      at += 3_600_001;
      dimensions.hasOwn('today');
    }
    for (let i = 0; i < 4; i++) dimensions.hasOwn('today');
    expect(dimensions.hasOwn('today')).toBe(true);
    expect(dimensions.hasOwn('yesterday')).toBe(false);
  });
});
