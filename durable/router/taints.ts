/**
 * Taints: words that a worker says of itself (a zone, a hardware class), that requests require or prefer.
 */

/** Has the worker every taint that the request requires? */
export const satisfies = (required: readonly string[], taints: readonly string[]): boolean =>
  required.every((taint) => taints.includes(taint));

/**
 * Factor on the cost: exp(−tanh(Σ weights of the taints that the worker has)), so between 0.37 and 2.72, and equal
 * weights for and against are reciprocal. 1 when it has none of them.
 */
export function preferenceOf(preferred: Readonly<Record<string, number>>, taints: readonly string[]): number {
  let sum = 0;
  for (const taint of taints) if (Object.hasOwn(preferred, taint)) sum += preferred[taint]!;
  return Math.exp(-Math.tanh(sum));
}
