/** Nelder and Mead's search for the lowest point of a function of few variables, without derivatives. */

const MAX_STEPS = 400;
const TOLERANCE = 1e-8;
const FIRST_STEP = 0.25;

interface Corner {
  at: number[];
  cost: number;
}

export function minimise(costOf: (at: readonly number[]) => number, start: readonly number[]): number[] {
  const corner = (at: number[]): Corner => ({ at, cost: costOf(at) });
  const corners = [corner([...start])];
  for (let i = 0; i < start.length; i++) {
    corners.push(corner(start.map((value, at) => (at === i ? value + FIRST_STEP : value))));
  }
  for (let step = 0; step < MAX_STEPS * start.length; step++) {
    corners.sort((left, right) => left.cost - right.cost);
    const best = corners[0]!;
    const worst = corners.at(-1)!;
    if (worst.cost - best.cost < TOLERANCE * (1 + Math.abs(best.cost))) break;
    const centre = start.map(
      (_, i) => corners.slice(0, -1).reduce((sum, { at }) => sum + at[i]!, 0) / start.length,
    );
    const away = (factor: number) =>
      corner(centre.map((value, i) => value + factor * (value - worst.at[i]!)));
    const replaced = better(corners, away);
    if (replaced !== null) corners[corners.length - 1] = replaced;
    else {
      for (let i = 1; i < corners.length; i++) {
        corners[i] = corner(corners[i]!.at.map((value, at) => (value + best.at[at]!) / 2));
      }
    }
  }
  return corners.reduce((best, each) => (each.cost < best.cost ? each : best)).at;
}

/** What takes the worst corner's place; null: nothing on its line is better. */
function better(corners: readonly Corner[], away: (factor: number) => Corner): Corner | null {
  const worst = corners.at(-1)!;
  const reflected = away(1);
  if (reflected.cost < corners[0]!.cost) {
    const expanded = away(2);
    return expanded.cost < reflected.cost ? expanded : reflected;
  }
  if (reflected.cost < corners.at(-2)!.cost) return reflected;
  const contracted = reflected.cost < worst.cost ? away(0.5) : away(-0.5);
  return contracted.cost < Math.min(reflected.cost, worst.cost) ? contracted : null;
}
