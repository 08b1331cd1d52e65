import type { Citation } from '#app/schemas/multi-tenant-vault-chunk.ts';
import type { StreamFinding, StreamScanner } from '#router/guardrails/output/stream-scanner.ts';

/** How one answer is looked at, and who is told. */
export type OutputWatch = Readonly<{
  /** New scanners for one text of the answer. */
  scanners: () => StreamScanner[];
  /** A short text that is there as a whole, redacted. Both throw `guardrail_refused`. */
  inspectWhole: (text: string) => string;
  /** Every text in a value, redacted. */
  inspectValue: (value: unknown) => unknown;
  /** Counts, and throws where it refuses. */
  onFinding: (finding: Pick<StreamFinding, 'detector' | 'kind' | 'action'>) => void;
  onFailure: (error: unknown) => void;
  /** Looks at what was retrieved, which is not the model’s. */
  onPassages: (citations: readonly Citation[]) => void;
  /** However the answer ends. */
  onEnd: () => void;
}>;
