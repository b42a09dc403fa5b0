/** Least squares with a penalty on the square of each weight, through the normal equations and Cholesky's factors. */

export interface RidgeProblem {
  rows: readonly (readonly number[])[];
  values: readonly number[];
  /** One per column, above 0: so the system always has one solution. */
  penalties: readonly number[];
}

export function ridge({ rows, values, penalties }: RidgeProblem): number[] {
  const k = penalties.length;
  const factors = penalties.map((penalty, i) => {
    const line = new Float64Array(k);
    line[i] = penalty;
    return line;
  });
  const right = new Float64Array(k);
  rows.forEach((row, at) => {
    for (let i = 0; i < k; i++) {
      right[i]! += row[i]! * values[at]!;
      for (let j = 0; j <= i; j++) factors[i]![j]! += row[i]! * row[j]!;
    }
  });
  factorise(factors);
  for (let i = 0; i < k; i++) {
    for (let j = 0; j < i; j++) right[i]! -= factors[i]![j]! * right[j]!;
    right[i]! /= factors[i]![i]!;
  }
  for (let i = k - 1; i >= 0; i--) {
    for (let j = i + 1; j < k; j++) right[i]! -= factors[j]![i]! * right[j]!;
    right[i]! /= factors[i]![i]!;
  }
  return [...right];
}

/** The lower triangle becomes its Cholesky factor. */
function factorise(lines: readonly Float64Array[]): void {
  lines.forEach((line, i) => {
    for (let j = 0; j <= i; j++) {
      const other = lines[j]!;
      let rest = line[j]!;
      for (let m = 0; m < j; m++) rest -= line[m]! * other[m]!;
      line[j] = i === j ? Math.sqrt(rest) : rest / other[j]!;
    }
  });
}
