/**
 * What workerd gives to a function: the object namespaces and the STATOR_* variables, parsed once per isolate.
 *
 * Objects are known by their RPC types only. Ids are values and are kept; stubs belong to one request and are not.
 */
import { BATCHES_NAME, type BatchesRpc } from '../durable/batches/rpc.ts';
import type { ConversationsRpc } from '../durable/conversations/rpc.ts';
import { DIRECTORY_NAME, type DirectoryRpc } from '../durable/directory/rpc.ts';
import { GLOBAL_PLANNER_NAME, type GlobalPlannerRpc } from '../durable/global-planner/rpc.ts';
import { GLOBAL_ROUTER_NAME, type GlobalRouterRpc } from '../durable/global-router/rpc.ts';
import type { PlannerRpc } from '../durable/planner/rpc.ts';
import type { PrefillQueueRpc } from '../durable/prefill-queue/rpc.ts';
import type { RequestPlaneRpc } from '../durable/request-plane/rpc.ts';
import type { RouterRpc } from '../durable/router/rpc.ts';
import { SETTINGS, type Settings, settingsFromEnv } from '../durable/runtime/config.ts';

/** The remote form of an RPC interface: every method answers with a promise. */
type Remote<T> = {
  [K in keyof T]: T[K] extends (...args: infer A) => infer R ? (...args: A) => Promise<Awaited<R>> : never;
};

export type RouterStub = Remote<RouterRpc> & { fetch(request: Request): Promise<Response> };
export type DirectoryStub = Remote<DirectoryRpc> & { fetch(request: Request): Promise<Response> };
export type ConversationsStub = Remote<ConversationsRpc>;
export type BatchesStub = Remote<BatchesRpc>;
export type PlannerStub = Remote<PlannerRpc>;
export type PrefillQueueStub = Remote<PrefillQueueRpc>;
type RequestPlaneStub = Remote<RequestPlaneRpc> & { fetch(request: Request): Promise<Response> };
export type GlobalPlannerStub = Remote<GlobalPlannerRpc>;
export type GlobalRouterStub = Remote<GlobalRouterRpc>;

/** The part of a Durable Object namespace that is used here. */
interface ObjectNamespace<Stub> {
  idFromName(name: string): DurableObjectId;
  get(id: DurableObjectId): Stub;
}

export interface Env {
  ROUTER: ObjectNamespace<RouterStub>;
  DIRECTORY: ObjectNamespace<DirectoryStub>;
  CONVERSATIONS: ObjectNamespace<ConversationsStub>;
  BATCHES: ObjectNamespace<BatchesStub>;
  PLANNER: ObjectNamespace<PlannerStub>;
  PREFILL_QUEUE: ObjectNamespace<PrefillQueueStub>;
  REQUEST_PLANE: ObjectNamespace<RequestPlaneStub>;
  GLOBAL_PLANNER: ObjectNamespace<GlobalPlannerStub>;
  GLOBAL_ROUTER: ObjectNamespace<GlobalRouterStub>;
  /** The network beyond the fleet; absent where the platform runs under other tools than the launcher. */
  INTERNET?: { fetch: typeof fetch };
  /** STATOR_* variables. */
  [variable: string]: unknown;
}

let parsed: { env: Env; settings: Settings } | null = null;

/** The settings of this deployment. Throws `invalid_request` naming the variable that is not valid. */
export function settingsOf(env: Env): Settings {
  if (parsed?.env !== env) parsed = { env, settings: settingsFromEnv(env) };
  return parsed.settings;
}

/** HTTP status of overload; its default where the settings are what is wrong. */
export function overloadStatusOf(env: Env): number {
  try {
    return settingsOf(env).overloadStatusCode;
  } catch {
    return SETTINGS.overloadStatusCode.default;
  }
}

const routerIds = new Map<string, DurableObjectId>();
const ROUTER_IDS_KEPT = 64;
let directoryId: DurableObjectId | null = null;

/** The Router object of a namespace. */
export function routerOf(env: Env, namespace: string): RouterStub {
  let id = routerIds.get(namespace);
  if (id === undefined) {
    id = env.ROUTER.idFromName(namespace);
    if (routerIds.size >= ROUTER_IDS_KEPT) routerIds.clear();
    routerIds.set(namespace, id);
  }
  return env.ROUTER.get(id);
}

/** The one Directory object. */
export function directoryOf(env: Env): DirectoryStub {
  directoryId ??= env.DIRECTORY.idFromName(DIRECTORY_NAME);
  return env.DIRECTORY.get(directoryId);
}

/** The object of that number, from 0 up: a response's id says it. */
export function conversationsOf(env: Env, number: number): ConversationsStub {
  return env.CONVERSATIONS.get(env.CONVERSATIONS.idFromName(`conversations-${number}`));
}

/** The one Batches object. */
export function batchesOf(env: Env): BatchesStub {
  return env.BATCHES.get(env.BATCHES.idFromName(BATCHES_NAME));
}

/** The PrefillQueue object of a namespace. */
export function prefillQueueOf(env: Env, namespace: string): PrefillQueueStub {
  return env.PREFILL_QUEUE.get(env.PREFILL_QUEUE.idFromName(namespace));
}

/** The one GlobalPlanner object. */
export function globalPlannerOf(env: Env): GlobalPlannerStub {
  return env.GLOBAL_PLANNER.get(env.GLOBAL_PLANNER.idFromName(GLOBAL_PLANNER_NAME));
}

/** The one GlobalRouter object. */
export function globalRouterOf(env: Env): GlobalRouterStub {
  return env.GLOBAL_ROUTER.get(env.GLOBAL_ROUTER.idFromName(GLOBAL_ROUTER_NAME));
}

/** The Planner object of a namespace. */
export function plannerOf(env: Env, namespace: string): PlannerStub {
  return env.PLANNER.get(env.PLANNER.idFromName(namespace));
}

/** The RequestPlane object of a namespace. */
export function requestPlaneOf(env: Env, namespace: string): RequestPlaneStub {
  return env.REQUEST_PLANE.get(env.REQUEST_PLANE.idFromName(namespace));
}
