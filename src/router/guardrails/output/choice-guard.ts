import type { ChatCompletionChunk } from '#app/schemas/chat-completion-chunk.ts';
import type { OutputWatch } from '#router/guardrails/output/output-watch.ts';
import { TextGate } from '#router/guardrails/output/text-gate.ts';

type Choice = ChatCompletionChunk['choices'][number];
/** What comes out at the end of a choice. */
type Rest = Pick<Choice, 'delta'> & { logprobs?: unknown };

/** Names of the protocol and not text of a model; some engines send them again and again. */
const NAMES: ReadonlySet<string> = new Set(['role', 'id', 'type', 'name', 'index', 'format']);
/** What a choice always has, each with a treatment of its own. */
const OWN: ReadonlySet<string> = new Set(['index', 'delta', 'logprobs', 'finish_reason']);
/** Texts, calls and held characters of one choice: beyond them the answer is refused, so nothing goes unseen. */
const MAX_TEXTS = 256;
const MAX_HELD_CHARACTERS = 1_048_576;

/**
 * Guards one choice of a streamed answer. Each text in its deltas, whatever its name, streams through a gate of its own. The
 * arguments of a tool call are worth nothing until they are complete, and are JSON, whose escapes hide text: they are held,
 * looked at as JSON, and come out in one piece. So do the calls themselves: clients take a call to be complete as soon as the
 * next one begins.
 */
export class ChoiceGuard {
  readonly #watch: OutputWatch;
  readonly #gates = new Map<string, { path: readonly string[]; gate: TextGate }>();
  /** Tool calls by their index, without their arguments. */
  readonly #calls = new Map<number, Record<string, unknown>>();
  readonly #held = new Map<string, { path: readonly string[]; tool: number | null; text: string }>();
  #heldCharacters = 0;
  /** Log probabilities that wait, and the part of the content that each is of. */
  #logprobs: { start: number; end: number; value: unknown }[] = [];

  constructor(watch: OutputWatch) {
    this.#watch = watch;
  }

  /** The choice with what of it may be sent now. */
  take(choice: Choice): Choice {
    const { delta, logprobs, index, finish_reason } = choice;
    const start = this.#gates.get(CONTENT)?.gate.length ?? 0;
    const passed: Record<string, unknown> = {};
    for (const name of Object.keys(delta)) {
      const value = delta[name];
      if (name === 'tool_calls' && Array.isArray(value)) {
        for (const call of value) this.#holdCall(call);
      } else if (name === 'function_call' && isObject(value))
        passed[name] = this.#call(value, null, ['function_call']);
      else this.#put(passed, name, this.#any(value, [name]));
    }
    const ready: Choice = { index, delta: passed };
    // Engines add fields of their own, such as what they stopped at.
    for (const name of Object.keys(choice))
      if (!OWN.has(name)) ready[name] = this.#watch.inspectValue(choice[name]);
    if (logprobs !== undefined) ready.logprobs = this.#logprobsOf(logprobs, start);
    if (finish_reason !== undefined) ready.finish_reason = finish_reason;
    return ready;
  }

  /** The rest of everything; null where nothing is left. */
  end(): Rest | null {
    const rest: Record<string, unknown> = {};
    for (const { path, gate } of this.#gates.values()) {
      const text = gate.end();
      if (text !== '') setAt(rest, path, text);
    }
    const content = this.#gates.get(CONTENT)?.gate;
    const logprobs = content === undefined ? null : this.#releasedLogprobs(content);
    this.#gates.clear();
    for (const { path, tool, text } of this.#held.values()) {
      const whole = this.#watch.inspectWhole(text);
      if (tool === null) setAt(rest, path, whole);
      else setAt(this.#calls.get(tool) ?? {}, path.slice(1), whole);
    }
    this.#held.clear();
    this.#logprobs = [];
    if (this.#calls.size > 0) rest.tool_calls = [...this.#calls.values()];
    this.#calls.clear();
    if (Object.keys(rest).length === 0 && logprobs === null) return null;
    return { delta: rest, ...(logprobs === null ? {} : { logprobs }) };
  }

  #any(value: unknown, path: readonly string[]): unknown {
    if (typeof value === 'string')
      return NAMES.has(path.at(-1) ?? '') ? this.#watch.inspectWhole(value) : this.#gate(value, path);
    // Lists are not told in pieces: each item is looked at as it is.
    if (Array.isArray(value)) return this.#watch.inspectValue(value);
    if (!isObject(value)) return value;
    const passed: Record<string, unknown> = {};
    for (const [name, item] of Object.entries(value))
      this.#put(passed, name, this.#any(item, [...path, name]));
    return passed;
  }

  #put(target: Record<string, unknown>, name: string, value: unknown): void {
    if (value !== HELD) target[name] = value;
  }

