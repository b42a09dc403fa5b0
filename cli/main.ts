/** The command tree. Every command is one file; errors become one line and exit code 1 (2 for a wrong call). */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CommandDef, defineCommand, runCommand, showUsage } from 'citty';
import { StatorError } from '../durable/runtime/errors.ts';
import { PROJECT_ROOT } from './paths.ts';

const COMMANDS = {
  up: () => import('./commands/up.ts').then((module) => module.up),
  down: () => import('./commands/down.ts').then((module) => module.down),
  status: () => import('./commands/status.ts').then((module) => module.status),
  run: () => import('./commands/run.ts').then((module) => module.run),
  chat: () => import('./commands/chat.ts').then((module) => module.chat),
  'run-component': () => import('./commands/run-component.ts').then((module) => module.runComponent),
  watch: () => import('./commands/watch.ts').then((module) => module.watch),
  planner: () => import('./commands/planner.ts').then((module) => module.planner),
  'clear-kv-blocks': () => import('./commands/clear-kv-blocks.ts').then((module) => module.clearKvBlocks),
  gpus: () => import('./commands/gpus.ts').then((module) => module.gpus),
  tls: () => import('./commands/tls.ts').then((module) => module.tls),
  dev: () => import('./commands/dev.ts').then((module) => module.dev),
  build: () => import('./commands/build.ts').then((module) => module.build),
  profile: () => import('./commands/profile.ts').then((module) => module.profile),
  replay: () => import('./commands/replay.ts').then((module) => module.replay),
  check: () => import('./commands/check.ts').then((module) => module.check),
  test: () => import('./commands/test.ts').then((module) => module.test),
  bench: () => import('./commands/bench.ts').then((module) => module.bench),
  score: () => import('./commands/score.ts').then((module) => module.score),
} as const;

/** Their own `--help` says more than their options, or knows them better. */
const HANDED_ON: ReadonlySet<string> = new Set(['bench', 'replay']);

const version = (JSON.parse(readFileSync(join(PROJECT_ROOT, 'package.json'), 'utf8')) as { version: string })
  .version;

const root = defineCommand({
  meta: { name: 'stator', version, description: 'Serve large language models on your own machines.' },
  subCommands: COMMANDS,
});

async function main(argv: string[]): Promise<number> {
  const [name] = argv;
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    await showUsage(root);
    return 0;
  }
  if (name === '--version' || name === '-v') {
    process.stdout.write(`${version}\n`);
    return 0;
  }
  if (!Object.hasOwn(COMMANDS, name)) {
    process.stderr.write(
      `stator: unknown command "${name}"; there are ${Object.keys(COMMANDS).join(', ')}\n`,
    );
    return 2;
  }
  const command = (await COMMANDS[name as keyof typeof COMMANDS]()) as CommandDef;
  if (!HANDED_ON.has(name) && (argv.includes('--help') || argv.includes('-h'))) {
    await showUsage(command, root);
    return 0;
  }
  const { result } = await runCommand(command, { rawArgs: argv.slice(1) });
  return typeof result === 'number' ? result : 0;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const known = error instanceof StatorError;
  if (process.argv.includes('--json')) {
    const { code, message } = known ? error : { code: 'internal', message: String(error) };
    process.stdout.write(`${JSON.stringify({ event: 'error', code, message })}\n`);
  } else {
    process.stderr.write(`stator: ${known ? error.message : ((error as Error).stack ?? String(error))}\n`);
  }
  process.exitCode = 1;
}
