/** `stator planner`: what the planner wants and why, what it decided, and whether it would decide the same again. */

import { defineCommand } from 'citty';
import { DecisionReplay } from '../../durable/planner/replay.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { askedTarget, chooseTarget, TARGET_ARGS } from '../chat/target.ts';
import { type PlannerClient, plannerClient, type ShownDecision } from '../launch/planner-client.ts';
import { liveRecords } from '../launch/records.ts';
import { controlFetch } from '../launch/tls.ts';
import { plannerLine } from '../planner-line.ts';
import { refuseUnknown } from '../settings.ts';

const ACTIONS = ['status', 'decisions', 'replay'] as const;

export const planner = defineCommand({
  meta: {
    name: 'planner',
    description:
      'What the planner wants (status), what it decided (decisions), and the same decided again (replay).',
  },
  args: {
    action: { type: 'positional', description: ACTIONS.join(' | '), default: 'status' },
    ...TARGET_ARGS,
    namespace: { type: 'string', description: 'Namespace of the workers.', default: 'default' },
    limit: { type: 'string', description: 'decisions: how many of the newest.', default: '20' },
    json: { type: 'boolean', description: 'JSON instead of text.', default: false },
  },
  async run({ args }): Promise<number> {
    refuseUnknown(
      { ...args, _: args._.slice(1) },
      new Set(['action', 'namespace', 'limit', 'json', ...Object.keys(TARGET_ARGS)]),
    );
    const { control, apiKey } = chooseTarget(askedTarget(args, process.env), liveRecords());
    const client = plannerClient(control.url, {
      apiKey,
      namespace: args.namespace,
      fetch: controlFetch(control),
    });
    const say = (json: unknown, text: string) =>
      process.stdout.write(args.json ? `${JSON.stringify(json, null, 2)}\n` : text);
    switch (args.action) {
      case 'status': {
        const status = await client.status();
        say(status, `${plannerLine(status)}${status.because.map((why) => `  ${why}\n`).join('')}`);
        return 0;
      }
      case 'decisions': {
        const decisions = await client.decisions(Number(args.limit));
        say(decisions, decisions.map(line).join('') || 'nothing was decided\n');
        return 0;
      }
      case 'replay': {
        const replay = await replayAll(client);
        const { replayed, skipped, different } = replay;
        const same = replayed - different.length;
        const differ = different.map(({ id }) => `  decision ${id} differs\n`).join('');
        say(
          { replayed, skipped, different },
          `${same} of ${replayed} decisions come out the same\n${differ}`,
        );
        return different.length === 0 ? 0 : 1;
      }
      default:
        throw new StatorError(
          'invalid_request',
          `stator planner knows ${ACTIONS.join(', ')}, not '${args.action}'`,
        );
    }
  },
});

/** The whole log, page by page. */
async function replayAll(client: PlannerClient): Promise<DecisionReplay> {
  const replay = new DecisionReplay();
  let after = 0;
  for (;;) {
    const page = await client.log(after);
    const last = page.decisions.at(-1);
    if (last === undefined) return replay;
    replay.take(page);
    after = last.id;
  }
}

function line({ id, atMs, counts, outcome, because }: ShownDecision): string {
  const wanted = Object.entries(counts).map(([role, count]) => `${role} ${count}`);
  const time = new Date(atMs).toISOString();
  return `${String(id).padStart(6)}  ${time}  ${wanted.join(', ')}  ${outcome.padEnd(10)}  ${because.join('; ')}\n`;
}
