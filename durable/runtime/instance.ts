/**
 * Addresses of endpoints and the records of their instances, in NVIDIA Dynamo's layout (semantics §4.1), so that others can
 * read them:
 *
 *     dyn://namespace.component.endpoint
 *     v1/instances/<namespace>/<component>/<endpoint>/<instance id, hex>  →
 *       {"namespace":…,"component":…,"endpoint":…,"instance_id":<u64>,"transport":{"http":"http://host:port/path"},…}
 *
 * An endpoint is a URL that takes POST. What Dynamo does not have is beside it: `grpc` (`host:port/service/method`) and
 * `idempotent`. Ids are 64 bits, more than JSON numbers hold in JavaScript, so here they are hex, read from the key.
 */

import * as z from 'zod';
import { StatorError } from './errors.ts';

export const INSTANCES_PREFIX = 'v1/instances/';
/** Where workers that were told no address find a platform: `v1/stator/platforms/<id>` → {"url":…,"namespace":…}. */
export const PLATFORMS_PREFIX = 'v1/stator/platforms/';

/** What an address leaves out. */
const DEFAULTS = ['default', 'backend', 'generate'] as const;
const NAME = /^[A-Za-z0-9_][A-Za-z0-9_-]{0,62}$/;

export interface EndpointName {
  namespace: string;
  component: string;
  endpoint: string;
}

export interface Instance extends EndpointName {
  /** 16 lower-case hex digits, or fewer from elsewhere. */
  instanceId: string;
  /** Takes POST; null: it does not speak HTTP. */
  http: string | null;
  /** `host:port/package.Service/Method`, or null. */
  grpc: string | null;
  /** A call may be sent again to another instance, though this one may have begun it. */
  idempotent: boolean;
}

/**
 * `dyn://default.backend.generate`, also without `dyn://` or with slashes. What is missing at the end is `default`, `backend`,
 * `generate`. Throws `invalid_request`.
 */
export function parseEndpointName(text: string): EndpointName {
  const parts = text.replace(/^dyn:\/\//, '').split(/[./]/);
  if (parts.length > 3 || !parts.every((part) => NAME.test(part))) throw badName(text);
  const [namespace, component, endpoint] = DEFAULTS.map((fallback, at) => parts[at] ?? fallback);
  return { namespace: namespace!, component: component!, endpoint: endpoint! };
}

/** Throws `invalid_request` naming the part. */
export function checkEndpointName(name: EndpointName): EndpointName {
  for (const [part, text] of Object.entries(name)) {
    if (NAME.test(text)) continue;
    const message = `${part} '${text}' must be 1 to 63 letters, digits, - and _.`;
    throw new StatorError('invalid_request', message, { param: part });
  }
  return name;
}

export const endpointAddress = ({ namespace, component, endpoint }: EndpointName): string =>
  `dyn://${namespace}.${component}.${endpoint}`;

/** Prefix of the keys of an endpoint's instances. */
export const endpointPrefix = ({ namespace, component, endpoint }: EndpointName): string =>
  `${INSTANCES_PREFIX}${namespace}/${component}/${endpoint}/`;

export const instanceKey = (instance: EndpointName & { instanceId: string }): string =>
  endpointPrefix(instance) + instance.instanceId;

const recordSchema = z.object({
  transport: z.looseObject({
    http: z
      .string()
      .regex(/^https?:\/\/./)
      .optional(),
  }),
  grpc: z.string().optional(),
  idempotent: z.boolean().optional(),
});

/** As text; `instance_id` is the number that it is. */
export function instanceRecord(instance: Instance): string {
  const { namespace, component, endpoint, http, grpc, idempotent } = instance;
  const record = {
    namespace,
    component,
    endpoint,
    instance_id: 0,
    transport: http === null ? {} : { http },
    ...(grpc === null ? {} : { grpc }),
    ...(idempotent ? { idempotent } : {}),
  };
  return JSON.stringify(record).replace(
    '"instance_id":0',
    `"instance_id":${BigInt(`0x${instance.instanceId}`)}`,
  );
}

/** The instance of a key and its record; null when this is none that we can read. */
export function readInstance(key: string, value: string): Instance | null {
  const [namespace, component, endpoint, instanceId, more] = key.slice(INSTANCES_PREFIX.length).split('/');
  if (!key.startsWith(INSTANCES_PREFIX) || more !== undefined || !/^[0-9a-f]{1,16}$/.test(instanceId ?? ''))
    return null;
  const record = recordSchema.safeParse(parseJson(value));
  if (!record.success) return null;
  const { transport, grpc = null, idempotent = false } = record.data;
  const name = { namespace: namespace!, component: component!, endpoint: endpoint! };
  return { ...name, instanceId: instanceId!, http: transport.http ?? null, grpc, idempotent };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

const badName = (text: string) =>
  new StatorError(
    'invalid_request',
    `'${text}' is no address of an endpoint: dyn://namespace.component.endpoint`,
    {
      param: 'endpoint',
    },
  );
