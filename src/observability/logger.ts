import { openSync } from 'node:fs';
import { type DestinationStream, type Logger as PinoLogger, pino, stdTimeFunctions, symbols } from 'pino';
import { BulkheadError } from '#app/errors/bulkhead-error.ts';
import { withErrorListener } from '#app/faults/with-error-listener.ts';
import type { Settings } from '#app/settings/settings.ts';

export type LogFields = Readonly<Record<string, unknown>>;

/** Structured logs. An error travels in the field `err`; its causes are written with it. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** As `info`, for the one line of every request: fields are plain JSON, and no name among them is a secret's. */
  record(fields: LogFields, message: string): void;
  /** A logger whose every line carries these fields. */
  child(fields: LogFields): Logger;
}

export type LogLevel = Settings['LOG_LEVEL'];

/** Names of fields that are never written, however deep they sit: credentials, and what users wrote. */
const SECRET_FIELDS: ReadonlySet<string> = new Set([
  'authorization',
  'proxyauthorization',
  'cookie',
  'setcookie',
  'apikey',
  'xapikey',
  'secret',
  'token',
  'password',
  'pepper',
  'operatorkey',
  'privatekey',
  'cachesalt',
  'cachesaltsecret',
  'databaseurl',
  'connectionstring',
  'body',
  'rawbody',
  'messages',
]);

/** Credentials inside free text, such as an error message that quotes a header or a connection string. */
const CREDENTIALS_IN_TEXT: readonly (readonly [RegExp, string])[] = [
  [/\bbk_[0-9a-z]{26}_[A-Za-z0-9_-]{43}/g, 'bk_[hidden]'],
  [/\b(Bearer|Basic) +[A-Za-z0-9._~+/=-]{8,}/gi, '$1 [hidden]'],
  [/\b([a-z][a-z0-9+.-]*:\/\/[^\s:/@]*):[^\s@/]+@/gi, '$1:[hidden]@'],
  [/\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*/g, '[hidden]'],
];

/**
 * Lines are written beside the requests that they tell of: one write at a time, with all that came meanwhile, and
 * the rest when the process exits. So much waits for a reader that does not read, bytes; what comes then is dropped.
 */
const MAX_WAITING = 16 * 1_024 * 1_024;

/** What each of those has in common; most texts have none of it, and one look is enough. */
const MAY_HOLD_CREDENTIALS = /bk_|bearer|basic|:\/\/|eyJ/i;

const MAX_DEPTH = 6;
const MAX_ENTRIES = 200;
const MAX_TEXT = 8_192;

/**
 * Writes one JSON object a line, with the time in ISO 8601. Fields that hold credentials or bodies are replaced
 * by `[hidden]`, so a careless caller cannot leak them.
 */
export function createLogger(options: {
  level: LogLevel;
  /** The service that writes: `router`, `orchestrator`, `rag`, `bulkhead`. */
  service: string;
  /** Where lines go; stdout when absent. */
  destination?: LineDestination;
  /** Told of every line that carries a figure, as `metric` and `value`; what it gives the line has as well. */
  figure?: (service: string, name: string, value: number, dependency?: string) => LogFields | undefined;
}): Logger {
  const { level, service, destination, figure } = options;
  const root: PinoLogger = pino(
    {
      level,
      base: { service },
      timestamp: stdTimeFunctions.isoTime,
      messageKey: 'message',
      // Errors are already plain when they arrive here: see describeError.
      serializers: { err: (error: unknown) => error },
      formatters: { level: (label) => ({ level: label }) },
    },
    destination ?? stdoutDestination(),
  );
  return wrap(root, (name, value, dependency) => figure?.(service, name, value, dependency));
}

/** Takes lines, each with its line break. */
export type LineDestination = DestinationStream;

/** Where lines go by themselves. */
export const stdoutDestination = (): LineDestination =>
  withErrorListener(
    pino.destination({ fd: 1, sync: false, maxLength: MAX_WAITING }),
    reportRarely('Log lines cannot be written to stdout'),
  );

/** A file that lines are appended to, readable by its owner alone. */
export function fileDestination(path: string): LineDestination {
  // Opened here, and not by the destination: its hook at the exit of the process throws where it could not open its file.
  const fd = openSync(path, 'a', 0o600);
  return withErrorListener(
    pino.destination({ fd, sync: false, maxLength: MAX_WAITING }),
    reportRarely(`Log lines cannot be written to ${path}`),
  );
}

const REPORT_EVERY_MS = 60_000;

