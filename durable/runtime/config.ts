/**
 * Every setting, once: the schema that makes the flags, the environment, the file, `--help` and the docs page.
 *
 * A setting `routerMode` is `--router-mode`, `STATOR_ROUTER_MODE` and `router_mode` in stator.toml.
 * Flags win over the environment, the environment over the file, the file over the default.
 * The launcher resolves all sources and hands the result to workerd and the sidecars as STATOR_* variables,
 * so `settingsFromEnv` is all that the processes need. Pure: imported by every folder.
 */

import * as z from 'zod';
import { contradiction } from './contradictions.ts';
import { StatorError } from './errors.ts';
import { LIMITS } from './limits.ts';

const port = z.coerce.number().int().min(0).max(65_535);
const count = z.coerce.number().int().min(1);
const workers = z.coerce.number().int().min(0).max(64);
const leastWorkers = z.coerce.number().int().min(0).max(LIMITS.workers);
const plannedWorkers = z.coerce.number().int().min(1).max(LIMITS.workers);
const blocks = z.coerce.number().int().min(0);
const weight = z.coerce.number().min(0);
const seconds = z.coerce.number().gt(0).max(86_400);
const text = z.string();
const flag = z.union([z.boolean(), z.stringbool()]);
const share = z.coerce.number().min(0).max(1);
/** A setting that can be off, where 0 means something. */
const orOff = <S extends z.ZodType>(schema: S) => z.union([z.literal('off'), schema]);

/** `secret` settings are never printed. `default` is absent where none makes sense. */
interface Setting<S extends z.ZodType> {
  schema: S;
  default: z.output<S>;
  help: string;
  secret?: true;
}

const setting = <S extends z.ZodType>(
  schema: S,
  fallback: z.output<S>,
  help: string,
  secret?: true,
): Setting<S> => ({ schema, default: fallback, help, ...(secret ? { secret } : {}) });

