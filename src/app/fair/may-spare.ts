/**
 * Whether an owner of `own` units may have `amount` more where `free` units are left: the dynamic threshold of shared-memory switches
 * (Choudhury and Hahne, "Dynamic Queue Length Thresholds for Shared-Memory Packet Switches", IEEE/ACM ToN 6(2), 1998). What it then
 * has is at most `alpha` times what stays free for others; an owner of nothing may have what fits.
 */
export function maySpare({
  own,
  free,
  alpha,
  amount = 1,
}: {
  own: number;
  free: number;
  alpha: number;
  amount?: number;
}): boolean {
  return free >= amount && (own === 0 || (own + amount) / alpha <= free - amount);
}