/** A log that cannot be written (disk full, reader gone) ends nothing: lines wait up to `MAX_WAITING`, and are dropped beyond. */
function reportRarely(what: string): (error: Error) => void {
  let last = -Infinity;
  return (error) => {
    if (performance.now() - last < REPORT_EVERY_MS) return;
    last = performance.now();
    process.stderr.write(`${what}: ${error.message}\n`);
  };
}

/** A logger that writes nothing, for tests and for tools whose output is their own. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  record() {},
  child: () => silentLogger,
};

type TakeFigure = (name: string, value: number, dependency?: string) => LogFields | undefined;

function wrap(target: PinoLogger, takeFigure: TakeFigure): Logger {
  const write = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: LogFields, message: string) => {
    const { metric, value, dependency } = fields;
    // Whether or not the line itself is written.
    const more =
      typeof metric === 'string' && typeof value === 'number'
        ? takeFigure(metric, value, typeof dependency === 'string' ? dependency : undefined)
        : undefined;
    // Cleaning costs: skip it for lines that the level drops.
    if (!target.isLevelEnabled(level)) return;
    target[level](
      cleanFields(more === undefined ? fields : { ...fields, ...more }),
      hideCredentials(message),
    );
  };
  const info = write('info');
  return {
    record(fields, message) {
      if (!target.isLevelEnabled('info')) return;
      const json = JSON.stringify(fields);
      // One look at all of it. What must be hidden or cut goes the long way.
      if (json.length > MAX_TEXT || json.length < 3 || MAY_HOLD_CREDENTIALS.test(json)) {
        info(fields, message);
        return;
      }
      const { [symbols.chindingsSym]: bindings, [symbols.streamSym]: stream } = insidesOf(target);
      const time = new Date().toISOString();
      stream.write(
        `{"level":"info","time":"${time}"${bindings},${json.slice(1, -1)},"message":${JSON.stringify(message)}}\n`,
      );
    },
    debug: write('debug'),
    info,
    warn: write('warn'),
    error: write('error'),
    child: (fields) => wrap(target.child(cleanFields(fields)), takeFigure),
  };
}

/** What Pino makes of a logger's own fields (`,"service":"router"`), and where its lines go. */
type Insides = { [symbols.chindingsSym]: string; [symbols.streamSym]: DestinationStream };

/** Pino documents these symbols for code that writes lines of its own: https://getpino.io/#/docs/api?id=pino-symbols */
const insidesOf = (target: PinoLogger): Insides => target as unknown as Insides;

function cleanFields(fields: LogFields): Record<string, unknown> {
  const cleaned: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(fields)) cleaned[name] = cleanField(name, value, 0);
  return cleaned;
}

function cleanField(name: string, value: unknown, depth: number): unknown {
  return isSecret(name) ? '[hidden]' : clean(value, depth);
}

/** Names come from code, so there are few; one that a client chose (a JSON key) may still be seen here. */
const MAX_JUDGED = 1_000;
const judged = new Map<string, boolean>();

function isSecret(name: string): boolean {
  let secret = judged.get(name);
  if (secret === undefined) {
    secret = SECRET_FIELDS.has(name.toLowerCase().replace(/[-_]/g, ''));
    if (judged.size < MAX_JUDGED) judged.set(name, secret);
  }
  return secret;
}

/** A plain, bounded, credential-free copy: cycles end at the depth, huge lists at their first entries. */
function clean(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return hideCredentials(value);
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'function' || typeof value === 'symbol') return undefined;
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (value instanceof Error) return describeError(value, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.slice(0, MAX_ENTRIES).map((item) => clean(item, depth + 1));
  const cleaned: Record<string, unknown> = {};
  for (const [name, item] of Object.entries(value).slice(0, MAX_ENTRIES)) {
    cleaned[name] = cleanField(name, item, depth + 1);
  }
  return cleaned;
}

function describeError(error: Error, depth: number): Record<string, unknown> {
  const code = error instanceof BulkheadError || 'code' in error ? { code: String(error.code) } : {};
  return {
    name: error.name,
    message: hideCredentials(error.message),
    ...code,
    stack: hideCredentials(error.stack ?? ''),
    ...(error.cause === undefined ? {} : { cause: clean(error.cause, depth + 1) }),
  };
}

function hideCredentials(text: string): string {
  if (text.length <= MAX_TEXT && !MAY_HOLD_CREDENTIALS.test(text)) return text;
  let hidden = text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT)}…` : text;
  for (const [pattern, replacement] of CREDENTIALS_IN_TEXT) hidden = hidden.replace(pattern, replacement);
  return hidden;
}
