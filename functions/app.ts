/**
 * The routes. Order of every request: id → API key → handler; errors leave in the form of the API that was called.
 */
import { type Context, Hono } from 'hono';
import { StatorError } from '../durable/runtime/errors.ts';
import { cancelBatch, createBatch, getBatch, listBatches } from './batches/batches.ts';
import { deleteFile, getFile, getFileContent, listFiles } from './batches/files.ts';
import { uploadFile } from './batches/upload.ts';
import { readJson } from './body.ts';
import type { Call, Endpoint } from './call.ts';
import { callEndpoint } from './components/call-endpoint.ts';
import { requestIdHeaders } from './dispatch/response-head.ts';
import { embeddings } from './embeddings/embeddings.ts';
import { type Env, overloadStatusOf, settingsOf } from './env.ts';
import { prefillQueue } from './fleet/prefill-queue.ts';
import { isOfFleet, requireApiKey } from './middleware/api-key.ts';
import { apiOfRequest } from './middleware/dialect.ts';
import { errorResponse } from './middleware/errors.ts';
import { type Arrival, arrive } from './middleware/request-id.ts';
import { startTrack } from './middleware/track.ts';
import { listBusyThresholds, setBusyThreshold } from './operations/busy-threshold.ts';
import { clearKvBlocks } from './operations/clear-kv-blocks.ts';
import { listDisagg, setDisagg } from './operations/disagg.ts';
import { leaseDiscovery, listInstances, watchInstances } from './operations/discovery.ts';
import { docsPage } from './operations/docs-page.ts';
import { fleet } from './operations/fleet.ts';
import { deleteGlobalRouter, getGlobalRouter, putGlobalRouter } from './operations/global-router.ts';
import { health, live } from './operations/health.ts';
import { metrics } from './operations/metrics.ts';
import { getModel, listModels, modelsNow } from './operations/models.ts';
import { openApi } from './operations/openapi.ts';
import { page } from './operations/page.ts';
import { getPoolInfo } from './operations/pool-info.ts';
import { getPrefillQueue, handleDeadLetters } from './operations/prefill-queue.ts';
import { getQueuePolicy, putQueuePolicy } from './operations/queue-policy.ts';
import { status } from './operations/status.ts';
import { counting, inference } from './pipeline.ts';
import { getGlobalPlanner } from './planner/global-planner.ts';
import { completeOrder, getPlanner, listDecisions, waitForOrder } from './planner/planner.ts';
import { plannerService } from './planner/service.ts';
import { respond } from './responses/respond.ts';
import { storeResponse } from './responses/store-route.ts';
import { cancelResponse, deleteResponse, listInputItems, retrieveResponse } from './responses/stored.ts';
import { bestWorkerMessage, poolInfoMessage } from './router/messages.ts';
import { readBestWorker, readGenerate, unary } from './router/service.ts';
import { detokenize } from './tokens/detokenize.ts';
import { tokenize } from './tokens/tokenize.ts';

interface AppTypes {
  Bindings: Env;
  Variables: { arrival: Arrival };
}
type AppContext = Context<AppTypes>;

/** Routes that have their own token, or need none. */
const OPEN = ['/health', '/live'];
const FLEET = '/fleet/v1/';
/** Workers hand native gRPC calls over with their own token. */
const ROUTER_SERVICE = '/stator.v1.Router/';

export const app = new Hono<AppTypes>();

app.onError((thrown, context) => {
  const { requestId } = context.get('arrival');
  const api = apiOfRequest(context.req);
  return errorResponse(thrown, { requestId, api }, overloadStatusOf(context.env));
});
app.notFound((context) => {
  throw new StatorError('not_found', `Unknown request URL: ${context.req.method} ${context.req.path}.`);
});

app.use(async (context, next) => {
  context.set('arrival', arrive(context.req.raw, Date.now()));
  const { path, raw } = context.req;
  if (!OPEN.includes(path) && !path.startsWith(FLEET)) {
    const { apiKey, fleetToken } = settingsOf(context.env);
    if (!path.startsWith(ROUTER_SERVICE) || !isOfFleet(raw, fleetToken)) requireApiKey(raw, apiKey);
  }
  await next();
});

/** `read` gives the body as JSON. */
const infer =
  (endpoint: Endpoint, read = readJson) =>
  async (context: AppContext) => {
    const { env } = context;
    const request = context.req.raw;
    const settings = settingsOf(env);
    // `context.get`, not `context.var`, which builds an object of all variables each time.
    const arrival = context.get('arrival');
    const track = startTrack(request, endpoint, settings, arrival.startedMs);
    const call: Call = { endpoint, request, env, settings, track, ...arrival };
    try {
      const json = await read(request, settings.bodyLimitBytes);
      if (endpoint === 'responses')
        return await respond(json, call, (work) => context.executionCtx.waitUntil(work));
      const pipeline = endpoint === 'count_tokens' ? counting : inference;
      return await pipeline.run(json, call);
    } catch (thrown) {
      track.ended('error');
      throw thrown;
    }
  };

