/** Connectors by the name that `--planner-connector` has for them. */

import type { Settings } from '../../runtime/config.ts';
import type { Connector, ConnectorParts } from './connector.ts';
import { kubernetesConnector } from './kubernetes.ts';
import { virtualConnector } from './virtual.ts';

const CONNECTORS: Readonly<Record<Settings['plannerConnector'], (parts: ConnectorParts) => Connector>> = {
  virtual: virtualConnector,
  // The launcher fetches the orders and starts and stops workers.
  process: virtualConnector,
  kubernetes: kubernetesConnector,
};

export const openConnector = (parts: ConnectorParts): Connector =>
  CONNECTORS[parts.settings.plannerConnector](parts);
