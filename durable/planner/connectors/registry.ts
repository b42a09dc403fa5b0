/** Connectors by the name that `--planner-connector` has for them. */

import type { Settings } from '../../runtime/config.ts';
import { plannerOf } from '../planner-settings.ts';
import type { Connector, ConnectorParts } from './connector.ts';
import { askGlobalPlanner, type GlobalPlannerBinding, globalConnector } from './global.ts';
import { kubernetesConnector } from './kubernetes.ts';
import { virtualConnector } from './virtual.ts';

const CONNECTORS: Readonly<Record<Settings['plannerConnector'], (parts: ConnectorParts) => Connector>> = {
  virtual: virtualConnector,
  // The launcher fetches the orders and starts and stops workers.
  process: virtualConnector,
  kubernetes: kubernetesConnector,
  global: throughGlobalPlanner,
};

export const openConnector = (parts: ConnectorParts): Connector =>
  CONNECTORS[parts.settings.plannerConnector](parts);

function throughGlobalPlanner(parts: ConnectorParts): Connector {
  const { env, namespace, settings } = parts;
  const behind = CONNECTORS[settings.globalConnector](parts);
  const config = plannerOf(settings);
  // Nobody plans, so nobody asks.
  if (config === null) return behind;
  const ask = askGlobalPlanner(env['GLOBAL_PLANNER'] as GlobalPlannerBinding);
  return globalConnector({ namespace, config, behind, ask });
}
