/** A planner in one line: what there is, what it wants, and how its order stands. */

import type { ShownPlanner } from './launch/planner-client.ts';

export function plannerLine({
  mode,
  advisory,
  connector,
  fleet,
  wants,
  order,
  problem,
}: ShownPlanner): string {
  if (mode === 'off') return 'planner off\n';
  const counts = (of: Readonly<Record<string, number>>) =>
    Object.entries(of)
      .map(([role, count]) => `${role} ${count}`)
      .join(', ');
  const there = Object.fromEntries(Object.entries(fleet ?? {}).map(([role, { ready }]) => [role, ready]));
  const parts = [
    `planner ${mode}${advisory ? ' (advisory)' : ''} by ${connector}`,
    fleet === null ? 'has not looked yet' : `has ${counts(there)}`,
    ...(wants === null ? [] : [`wants ${counts(wants)}`]),
    ...(order === null
      ? []
      : [`order ${order.id} ${order.outcome}${order.why === '' ? '' : ` (${order.why})`}`]),
    ...(problem === null ? [] : [problem]),
  ];
  return `${parts.join('; ')}\n`;
}
