/** `stator status`: what runs on this machine, worker by worker. */

import { defineCommand } from 'citty';
import type { PrefillQueueStatus } from '../../durable/prefill-queue/rpc.ts';
import type { RouterStatus } from '../../durable/router/rpc.ts';
import { askedTarget, chooseTarget, TARGET_ARGS } from '../chat/target.ts';
import { plannerClient, type ShownPlanner } from '../launch/planner-client.ts';
import { type PoolInfo, platformClient } from '../launch/platform-client.ts';
import { liveRecords } from '../launch/records.ts';
import { controlFetch } from '../launch/tls.ts';
import { plannerLine } from '../planner-line.ts';
import { refuseUnknown } from '../settings.ts';

export const status = defineCommand({
  meta: { name: 'status', description: 'Show running deployments and their workers.' },
  args: {
    ...TARGET_ARGS,
    url: { type: 'string', description: 'Address of a deployment that was started elsewhere.' },
    json: { type: 'boolean', description: 'JSON instead of a table.', default: false },
  },
  async run({ args }): Promise<number> {
    refuseUnknown(args, new Set(['json', ...Object.keys(TARGET_ARGS)]));
    const asked = askedTarget(args, process.env);
    const records = liveRecords();
    const targets = asked.url === undefined ? records : [chooseTarget(asked, records)];
    const answers: Answer[] = [];
    for (const { apiKey: key, control, url } of targets) {
      const client = platformClient(control.url, key, controlFetch(control));
      const options = { apiKey: key, namespace: 'default', fetch: controlFetch(control) };
      const [status, prefillQueue, pools, planner] = await Promise.all([
        client.status(),
        client.prefillQueue(),
        client.poolInfo(),
        // A platform of another version, or whose workers are in another namespace.
        plannerClient(control.url, options)
          .status()
          .catch(() => null),
      ]);
      answers.push({ url, status, prefillQueue, pools, planner });
    }
    if (args.json) process.stdout.write(`${JSON.stringify(answers, null, 2)}\n`);
    else if (answers.length === 0)
      process.stdout.write('nothing is running; `npm start` starts a deployment\n');
    else
      for (const answer of answers) {
        process.stdout.write(describe(answer) + plannedLine(answer.planner) + poolLines(answer.pools));
      }
    return answers.length === 0 && !args.json ? 3 : 0;
  },
});

const plannedLine = (planner: ShownPlanner | null): string =>
  planner === null || planner.mode === 'off' ? '' : `  ${plannerLine(planner)}`;

interface Answer {
  planner: ShownPlanner | null;
  url: string;
  status: RouterStatus;
  prefillQueue: PrefillQueueStatus;
  pools: PoolInfo | null;
}

/** As people read it. */
export function describe({ url, status, prefillQueue }: Omit<Answer, 'planner' | 'pools'>): string {
  const megabytes = (status.indexBytes / 1024 / 1024).toFixed(1);
  const head =
    `${url}  router ${status.mode}, ${status.inFlight} in flight, ` +
    `index ${status.indexBlocks} blocks (${megabytes} MiB)\n`;
  const rows = [
    [
      'WORKER',
      'MODEL',
      'ENGINE',
      'ROLE',
      'PHASE',
      'RUNNING',
      'WAITING',
      'CACHED/TOTAL',
      'TIERS',
      'ADDRESS',
      'GRPC',
    ],
    ...status.workers.map((worker) => [
      worker.instanceId,
      worker.model,
      worker.engine,
      worker.workerType,
      worker.phase,
      String(worker.running),
      String(worker.waiting),
      `${worker.cachedBlocks}/${worker.totalBlocks}`,
      tiers(worker),
      worker.address,
      worker.grpcAddress,
    ]),
  ];
  return head + queueLines(status) + prefillQueueLines(prefillQueue) + sleepingLines(status) + table(rows);
}

function table(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => `  ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}\n`).join('');
}

/** The global router's, where there is one. */
function poolLines(info: PoolInfo | null): string {
  if (info === null) return '';
  const shown = (value: number | null) => (value === null ? '-' : String(value));
  const rows = [
    [
      'POOL',
      'ROLES',
      'PRIORITY',
      'WORKERS',
      'IN FLIGHT',
      'WAITING',
      'SELECTED',
      'RETRIED',
      'OVERFLOW',
      'FAILED',
    ],
    ...info.pools.map((pool) => [
      pool.pool,
      pool.roles.join(','),
      shown(pool.priority),
      shown(pool.live_workers),
      shown(pool.in_flight),
      shown(pool.waiting),
      String(pool.selected),
      String(pool.retried),
      String(pool.overflow),
      String(Object.values(pool.failures).reduce((sum, count) => sum + count, 0)),
    ]),
  ];
  return `  global router, mode ${info.mode}, ${info.model_name ?? 'all models of its pools'}\n${table(rows)}`;
}

/** KV memory below the engine's own cache; `!`: a tier that rests after faults. */
function tiers({ tiers }: RouterStatus['workers'][number]): string {
  if (tiers.length === 0) return '-';
  return tiers
    .map(
      ({ tier, blocks, capacityBlocks, degraded }) =>
        `${tier} ${blocks}/${capacityBlocks}${degraded ? '!' : ''}`,
    )
    .join(' ');
}

/** One line for each policy class in which somebody waits. */
function queueLines({ queue }: RouterStatus): string {
  return queue
    .filter(({ requests }) => requests > 0)
    .map(
      ({ model, policyClass, requests, rawIslTokens }) =>
        `  queue ${model} ${policyClass}: ${requests} waiting, ${rawIslTokens} prompt tokens\n`,
    )
    .join('');
}

/** One line for the models that a request would wake. */
function sleepingLines({ held, sleeping }: RouterStatus): string {
  if (sleeping.length === 0) return '';
  const waiting = held === 0 ? '' : `, ${held} requests wait for a worker`;
  return `  sleeping: ${sleeping.join(', ')}${waiting}\n`;
}

/** One line for each model with prompts in the prefill queue, and one for those that it gave up. */
function prefillQueueLines({ models, redelivered, deadLetters }: PrefillQueueStatus): string {
  const lines = models.map(
    ({ model, waiting, leased, oldestMs }) =>
      `  prefill queue ${model}: ${waiting} waiting (the oldest ${(oldestMs / 1000).toFixed(1)} s), ${leased} leased\n`,
  );
  if (deadLetters.length > 0 || redelivered > 0)
    lines.push(`  prefill queue: ${deadLetters.length} dead letters, ${redelivered} redelivered\n`);
  return lines.join('');
}
