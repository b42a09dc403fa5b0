/** The discovery backends by name: `--discovery etcd:http://127.0.0.1:2379` is backend `etcd` at that location. */

import { StatorError } from '../../durable/runtime/errors.ts';
import { etcdDiscovery } from './backends/etcd/etcd.ts';
import { fileDiscovery } from './backends/file.ts';
import { kubernetesDiscovery } from './backends/kubernetes/kubernetes.ts';
import { natsDiscovery } from './backends/nats.ts';
import { objectDiscovery } from './backends/object.ts';
import type { Discovery, DiscoveryKind, DiscoveryOptions } from './discovery.ts';

const DISCOVERY_KINDS: Readonly<Record<string, DiscoveryKind>> = {
  etcd: etcdDiscovery,
  file: fileDiscovery,
  nats: natsDiscovery,
  kubernetes: kubernetesDiscovery,
  object: objectDiscovery,
};

/** Throws StatorError `invalid_request` naming what is wrong. */
export function openDiscovery(setting: string, options: DiscoveryOptions): Discovery {
  const [name, ...rest] = setting.split(':');
  const kind = Object.hasOwn(DISCOVERY_KINDS, name!) ? DISCOVERY_KINDS[name!]! : null;
  if (kind === null) {
    const known = Object.entries(DISCOVERY_KINDS).map(([each, { wants }]) => `${each}:${wants}`);
    throw new StatorError('invalid_request', `discovery '${setting}' is none of ${known.join(', ')}`, {
      param: 'discovery',
    });
  }
  return kind.open(rest.join(':'), options);
}
