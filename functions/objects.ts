/** The classes of the objects, all of wrangler.toml's: whoever is a Worker of ours exports them. */

export { Batches } from '../durable/batches/batches-object.ts';
export { Conversations } from '../durable/conversations/conversations-object.ts';
export { Directory } from '../durable/directory/directory-object.ts';
export { GlobalPlanner } from '../durable/global-planner/global-planner-object.ts';
export { GlobalRouter } from '../durable/global-router/global-router-object.ts';
export { Planner } from '../durable/planner/planner-object.ts';
export { PrefillQueue } from '../durable/prefill-queue/prefill-queue-object.ts';
export { RequestPlane } from '../durable/request-plane/request-plane-object.ts';
export { Router } from '../durable/router/router-object.ts';
