/**
 * Picks one of several costs (semantics §1.4). Temperature 0: the lowest, ties uniformly by reservoir. Above: softmax
 * over the negated costs, scaled to their range. One pass for 0, three above.
 */

/** Uniform in [0, 1). */
export type Random = () => number;

/** Index of the pick among the first `count` costs; `count` ≥ 1. */
export function select(costs: Float64Array, count: number, temperature: number, random: Random): number {
  return temperature === 0 ? lowest(costs, count, random) : softmax(costs, count, temperature, random);
}

function lowest(costs: Float64Array, count: number, random: Random): number {
  let best = 0;
  let ties = 1;
  for (let i = 1; i < count; i++) {
    const difference = costs[i]! - costs[best]!;
    if (difference < 0) {
      best = i;
      ties = 1;
    } else if (difference === 0 && random() * ++ties < 1) {
      best = i;
    }
  }
  return best;
}

/** p_i ∝ exp(−(cost_i − min) / ((max − min) · T)), by inverse CDF in row order; all equal: uniform. */
function softmax(costs: Float64Array, count: number, temperature: number, random: Random): number {
  let min = costs[0]!;
  let max = min;
  for (let i = 1; i < count; i++) {
    min = Math.min(min, costs[i]!);
    max = Math.max(max, costs[i]!);
  }
  if (max === min) return Math.floor(random() * count);
  const scale = -1 / ((max - min) * temperature);
  let total = 0;
  for (let i = 0; i < count; i++) total += Math.exp((costs[i]! - min) * scale);
  let left = random() * total;
  for (let i = 0; i < count; i++) {
    left -= Math.exp((costs[i]! - min) * scale);
    if (left < 0) return i;
  }
  return count - 1;
}
