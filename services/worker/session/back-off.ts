/**
 * Waits between tries that failed.
 */

export type BackOff = { readonly firstMs: number; readonly mostMs: number };

/** Doubles with each failure (1, 2, …) up to the most; `draw` in [0, 1) takes off up to half, so that workers spread. */
export function backOffMs(failures: number, limits: BackOff, draw: number): number {
  const full = Math.min(limits.mostMs, limits.firstMs * 2 ** Math.min(30, Math.max(0, failures - 1)));
  return full * (1 - draw / 2);
}
