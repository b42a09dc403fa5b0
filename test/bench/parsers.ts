/**
 * `npm run bench:parsers`: what parsing costs the sidecar, and the worst texts that we could think of.
 *
 * Per family: an answer with reasoning, prose and calls of about 16 kB, in pieces of four characters as tokens are; µs a
 * token is the least of `--rounds` runs. Adversarial: one megabyte of what a family's markup is made of. Each of its texts is
 * run once in one piece; the three slowest are run again, in one piece and as tokens, the least of five runs each
 * (processor time), and the worst of them is said.
 */

import { parseArgs } from 'node:util';
import { makeContentParser } from '../../gpu-sidecar/response/parsers/registry.ts';
import { HARMONY, TOOL_CALL_FAMILIES } from '../../gpu-sidecar/response/parsers/tool-call-families.ts';
import { type Call, WRITERS } from '../gpu-sidecar/response/parsers/dialect-writers.ts';
import { versions } from './versions.ts';

const TOKEN_CHARACTERS = 4;
const MEGABYTE = 1 << 20;

const { values: args } = parseArgs({
  options: {
    json: { type: 'boolean', default: false },
    rounds: { type: 'string', default: '20' },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

const HELP = `npm run bench:parsers -- [options]
  --json       one JSON document on stdout instead of a table
  --rounds N   runs of an ordinary answer [20]`;
const SUSPECTS = 3;
/** The first ones are compiled while they run. */
const ADVERSARIAL_RUNS = 5;

const TOOLS = [
  {
    name: 'get_weather',
    parameters: { properties: { city: { type: 'string' }, days: { type: 'integer' } } },
  },
];
const CALLS: readonly Call[] = Array.from({ length: 20 }, (_, days) => ({
  name: 'get_weather',
  args: { city: 'A town with a rather long name in the mountains, and its "lake"'.repeat(3), days },
}));
const PROSE = 'The weather depends on where you are; it is < 20 degrees [in the shade]. '.repeat(55);

function tokens(text: string): string[] {
  const pieces: string[] = [];
  for (let at = 0; at < text.length; at += TOKEN_CHARACTERS)
    pieces.push(text.slice(at, at + TOKEN_CHARACTERS));
  return pieces;
}

/** Processor time of this thread, since the machine has other work; its grain is milliseconds. */
function cpuMs(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

/** Milliseconds for an answer in these pieces. */
function timeMs(family: string, pieces: readonly string[], nowMs: () => number = cpuMs): number {
  const parser = makeContentParser({
    toolCallParser: family,
    reasoningParser: family === HARMONY ? HARMONY : 'qwen3',
    tools: TOOLS,
  })!;
  const from = nowMs();
  for (const piece of pieces) parser.push(piece);
  parser.end('stop');
  return nowMs() - from;
}

/** An ordinary answer. */
function answer(family: string): string {
  const { write, bare } = WRITERS[family]!;
  if (family === HARMONY) {
    return `<|channel|>analysis<|message|>${PROSE}<|end|><|start|>assistant<|channel|>final<|message|>${PROSE}<|end|>${write(CALLS)}`;
  }
  return `<think>${PROSE}</think>${bare ? '' : PROSE}${write(CALLS)}`;
}

/** Repeated beginnings of markers, calls without end, deep JSON, long names: each a megabyte. */
function adversarial(family: string): string[] {
  const shape = TOOL_CALL_FAMILIES[family]!;
  const markers =
    shape === HARMONY ? ['<|start|>', '<|message|>'] : [...Object.keys(shape.starts), ...shape.silent];
  const { write } = WRITERS[family]!;
  const one = write([{ name: 'get_weather', args: { city: 'CITY' } }]);
  const [head, tail] = [one.slice(0, one.indexOf('CITY')), one.slice(one.indexOf('CITY') + 4)];
  const inside = ['x', '\\', '\n', '"', '<', '</', '</parameter', '[', '{"a":', '\\u', '😀'];
  return [
    ...markers,
    ...markers.map((marker) => marker.slice(0, -1)),
    ...markers.map((marker) => marker[0]!),
    ...[' ', '\n ', '{', '[', '{"name": "get_weather"', '<think>', '</think>', '<thi', one],
  ]
    .map((unit) => unit.repeat(Math.ceil(MEGABYTE / unit.length)))
    .concat(inside.map((unit) => head + unit.repeat(Math.ceil(MEGABYTE / unit.length)) + tail))
    .concat(markers.map((marker) => marker + 'name'.repeat(MEGABYTE / 4)));
}

function measure(family: string) {
  const pieces = tokens(answer(family));
  const runs = Array.from({ length: Number(args.rounds) }, () =>
    timeMs(family, pieces, () => performance.now()),
  );
  const suspects = adversarial(family)
    .map((text) => ({ text, ms: timeMs(family, [text]) }))
    .sort((a, b) => b.ms - a.ms)
    .slice(0, SUSPECTS);
  const least = (cut: readonly string[]) =>
    Math.min(...Array.from({ length: ADVERSARIAL_RUNS }, () => timeMs(family, cut)));
  const worst = (cut: (text: string) => readonly string[]) =>
    Math.max(...suspects.map(({ text }) => least(cut(text))));
  return {
    us_per_token: Number(((Math.min(...runs) * 1000) / pieces.length).toFixed(3)),
    adversarial_1mb_ms: Number(worst((text) => [text]).toFixed(1)),
    adversarial_1mb_as_tokens_ms: Number(worst(tokens).toFixed(1)),
  };
}

function main(): void {
  const families = Object.fromEntries(
    Object.keys(TOOL_CALL_FAMILIES).map((family) => {
      process.stderr.write(`${family}\n`);
      return [family, measure(family)];
    }),
  );
  if (args.json) console.log(JSON.stringify({ versions: versions(), families }, null, 2));
  else console.table(families);
}

if (args.help) console.log(HELP);
else main();
