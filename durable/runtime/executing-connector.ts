/** Who executes the planner's orders: behind `global`, which only asks for the GPUs, another connector does. */
import type { Settings } from './config.ts';

export const executingConnector = ({
  plannerConnector,
  globalConnector,
}: Pick<Settings, 'plannerConnector' | 'globalConnector'>): Settings['globalConnector'] =>
  plannerConnector === 'global' ? globalConnector : plannerConnector;
