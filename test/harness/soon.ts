/** Waits for a condition, checked every few milliseconds; patient, because test machines are busy. */
import { vi } from 'vitest';

export const soon = <T>(check: () => T | Promise<T>): Promise<T> =>
  vi.waitFor(check, { timeout: 20_000, interval: 5 });
