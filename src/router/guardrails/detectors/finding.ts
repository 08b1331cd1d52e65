/** What built-in detectors look for; `sensitive_pattern` is the tenant’s own. */
export type DetectorName = 'prompt_injection' | 'secrets' | 'pii' | 'sensitive_pattern';

/** Something found in a text: where, never what. Offsets are UTF-16 units of the text that was searched. */
export type Finding = Readonly<{
  detector: DetectorName;
  /** Such as `github_token` or `card_number`. */
  kind: string;
  start: number;
  end: number;
  /** 0 to 1: how sure the detector is. */
  confidence: number;
}>;
