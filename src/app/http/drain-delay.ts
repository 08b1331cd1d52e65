import type { Settings } from '#app/settings/settings.ts';

const DEFAULT_DELAY_MS = 5_000;

/** Of a service behind a balancer, milliseconds. One process on a laptop has none, and stops at once. */
export const drainDelayOf = ({
  DRAIN_DELAY_MS = DEFAULT_DELAY_MS,
}: Pick<Settings, 'DRAIN_DELAY_MS'>): number => DRAIN_DELAY_MS;