export const SETTINGS = {
  host: setting(text, '127.0.0.1', 'Address to listen on; any other than loopback wants an API key.'),
  port: setting(port, 8787, 'HTTP port; when not given and taken, the next free one.'),
  alsoListen: setting(
    z
      .string()
      .regex(/^$|^(\S+:\d{1,5})(,\S+:\d{1,5})*$/, 'wants host:port, several with commas between them'),
    '',
    'Further addresses to listen on, as host:port,host:port; one router decides for all of them.',
  ),
  grpcPort: setting(
    port,
    0,
    'gRPC port of the first worker started here, the next ones above it; 0: free ones. KServe v2, router and worker services.',
  ),
  workers: setting(workers, 1, 'Workers (sidecars) to start on this machine; 0: they come from elsewhere.'),
  prefillWorkers: setting(
    workers,
    0,
    'Workers that compute prompts for decode workers; with them or these, --workers means nothing.',
  ),
  decodeWorkers: setting(workers, 0, 'Workers that generate, and leave long prompts to prefill workers.'),
  workerType: setting(
    z.enum(['aggregated', 'prefill', 'decode']),
    'aggregated',
    'What a worker started by itself is for.',
  ),
  engine: setting(z.enum(['llama', 'mock']), 'llama', 'Engine of the workers started here.'),
  model: setting(text, '', 'GGUF file for llama; empty: the built-in demonstration model.'),
  modelName: setting(text, '', 'Name that clients use; empty: the name in the model file.'),
  toolCallParser: setting(
    text,
    '',
    'How the model writes calls of tools (hermes, llama3_json, ...); empty: no tools.',
  ),
  reasoningParser: setting(
    text,
    '',
    'How the model marks its reasoning (qwen3, deepseek_r1, ...); empty: not.',
  ),
  tokenizer: setting(text, '', 'tokenizer.json for the mock engine; empty: that of the built-in model.'),
  context: setting(z.coerce.number().int().min(0), 0, 'Context length in tokens; 0: what the model has.'),
  blockSize: setting(count.max(1024), 16, 'Tokens per KV block.'),
  gpuLayers: setting(
    blocks,
    0,
    'Layers of a llama model on an NVIDIA GPU (999: all); wants the package @node-llama-cpp/linux-x64-cuda. 0: the CPU.',
  ),
  cudaLibrary: setting(text, '', 'Path of libcuda.so.1; empty: where the system has it.'),
  nvmlLibrary: setting(
    text,
    '',
    'Path of libnvidia-ml.so.1, for the metrics gpu_*; empty: where the system has it.',
  ),
  nvrtcLibrary: setting(
    text,
    '',
    "Path of libnvrtc, which compiles our kernels; empty: the system's, the CUDA toolkit's or a Python package's.",
  ),
  kvbmHostCacheGb: setting(weight, 0, 'KV memory: size of the host tier (G2) in GB; 0: none.'),
  kvbmHostCacheBlocks: setting(blocks, 0, 'The same as a number of KV blocks, which wins; 0: by size.'),
  kvbmDiskCacheGb: setting(weight, 0, 'KV memory: size of the disk tier (G3) in GB; 0: none.'),
  kvbmDiskCacheBlocks: setting(blocks, 0, 'The same as a number of KV blocks, which wins; 0: by size.'),
  kvbmDiskFolder: setting(text, '', 'Folder of the disk tier; each worker needs its own.'),
  kvbmDiskFilter: setting(flag, true, 'Only KV blocks seen more than once lately go below host memory.'),
  kvbmObjectStore: setting(
    text,
    '',
    'KV memory: the tier that workers share (G4): file:///folder or s3://bucket/prefix; empty: none.',
  ),
  kvbmObjectBlocks: setting(count, 1_000_000, 'Most KV blocks that a worker keeps in the object store.'),
  kvbmObjectLookup: setting(flag, true, 'Look there for blocks that other workers have put.'),
  kvbmObjectEndpoint: setting(text, '', 'URL of a service with the API of S3; empty: that of AWS.'),
  kvbmObjectRegion: setting(text, 'us-east-1', 'Region of the bucket.'),
  kvbmObjectAccessKey: setting(text, '', 'Access key of S3.', true),
  kvbmObjectSecretKey: setting(text, '', 'Secret key of S3.', true),
  kvbmEviction: setting(
    z.enum(['lrfu', 'lru', 'lineage', 'sieve', 's3-fifo']),
    'lrfu',
    'Which KV block makes room for another in every tier.',
  ),
  kvbmMaxConcurrentTransfers: setting(
    count.max(64),
    LIMITS.kvbmTransfers,
    'Transfers between two tiers at a time.',
  ),
  kvbmMaxTransferBatchSize: setting(count.max(1024), LIMITS.kvbmBatchBlocks, 'KV blocks in one transfer.'),
  transferBackends: setting(
    z.string().regex(/^$|^[a-z-]+(,[a-z-]+)*$/, 'wants names with commas between them'),
    '',
    'How KV blocks move between workers, in order of preference: cuda-ipc, shm, nixl, tcp; empty: all there are.',
  ),
  nixlLibrary: setting(
    text,
    '',
    'libnixl_capi.so or its folder; empty: the usual places and the Python package nixl-cu12 or nixl-cu13.',
  ),
  engineSpeedup: setting(weight, 1, 'Divides the simulated time of the mock engine; 0 = no delay.'),
  mockDecodeMs: setting(
    weight,
    0,
    'Fixed time per decode step of the mock engine; 0: the timing polynomial.',
  ),
  mockTiming: setting(
    text,
    '',
    "Profile whose times the mock engine takes: a folder or profile.json of `stator profile`, or Dynamo's .npz; empty: the polynomial.",
  ),
  mockDictation: setting(
    flag,
    false,
    'The mock engine says what a prompt has last between « and »: scripted answers, to try clients with.',
  ),
  routerMode: setting(
    z.enum(['round-robin', 'random', 'power-of-two', 'least-loaded', 'direct', 'kv']),
    'kv',
    'How a worker is chosen.',
  ),
  routerPolicy: setting(
    z.enum(['stator', 'dynamo']),
    'stator',
    "What mode kv minimises: predicted latency (stator) or Dynamo's weighted blocks.",
  ),
  overlapScoreCredit: setting(weight, 1, 'Credit per cached prompt block in the cost; may exceed 1.'),
  overlapScoreCreditDecay: setting(weight, 0, 'How fast that credit shrinks on workers busier than others.'),
  overlapScoreWeight: setting(
    orOff(weight),
    'off',
    'Dynamo 0.9: sets prefill_load_scale, and at 0 also overlap_score_credit to 0.',
  ),
  prefillLoadScale: setting(weight, 1, 'Weight of prefill load in the cost.'),
  decodeActiveRequestWeight: setting(weight, 0, 'Weight of the number of active requests in the cost.'),
  hostCacheHitWeight: setting(share, 0.75, 'Credit per block in a host tier.'),
  diskCacheHitWeight: setting(share, 0.25, 'Credit per block in a disk tier.'),
  sharedCacheMultiplier: setting(share, 0.5, 'Credit per block that the external shared cache has.'),
  routerTemperature: setting(weight, 0, '0 = cheapest worker; above: softmax over the costs.'),
  routerTrackActiveBlocks: setting(flag, true, 'Count the KV blocks of running requests in the cost.'),
  routerTrackOutputBlocks: setting(
    flag,
    false,
    'Count the KV blocks of generated tokens in the cost, not only those of prompts.',
  ),
  routerTrackPrefillTokens: setting(flag, true, 'Count the prompt tokens still to compute in the cost.'),
  routerAssumeKvReuse: setting(flag, true, 'Requests in flight share the blocks of equal prompt beginnings.'),
  routerPrefillLoadModel: setting(
    z.enum(['none', 'measured']),
    'none',
    'Lets prefill load shrink with time: measured = as fast as the workers have been.',
  ),
  useKvEvents: setting(flag, true, 'Off: guess what workers cache from where requests were sent.'),
  routerTtlSecs: setting(seconds, 120, 'Without KV events: how long a sent prompt counts as cached.'),
  routerMaxTreeSize: setting(
    count.max(2 ** 24),
    2 ** 20,
    'Without KV events: most blocks that are remembered.',
  ),
  routerPruneTargetRatio: setting(
    share,
    0.8,
    'Without KV events: share of the most blocks that is kept when there are more.',
  ),
  routerApproximateCachePolicy: setting(
    z.enum(['ttl', 'lru']),
    'ttl',
    'Without KV events: forget after a time, or past the capacity that the worker says.',
  ),
  routerPredictedTtlSecs: setting(
    orOff(seconds),
    'off',
    'With KV events: how long a sent prompt counts as cached before its events come.',
  ),
  sessionAffinityTtlSecs: setting(
    orOff(seconds),
    'off',
    'Requests of one session go to the worker of the one before, this long after it.',
  ),
  activeDecodeBlocksThreshold: setting(
    orOff(share),
    'off',
    'A worker is overloaded above this share of its KV blocks.',
  ),
  activePrefillTokensThreshold: setting(
    orOff(weight),
    'off',
    'A worker is overloaded above this many prompt tokens still to compute.',
  ),
  activePrefillTokensThresholdFrac: setting(
    orOff(weight),
    'off',
    'The same, as a multiple of the tokens that its engine takes in one batch.',
  ),
  disaggPolicy: setting(
    z.enum(['always', 'isl_bounding', 'prefill_load', 'isl_or_load', 'prefill_queue', 'never']),
    'isl_bounding',
    'Which prompts go to prefill workers: all but short rests of cached ones (isl_bounding), those that find one idle, ...',
  ),
  disaggIslTokens: setting(
    weight,
    2_048,
    'isl_bounding: with fewer tokens to compute, and below disagg_isl_ratio, a prompt stays with its decode worker.',
  ),
  disaggIslRatio: setting(weight, 0.7, 'The share of the prompt that goes with disagg_isl_tokens.'),
  remotePrefillTimeoutMs: setting(
    count,
    LIMITS.remotePrefillStallMs,
    'A decode worker computes a prompt itself when its prefill worker has shown no progress for so long.',
  ),
  prefillBusyThreshold: setting(
    orOff(weight),
    'off',
    'prefill_load: above this multiple of a batch in prompt tokens a prefill worker is busy; off: router_queue_threshold.',
  ),
  decodeBusyThreshold: setting(
    orOff(share),
    'off',
    'Above this share of its KV blocks a decode worker computes no prompt that a prefill worker may.',
  ),
  maxLocalPrefillLength: setting(
    weight,
    1_000,
    'prefill_queue (Dynamo 0.x): up to so many tokens to compute a prompt stays.',
  ),
  prefillHandoff: setting(
    z.enum(['push', 'queue']),
    'push',
    'How prompts come to prefill workers: the router names one, or they take them from a durable queue.',
  ),
  maxPrefillQueueSize: setting(
    weight,
    2,
    'prefill_queue: with so many prompts under way on prefill workers it stays, too.',
  ),
  routerQueueThreshold: setting(
    orOff(weight),
    'off',
    'Requests wait in the router while every worker has more prompt tokens to compute than this share of a batch.',
  ),
  routerQueueWaitMs: setting(
    orOff(weight),
    5,
    'With policy stator: a request waits in the router while the worker that is best for it has longer than this to do before its prompt.',
  ),
  routerQueuePolicy: setting(
    z.union([text.min(1), z.record(text, z.unknown()).transform((table) => JSON.stringify(table))]),
    'auto',
    'Who is next of those who wait: fcfs, lcfs, wspt or aged, or a file of policy classes (YAML, TOML, JSON); auto: aged while only predicted waits hold requests, else fcfs.',
  ),
  globalRouter: setting(
    z.union([text, z.record(text, z.unknown()).transform((table) => JSON.stringify(table))]),
    '',
    "File of pools (Dynamo's JSON, or YAML, TOML) that makes several namespaces serve one model name; empty: none.",
  ),
  defaultTtftTarget: setting(
    orOff(weight),
    'off',
    'Global router: TTFT target in ms of requests that name none; off: the middle of the axis.',
  ),
  defaultItlTarget: setting(orOff(weight), 'off', 'Global router: the same for ITL.'),
  openaiPoolKeys: setting(
    z
      .string()
      .regex(
        /^$|^[a-z0-9-]+=[^,\s]+(,[a-z0-9-]+=[^,\s]+)*$/,
        'wants name=key, several with commas between them',
      ),
    '',
    'Global router: API keys of openai_pools, as name=key,name=key.',
    true,
  ),
  overloadStatusCode: setting(
    z.coerce.number().int().min(400).max(599),
    529,
    'HTTP status of an answer when all workers are overloaded.',
  ),
  migrationLimit: setting(
    z.coerce.number().int().min(0).max(16),
    LIMITS.migrations,
    'Most re-dispatches of a request after the loss of its worker.',
  ),
  planner: setting(
    z.enum(['off', 'sla', 'load', 'both']),
    'off',
    'Sizes the fleet: by demand, a profile and the targets (sla), by the load of each engine (load), or both.',
  ),
  plannerAdvisory: setting(flag, false, 'The planner says what it would do, and does not.'),
  plannerConnector: setting(
    z.enum(['virtual', 'process', 'kubernetes', 'global']),
    'virtual',
    'Who executes its orders: whoever fetches them (virtual), the launcher (process), Kubernetes (kubernetes); global: global_connector, within max_total_gpus.',
  ),
  globalConnector: setting(
    z.enum(['virtual', 'process', 'kubernetes']),
    'virtual',
    'With planner_connector global: who executes what the global planner grants.',
  ),
  maxTotalGpus: setting(orOff(count), 'off', 'Global planner: most GPUs of all namespaces together.'),
  managedNamespaces: setting(
    z.string().regex(/^$|^[a-z0-9-]+(,[a-z0-9-]+)*$/, 'wants names with commas between them'),
    '',
    'Global planner: the only namespaces that may ask; empty: all.',
  ),
  globalPlannerPriorities: setting(
    z.string().regex(/^$|^[a-z0-9-]+=-?\d{1,9}(,[a-z0-9-]+=-?\d{1,9})*$/, 'wants name=number,name=number'),
    '',
    'Global planner: namespaces with lower numbers get GPUs first, as name=number,name=number; others have 0.',
  ),
  globalPlannerWeights: setting(
    z
      .string()
      .regex(/^$|^[a-z0-9-]+=[1-9]\d{0,5}(,[a-z0-9-]+=[1-9]\d{0,5})*$/, 'wants name=number,name=number'),
    '',
    'Global planner: shares of namespaces of one priority, as name=number,name=number; others have 1.',
  ),
  kubernetesTarget: setting(
    text,
    '',
    'What the planner scales: apps/v1/Deployment/NAME or any other that has a scale, pools as prefill=...,decode=...',
  ),
  kubernetesUrl: setting(text, '', 'URL of the API server; empty: that of the cluster this Pod is in.'),
  kubernetesNamespace: setting(text, '', "Namespace of the targets; empty: the service account's."),
  kubernetesAccount: setting(
    text,
    '/var/run/secrets/kubernetes.io/serviceaccount',
    'Folder with token, ca.crt and namespace of a service account; the token is read anew for every call.',
  ),
  plannerMetrics: setting(
    z.enum(['router', 'prometheus']),
    'router',
    'Where it reads what happens: from the router, or from a Prometheus server that scrapes it.',
  ),
  plannerPrometheusUrl: setting(text, '', 'Base URL of that server.'),
  plannerProfile: setting(
    text,
    '',
    'Profile of the engine (JSON or .npz, made by stator profile); empty: that of the mock engine, where it is one.',
  ),
  plannerTtftMs: setting(z.coerce.number().gt(0), 500, 'Target of the time to the first token.'),
  plannerItlMs: setting(z.coerce.number().gt(0), 50, 'Target of the time between two tokens.'),
  plannerIntervalSecs: setting(seconds.min(1), 60, 'Between two looks at demand.'),
  plannerLoadIntervalSecs: setting(seconds.min(1), 5, 'Between two looks at engines (load, both).'),
  plannerMin: setting(leastWorkers, 1, 'Fewest workers; 0: an idle fleet goes to sleep.'),
  plannerMax: setting(plannedWorkers, 8, 'Most workers.'),
  plannerPrefillMin: setting(orOff(leastWorkers), 'off', 'The same for prefill workers; off: planner_min.'),
  plannerPrefillMax: setting(orOff(plannedWorkers), 'off', 'Most prefill workers; off: planner_max.'),
  plannerDecodeMin: setting(orOff(leastWorkers), 'off', 'Fewest decode workers; off: planner_min.'),
  plannerDecodeMax: setting(orOff(plannedWorkers), 'off', 'Most decode workers; off: planner_max.'),
  plannerWorkerGpus: setting(count.max(64), 1, 'GPUs of a worker.'),
  plannerPrefillGpus: setting(count.max(64), 1, 'GPUs of a prefill worker.'),
  plannerDecodeGpus: setting(count.max(64), 1, 'GPUs of a decode worker.'),
  plannerGpuBudget: setting(orOff(count), 'off', 'Most GPUs of all workers together.'),
  plannerPredictor: setting(
    z.enum(['constant', 'moving-average', 'arima', 'kalman', 'seasonal']),
    'moving-average',
    'How demand is predicted.',
  ),
  plannerCorrection: setting(flag, true, 'Correct the profile by what is measured.'),
  plannerStartupSecs: setting(z.coerce.number().min(0).max(86_400), 30, 'How long a worker takes to start.'),
  plannerActionLimitSecs: setting(seconds, 1_800, 'An order that has not ended by then is given up.'),
  plannerMaxStep: setting(count, 8, 'Most workers that one decision adds or takes away.'),
  plannerKeepAliveMs: setting(
    z.coerce.number().int().min(0),
    300_000,
    'How long a fleet that may go to zero (planner_min 0) stays after its last request.',
  ),
  wakeTimeoutMs: setting(
    z.coerce.number().int().min(1).max(LIMITS.wakeTimeoutMs),
    60_000,
    'How long a request waits for a worker of a model that sleeps.',
  ),
  wakeQueue: setting(
    z.coerce.number().int().min(0).max(LIMITS.queuedRequests),
    1_024,
    'How many requests of a namespace may wait so.',
  ),
  workerTaints: setting(
    text,
    '',
    'Words that the workers started here say of themselves, by commas; requests may require or prefer them.',
  ),
  tlsCert: setting(
    text,
    '',
    'PEM certificate (with its chain) that makes the HTTP side https; wants tls_key.',
  ),
  tlsKey: setting(text, '', 'PEM private key of tls_cert. New files count from the next start.'),
  tlsClientCa: setting(
    text,
    '',
    'PEM certificates of authorities; clients of the HTTP side must show a certificate of one of them.',
  ),
  fleetTlsCert: setting(
    text,
    '',
    'PEM certificate of this machine in its fleet: platform and workers show it to each other; wants fleet_tls_key, fleet_tls_ca.',
  ),
  fleetTlsKey: setting(text, '', 'PEM private key of fleet_tls_cert.'),
  fleetTlsCa: setting(text, '', 'PEM certificate of the authority that signs those of the fleet.'),
  fleetListen: setting(
    z.string().regex(/^$|^\S+:\d{1,5}$/, 'wants host:port'),
    '',
    'Address for workers alone, as host:port; with fleet_tls_cert it takes certificates of the fleet only. Empty: the HTTP port, or with TLS a free port on loopback.',
  ),
  eventPlane: setting(
    z.enum(['socket', 'nats', 'zmq']),
    'socket',
    'How KV events and load travel: the fleet socket; NATS, which wants nats_url; or ZMQ for others beside the fleet socket, because workerd cannot listen there.',
  ),
  requestPlane: setting(
    z.enum(['http', 'nats']),
    'http',
    'How requests come to workers: HTTP, which costs no JavaScript a token, or NATS, which wants nats_url.',
  ),
  natsUrl: setting(
    text,
    '',
    'NATS servers, nats://[user:password@]host:port or tls://…, several with commas between them.',
    true,
  ),
  natsCreds: setting(text, '', 'Credentials file of NATS.', true),
  durableKvEvents: setting(
    flag,
    false,
    'With event_plane nats: KV events in a JetStream stream, which a router that restarts reads instead of asking for dumps.',
  ),
  zmqPublish: setting(
    text,
    '',
    'With event_plane zmq: where a worker publishes, tcp://host:port; empty: a free port on loopback.',
  ),
  zmqReplay: setting(
    text,
    '',
    'With event_plane zmq: where it sends events again that somebody missed; empty: a free port on loopback.',
  ),
  namespace: setting(z.string().regex(/^[a-z0-9][a-z0-9-]{0,62}$/), 'default', 'Namespace of the workers.'),
  discovery: setting(
    z
      .string()
      .regex(
        /^(object|[a-z]+:.*)$/,
        'wants object, file:DIRECTORY, etcd:http://HOST:2379, nats:nats://HOST:4222 or kubernetes:',
      ),
    'object',
    'How workers that were told no address find a platform, and others find workers: object (the platform itself), file:DIRECTORY, etcd:http://HOST:2379, nats:nats://HOST:4222, kubernetes:',
  ),
  discoveryAddress: setting(
    z.string().regex(/^$|^https?:\/\/./, 'wants an http or https address'),
    '',
    'URL that workers find the platform at by discovery; empty: the one that it listens on for them.',
  ),
  apiKey: setting(text, '', 'Clients must send it as a bearer token or x-api-key; empty: no check.', true),
  fleetToken: setting(text, '', 'Shared by platform and workers; made by the launcher when empty.', true),
  bodyLimitBytes: setting(count, LIMITS.bodyBytes, 'Largest request body.'),
  leaseMs: setting(count.max(300_000), LIMITS.leaseMs, 'A silent worker is dropped after this long.'),
  snapshotEvents: setting(
    z.coerce.number().int().min(0),
    LIMITS.snapshotEvents,
    'KV events between two snapshots of the index on disk; 0: never.',
  ),
  resetStates: setting(flag, false, 'Forget the snapshots of the index at start.'),
  metricsPrefix: setting(z.string().regex(/^[a-z_]+$/), 'stator', 'Prefix of metric names.'),
  logLevel: setting(z.enum(['debug', 'info', 'warn', 'error']), 'info', 'Least severe log line.'),
} as const;

