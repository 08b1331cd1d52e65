/** Whether this process stops, as its probes and its answers tell it. */
export interface Drain {
  isDraining(): boolean;
  /** Not ready from now on. Safe to call twice. */
  begin(): void;
}

export function createDrain(): Drain {
  let isDraining = false;
  return {
    isDraining: () => isDraining,
    begin() {
      isDraining = true;
    },
  };
}
