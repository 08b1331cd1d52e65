import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type LiveSettings, RELOADABLE_SETTINGS, type SettingsEvents } from '#app/settings/live-settings.ts';
import { isSettingName, type SettingName } from '#app/settings/setting-origin.ts';
import { type Settings, settingsSchema } from '#app/settings/settings.ts';

/** The shortest time between two looks, milliseconds: refused credentials come in hundreds at once. */
export const REFRESH_COOLDOWN_MS = 2_000;

/** Every process looks at another moment, so that a fleet does not ask in step. */
const JITTER = 0.1;

const RELOADABLE: ReadonlySet<SettingName> = new Set(RELOADABLE_SETTINGS);

/** Holds the current settings, looks at the secrets now and then, and takes over what may change live. */
export function watchSecrets(options: {
  first: Settings;
  firstVersions: string;
  intervalMs: number;
  /** The versions that are current, and the settings that they give; rejects or throws where either cannot be had. */
  read: () => Promise<{ versions: string; settings: () => Settings }>;
  /** Monotonic milliseconds. */
  now: () => number;
  /** From 0 up to, but not, 1. */
  random: () => number;
}): Pick<LiveSettings, 'current' | 'onChange' | 'refresh' | 'watch' | 'close'> {
  const { first, intervalMs, read, now, random } = options;
  const listeners = new Set<(settings: Settings) => void>();
  let current = first;
  let versions = options.firstVersions;
  let events: SettingsEvents = {};
  let failing = false;
  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let underWay: Promise<boolean> | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;

  function takeOver(next: Settings): boolean {
    const changed = settingNames().filter((name) => !isDeepStrictEqual(next[name], current[name]));
    const live = changed.filter((name) => RELOADABLE.has(name));
    const waiting = changed.filter((name) => !RELOADABLE.has(name));
    if (live.length > 0) {
      current = Object.freeze({ ...current, ...Object.fromEntries(live.map((name) => [name, next[name]])) });
      for (const listener of listeners) listener(current);
      events.onReloaded?.(live);
    }
    if (waiting.length > 0) events.onRestartNeeded?.(waiting);
    return live.length > 0;
  }

  async function lookAfter(waitMs: number): Promise<boolean> {
    if (waitMs > 0) await delay(waitMs, undefined, { ref: false });
    lookedAt = now();
    try {
      const found = await read();
      if (closed) return false;
      const isNew = found.versions !== versions;
      // A version that is not valid is looked at again, so that its fault stays visible until it is mended.
      const changed = isNew && takeOver(found.settings());
      versions = found.versions;
      if (failing) events.onRefreshRecovered?.();
      failing = false;
      return changed;
    } catch (error) {
      if (closed) return false;
      events.onRefreshFailed?.(error);
      failing = true;
      return false;
    } finally {
      underWay = undefined;
    }
  }

  function schedule(): void {
    if (closed) return;
    const wait = intervalMs * (1 - JITTER + 2 * JITTER * random());
    timer = setTimeout(() => void refresh().then(schedule), wait);
    timer.unref();
  }

  function refresh(): Promise<boolean> {
    if (closed) return Promise.resolve(false);
    underWay ??= lookAfter(lookedAt + REFRESH_COOLDOWN_MS - now());
    return underWay;
  }

  return {
    current: () => current,
    refresh,
    onChange(listener) {
      listeners.add(listener);
      return () => void listeners.delete(listener);
    },
    watch(given) {
      events = given;
      if (timer === undefined) schedule();
    },
    close() {
      closed = true;
      clearTimeout(timer);
      listeners.clear();
    },
  };
}

const settingNames = (): SettingName[] => Object.keys(settingsSchema.shape).filter(isSettingName);
