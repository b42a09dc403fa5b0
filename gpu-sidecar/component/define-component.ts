/**
 * A user's own worker as data: a component of a namespace with its endpoints, each an async function or generator over JSON (or
 * bytes, where the caller sends some). `stator run-component` runs the module whose default export this is.
 *
 *     export default defineComponent({
 *       namespace: 'default',
 *       component: 'greeter',
 *       endpoints: { hello: async ({ name }: { name: string }) => ({ text: `Hello, ${name}!` }) },
 *     });
 */

import { StatorError } from '../../durable/runtime/errors.ts';
import { checkEndpointName } from '../../durable/runtime/instance.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import type { EndpointClient } from './endpoint-client.ts';

export interface CallContext {
  readonly endpoint: string;
  /** Aborts when the caller has left, the time is over, or the worker ends. */
  readonly signal: AbortSignal;
  /** When an answer, or the next item of one, must be there; Unix milliseconds. */
  readonly deadlineMs: number;
  readonly requestId: string;
  /** Lower-case names; without credentials. */
  readonly headers: Readonly<Record<string, string>>;
  /** Calls of other endpoints: `dyn://namespace.component.endpoint`. */
  client(address: string): EndpointClient;
}

/** `input`: the body as JSON, or bytes (Uint8Array) when its type is another. Returns or yields JSON values, or bytes. */
export type EndpointHandler = (input: never, context: CallContext) => unknown;

export interface EndpointOptions {
  handler: EndpointHandler;
  /**
   * Sent when nobody has called for a while. An endpoint that does not answer it is taken out of discovery until it does.
   * Absent: only that the process answers is looked at.
   */
  canary?: unknown;
  /** A call may be sent again elsewhere, though it may have begun. */
  idempotent?: boolean;
}

export interface ComponentDefinition {
  namespace?: string;
  component: string;
  endpoints: Readonly<Record<string, EndpointHandler | EndpointOptions>>;
}

export interface Component {
  readonly namespace: string;
  readonly component: string;
  readonly endpoints: ReadonlyMap<string, EndpointOptions>;
}

const defined = new WeakSet<object>();

/** Throws `invalid_request` naming what is wrong. */
export function defineComponent(definition: ComponentDefinition): Component {
  const { namespace = 'default', component, endpoints } = definition;
  const names = Object.keys(endpoints ?? {});
  if (names.length === 0 || names.length > LIMITS.workerEndpoints) {
    throw invalid(
      `component ${component} wants 1 to ${LIMITS.workerEndpoints} endpoints, not ${names.length}`,
    );
  }
  const checked = new Map<string, EndpointOptions>();
  for (const endpoint of names) {
    checkEndpointName({ namespace, component, endpoint });
    const given = endpoints[endpoint]!;
    const options = typeof given === 'function' ? { handler: given } : given;
    if (typeof options.handler !== 'function') throw invalid(`endpoint ${endpoint} is not a function`);
    checked.set(endpoint, options);
  }
  const made: Component = { namespace, component, endpoints: checked };
  defined.add(made);
  return made;
}

export const isComponent = (value: unknown): value is Component =>
  typeof value === 'object' && value !== null && defined.has(value);

const invalid = (message: string) => new StatorError('invalid_request', `defineComponent: ${message}`);
