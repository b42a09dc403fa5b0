/**
 * Names close to a mistyped one, for the 404 of an unknown model. Levenshtein distance, O(n·m) per name.
 */
import { LIMITS } from '../../durable/runtime/limits.ts';

/** At most `LIMITS.nearModelNames`, nearest first; farther than half of the longer name is not near. */
export function nearNames(wanted: string, known: Iterable<string>): string[] {
  const found: { name: string; distance: number }[] = [];
  const lower = wanted.toLowerCase();
  for (const name of known) {
    const distance = editDistance(lower, name.toLowerCase());
    const contained = lower.length > 2 && name.toLowerCase().includes(lower);
    if (contained || distance <= Math.max(lower.length, name.length) / 2) found.push({ name, distance });
  }
  found.sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1));
  return found.slice(0, LIMITS.nearModelNames).map(({ name }) => name);
}

/** Insertions, deletions and replacements that make `a` into `b`. */
export function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      current[column] = Math.min(replaced, previous[column]! + 1, current[column - 1]! + 1);
    }
    previous = current;
  }
  return previous[b.length]!;
}