const embed = async (context: AppContext) => {
  const { env } = context;
  const request = context.req.raw;
  const settings = settingsOf(env);
  const arrival = context.get('arrival');
  const track = startTrack(request, 'embeddings', settings, arrival.startedMs);
  try {
    const json = await readJson(request, settings.bodyLimitBytes);
    return await embeddings(json, { request, env, settings, track, ...arrival });
  } catch (thrown) {
    track.ended('error');
    throw thrown;
  }
};

/** An operation's response with the request's id. */
const operation =
  (handle: (context: AppContext, nowMs: number) => Response | Promise<Response>) =>
  async (context: AppContext) => {
    const response = await handle(context, context.get('arrival').startedMs);
    const ids = requestIdHeaders(context.get('arrival').requestId, apiOfRequest(context.req));
    for (const [name, id] of Object.entries(ids)) response.headers.set(name, id);
    return response;
  };

app.post('/v1/chat/completions', infer('chat_completions'));
app.post('/v1/completions', infer('completions'));
app.post('/v1/embeddings', embed);
app.post('/v1/responses', infer('responses'));
app.get(
  '/v1/responses/:id',
  operation(({ env, req }) => retrieveResponse(env, req.param('id')!, req.query())),
);
app.delete(
  '/v1/responses/:id',
  operation(({ env, req }) => deleteResponse(env, req.param('id')!)),
);
app.post(
  '/v1/responses/:id/cancel',
  operation(({ env, req }) => cancelResponse(env, req.param('id')!)),
);
app.get(
  '/v1/responses/:id/input_items',
  operation(({ env, req }) => listInputItems(env, req.param('id')!, req.query())),
);
app.post('/v1/messages', infer('messages'));
app.post('/v1/messages/count_tokens', infer('count_tokens'));
app.post(
  '/tokenize',
  operation(({ env, req }, nowMs) => tokenize(env, req.raw, nowMs)),
);
app.post(
  '/detokenize',
  operation(({ env, req }, nowMs) => detokenize(env, req.raw, nowMs)),
);
app.post(
  '/v1/files',
  operation(({ env, req }, nowMs) => uploadFile(env, req.raw, nowMs)),
);
app.get(
  '/v1/files',
  operation(({ env, req }) => listFiles(env, req.query())),
);
app.get(
  '/v1/files/:id',
  operation(({ env, req }) => getFile(env, req.param('id')!)),
);
app.get(
  '/v1/files/:id/content',
  operation(({ env, req }) => getFileContent(env, req.param('id')!)),
);
app.delete(
  '/v1/files/:id',
  operation(({ env, req }) => deleteFile(env, req.param('id')!)),
);
app.post(
  '/v1/batches',
  operation(({ env, req }) => createBatch(env, req.raw)),
);
app.get(
  '/v1/batches',
  operation(({ env, req }) => listBatches(env, req.query())),
);
app.get(
  '/v1/batches/:id',
  operation(({ env, req }) => getBatch(env, req.param('id')!)),
);
app.post(
  '/v1/batches/:id/cancel',
  operation(({ env, req }) => cancelBatch(env, req.param('id')!)),
);
app.get(
  '/v1/models',
  operation(async ({ env, req }, nowMs) => Response.json(await listModels(env, apiOfRequest(req), nowMs))),
);
app.get(
  '/v1/models/:id{.+}',
  operation(async ({ env, req }, nowMs) =>
    Response.json(await getModel(env, { id: req.param('id')!, api: apiOfRequest(req) }, nowMs)),
  ),
);
app.get(
  '/',
  operation(async ({ env, req }, nowMs) => {
    const { origin } = new URL(req.url);
    return page(origin, await modelsNow(env, nowMs), settingsOf(env).apiKey !== '');
  }),
);
app.get(
  '/docs',
  operation(({ env, req }) => docsPage(new URL(req.url).origin, settingsOf(env).apiKey !== '')),
);
app.get(
  '/openapi.json',
  operation(() => openApi()),
);
app.get(
  '/health',
  operation(({ env }, nowMs) => health(env, nowMs)),
);
app.get(
  '/live',
  operation(() => live()),
);
app.get(
  '/metrics',
  operation(({ env }, nowMs) => metrics(env, nowMs)),
);
app.get(
  '/stator/v1/status',
  operation(({ env, req }, nowMs) => status(env, req.query('namespace'), nowMs)),
);
app.post(
  '/stator/v1/clear_kv_blocks',
  operation(({ env }, nowMs) => clearKvBlocks(env, nowMs)),
);
app.get(
  '/stator/v1/prefill_queue',
  operation(({ env, req }, nowMs) => getPrefillQueue(env, req.query('namespace'), nowMs)),
);
app.post(
  '/stator/v1/prefill_queue/dead_letters',
  operation(({ env, req }, nowMs) => handleDeadLetters(env, req.raw, req.query('namespace'), nowMs)),
);
app.get(
  '/planner/v1/:namespace',
  operation(({ env, req }, nowMs) => getPlanner(env, req.param('namespace')!, nowMs)),
);
app.get(
  '/planner/v1/:namespace/decisions',
  operation(({ env, req }, nowMs) => listDecisions(env, req.param('namespace')!, req.query(), nowMs)),
);
app.get(
  '/planner/v1/:namespace/orders',
  operation(({ env, req }, nowMs) => waitForOrder(env, req.param('namespace')!, req.query(), nowMs)),
);
app.post(
  '/planner/v1/:namespace/orders/:id',
  operation(({ env, req }, nowMs) =>
    completeOrder(env, req.raw, { namespace: req.param('namespace')!, id: req.param('id')! }, nowMs),
  ),
);
app.get(
  '/router/queue_policy',
  operation(({ env, req }, nowMs) => getQueuePolicy(env, req.query('namespace'), nowMs)),
);
app.put(
  '/router/queue_policy',
  operation(({ env, req }, nowMs) => putQueuePolicy(env, req.raw, req.query('namespace'), nowMs)),
);
app.post('/router/generate', infer('router_generate'));
app.post('/router/best_worker_id', infer('best_worker_id'));
app.post(
  '/stator.v1.Planner/:method',
  operation(({ env, req }, nowMs) => plannerService(env, req.raw, req.param('method')!, nowMs)),
);
app.post(`${ROUTER_SERVICE}Generate`, infer('router_generate', readGenerate));
app.post(`${ROUTER_SERVICE}BestWorkerId`, unary(infer('best_worker_id', readBestWorker), bestWorkerMessage));
app.get(
  '/planner/v1',
  operation(({ env }) => getGlobalPlanner(env)),
);
app.get(
  '/get_pool_info',
  operation(({ env }, nowMs) => getPoolInfo(env, nowMs)),
);
app.post(
  `${ROUTER_SERVICE}GetPoolInfo`,
  unary(
    operation(({ env }, nowMs) => getPoolInfo(env, nowMs)),
    poolInfoMessage,
  ),
);
app.get(
  '/global_router',
  operation(({ env }) => getGlobalRouter(env)),
);
app.put(
  '/global_router',
  operation(({ env, req }) => putGlobalRouter(env, req.raw)),
);
app.delete(
  '/global_router',
  operation(({ env }) => deleteGlobalRouter(env)),
);
app.get(
  '/busy_threshold',
  operation(({ env }, nowMs) => listBusyThresholds(env, nowMs)),
);
app.post(
  '/busy_threshold',
  operation(({ env, req }, nowMs) => setBusyThreshold(env, req.raw, nowMs)),
);
app.get(
  '/disagg',
  operation(({ env }, nowMs) => listDisagg(env, nowMs)),
);
app.post(
  '/disagg',
  operation(({ env, req }, nowMs) => setDisagg(env, req.raw, nowMs)),
);
app.post(
  '/components/v1/:namespace/:component/:endpoint',
  operation((context) =>
    callEndpoint(context.env, context.req.raw, context.req.param(), context.get('arrival')),
  ),
);
app.get(
  '/discovery/v1/instances',
  operation(({ env, req }) => listInstances(env, req.query('prefix'))),
);
app.get('/discovery/v1/watch', ({ env, req }) => watchInstances(env, req.raw));
app.get('/fleet/v1/discovery/lease', ({ env, req }) => leaseDiscovery(env, req.raw));
app.put(
  '/fleet/v1/responses/:id',
  operation(({ env, req }) => storeResponse(env, req.raw, req.param('id')!, req.query())),
);
app.post('/fleet/v1/prefill-queue/:namespace/:method', ({ env, req }) =>
  prefillQueue(env, req.raw, req.param()),
);
app.get('/fleet/v1/:namespace', ({ env, req }) => fleet(env, req.raw, req.param('namespace')));

/** A known path with another method. */
const methods = new Map<string, string[]>();
for (const { path, method } of app.routes) {
  if (method !== 'ALL') methods.set(path, [...(methods.get(path) ?? []), method]);
}
for (const [path, known] of methods) {
  const allowed = known.join(', ');
  app.all(path, (context) => {
    const response = errorResponse(
      new StatorError(
        'method_not_allowed',
        `Not allowed to ${context.req.method} on ${context.req.path}: use ${allowed}.`,
      ),
      { requestId: context.get('arrival').requestId, api: apiOfRequest(context.req) },
    );
    response.headers.set('allow', allowed);
    return response;
  });
}