type Table = typeof SETTINGS;
export type SettingName = keyof Table;
export type Settings = { [K in SettingName]: z.output<Table[K]['schema']> };

const words = (name: string) => name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`).split(' ');
export const flagName = (name: string): string => words(name).join('-');
export const fileKey = (name: string): string => words(name).join('_');
export const envName = (name: string): string => `STATOR_${fileKey(name).toUpperCase()}`;

/** One source's raw values by setting name, with the words to blame in an error (`--port`, `STATOR_PORT`, …). */
export interface SettingsSource {
  values: Readonly<Record<string, unknown>>;
  label: (name: SettingName) => string;
}

/** Settings from several sources, strongest first. Throws `invalid_request` naming the source and the value. */
export function resolveSettings(sources: readonly SettingsSource[]): Settings {
  const result: Record<string, unknown> = {};
  for (const [name, entry] of Object.entries(SETTINGS) as [SettingName, Table[SettingName]][]) {
    const source = sources.find(({ values }) => values[name] !== undefined);
    if (!source) {
      result[name] = entry.default;
      continue;
    }
    const parsed = entry.schema.safeParse(source.values[name]);
    if (!parsed.success) {
      const reason = parsed.error.issues[0]?.message ?? 'not valid';
      throw new StatorError('invalid_request', `${source.label(name)}: ${reason}`, { param: name });
    }
    result[name] = parsed.data;
  }
  const settings = result as Settings;
  const conflict = contradiction(settings);
  if (conflict) {
    const [first, second] = conflict.settings.map((name) => sourceLabel(sources, name));
    throw new StatorError('invalid_request', `${first} ${conflict.reason} ${second}`, {
      param: conflict.settings[0],
    });
  }
  return settings;
}

const sourceLabel = (sources: readonly SettingsSource[], name: SettingName): string =>
  sources.find(({ values }) => values[name] !== undefined)?.label(name) ?? fileKey(name);

/** The environment as a source: STATOR_* only; empty strings count as absent. */
export function envSource(env: Readonly<Record<string, unknown>>): SettingsSource {
  const values: Record<string, unknown> = {};
  for (const name of Object.keys(SETTINGS)) {
    const value = env[envName(name)];
    if (typeof value === 'string' && value !== '') values[name] = value;
  }
  return { values, label: envName };
}

export const settingsFromEnv = (env: Readonly<Record<string, unknown>>): Settings =>
  resolveSettings([envSource(env)]);

/** The inverse of `settingsFromEnv`: what the launcher gives to the processes it starts. */
export function settingsToEnv(settings: Settings): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of Object.keys(SETTINGS) as SettingName[]) env[envName(name)] = String(settings[name]);
  return env;
}
