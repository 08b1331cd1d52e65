/** One text, and what a judge needs to understand it. */
export type JudgedText = Readonly<{
  /** `input` is what callers send, `output` what they are answered. */
  source: 'input' | 'output';
  text: string;
  /** The end of what was judged before it. */
  lead: string;
  /** What was asked, of an output. */
  question: string;
}>;

/** What a judge finds. Categories are names of a fixed form, never words of the text. */
export type Verdict =
  | Readonly<{ outcome: 'safe' }>
  | Readonly<{ outcome: 'unsafe'; categories: readonly string[] }>
  /** The judge gives the text to use instead. */
  | Readonly<{ outcome: 'masked'; categories: readonly string[]; text: string }>;

/** An external guardrail. Whoever implements it, a failure is thrown and never a verdict. */
export interface Judge {
  /** Throws {@link JudgeFailure}, or the signal’s reason. */
  judge(text: JudgedText, signal: AbortSignal): Promise<Verdict>;
  close(): Promise<void>;
}

/** A judge gave no verdict. The message is for the log, and holds nothing of the text. */
export class JudgeFailure extends Error {
  override readonly name = 'JudgeFailure';
}

const MAX_CATEGORY_CHARACTERS = 80;

/** A judge’s word, made fit for logs and refusals. */
export const categoryOf = (name: string): string =>
  name.replace(/[^\w :-]/g, '_').slice(0, MAX_CATEGORY_CHARACTERS);