  #gate(text: string, path: readonly string[]): unknown {
    // Engines say `content: ""` beside a role, and clients count on it.
    if (text === '') return text;
    const key = keyOf(path);
    let entry = this.#gates.get(key);
    if (entry === undefined) {
      if (this.#gates.size + this.#held.size >= MAX_TEXTS)
        throw new RangeError('The answer has too many parts to look at.');
      entry = { path, gate: new TextGate(this.#watch.scanners(), this.#watch.onFinding) };
      this.#gates.set(key, entry);
    }
    const passed = entry.gate.push(text);
    return passed === '' ? HELD : passed;
  }

  #holdCall(call: unknown): void {
    const tool = isObject(call) && typeof call.index === 'number' ? call.index : null;
    if (tool === null) throw new RangeError('A tool call of the answer has no index.');
    if (!this.#calls.has(tool) && this.#calls.size >= MAX_TEXTS)
      throw new RangeError('The answer has too many tool calls to look at.');
    const known = this.#calls.get(tool) ?? {};
    this.#calls.set(tool, known);
    joinNames(known, this.#call(call, tool, ['tool_calls']));
  }

  /** A tool call with its arguments taken out. */
  #call(call: unknown, tool: number | null, path: readonly string[]): unknown {
    if (!isObject(call)) return this.#watch.inspectValue(call);
    const passed: Record<string, unknown> = {};
    for (const [name, value] of Object.entries(call)) {
      if (isObject(value)) passed[name] = this.#call(value, tool, [...path, name]);
      else if (typeof value !== 'string') passed[name] = this.#watch.inspectValue(value);
      else if (NAMES.has(name)) passed[name] = this.#watch.inspectWhole(value);
      else {
        this.#hold(value, tool, [...path, name]);
        passed[name] = '';
      }
    }
    return passed;
  }

  #hold(text: string, tool: number | null, path: readonly string[]): void {
    if (text === '') return;
    const key = JSON.stringify([tool, path]);
    const entry = this.#held.get(key) ?? { path, tool, text: '' };
    if (!this.#held.has(key) && this.#gates.size + this.#held.size >= MAX_TEXTS) {
      throw new RangeError('The answer has too many parts to look at.');
    }
    this.#heldCharacters += text.length;
    if (this.#heldCharacters > MAX_HELD_CHARACTERS)
      throw new RangeError('The arguments of the answer’s tool calls are too long to look at.');
    entry.text += text;
    this.#held.set(key, entry);
  }

  /** Log probabilities spell the text out: they leave with the text that they are of, and not where some of it is redacted. */
  #logprobsOf(logprobs: unknown, start: number): unknown {
    const content = this.#gates.get(CONTENT)?.gate;
    if (content === undefined) return logprobs === null ? null : this.#watch.inspectValue(logprobs);
    if (isObject(logprobs)) this.#logprobs.push({ start, end: content.length, value: logprobs });
    return this.#releasedLogprobs(content);
  }

  /** Those of text that has come out. What a redaction covers may come out in several steps, and is left out in each. */
  #releasedLogprobs(content: TextGate): unknown {
    if (this.#logprobs.length === 0) return null;
    const ready = this.#logprobs.filter(({ end }) => end <= content.releasedTo);
    this.#logprobs = this.#logprobs.filter(({ end }) => end > content.releasedTo);
    const plain = ready.filter(({ start }) => start >= content.redactedTo);
    return plain.length === 0 ? null : plain.map(({ value }) => value).reduce(joinLogprobs);
  }
}

const CONTENT = JSON.stringify(['content']);

/** Nearly every piece is of the content. */
const keyOf = (path: readonly string[]): string =>
  path.length === 1 && path[0] === 'content' ? CONTENT : JSON.stringify(path);

/** In the place of text that waits. */
const HELD = Symbol('held');

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Names come once, or again and again: an empty one says nothing. */
function joinNames(target: Record<string, unknown>, part: unknown): void {
  for (const [name, value] of Object.entries(isObject(part) ? part : {})) {
    const known = target[name];
    if (isObject(value)) {
      const inner: Record<string, unknown> = isObject(known) ? known : {};
      target[name] = inner;
      joinNames(inner, value);
    } else if (value !== '' || known === undefined) target[name] = value;
  }
}

function setAt(target: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const [name = '', ...rest] = path;
  if (rest.length === 0) {
    target[name] = value;
    return;
  }
  const known = target[name];
  const inner: Record<string, unknown> = isObject(known) ? known : {};
  target[name] = inner;
  setAt(inner, rest, value);
}

function joinLogprobs(known: unknown, more: unknown): unknown {
  if (!isObject(known) || !isObject(more)) return known;
  const joined: Record<string, unknown> = { ...known };
  for (const [name, value] of Object.entries(more)) {
    const before = joined[name];
    joined[name] = Array.isArray(before) && Array.isArray(value) ? [...before, ...value] : (before ?? value);
  }
  return joined;
}
