/**
 * Where the platform process spends its CPU: V8's own sampling profiler, asked over workerd's inspector while a load of
 * short requests runs against a bundle that keeps function names. Self time by function, native parts under their own
 * names (`(program)` is workerd's C++: HTTP, sockets, RPC), and by source file, native parts charged to the file that called.
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import WebSocket from 'ws';
import { buildBundle } from '../../cli/launch/bundle.ts';
import { Deployment, workerdLauncher } from '../../cli/launch/deployment.ts';
import { freePort } from '../../cli/launch/ports.ts';
import type { Settings } from '../../durable/runtime/config.ts';
import { runCell, sideOf } from './cells.ts';

const ROWS = 40;
const SAMPLE_US = 200;

interface ProfileNode {
  id: number;
  children?: number[];
  callFrame: { functionName: string; url: string; lineNumber: number };
}

interface Profile {
  nodes: ProfileNode[];
  samples: number[];
  timeDeltas: number[];
}

/** A text table, most expensive first. */
export async function profileRequests(
  settings: Settings,
  words: readonly string[],
  promptTokens: number,
): Promise<string> {
  const inspector = await freePort();
  const bundle = await buildBundle({ minify: false });
  const deployment = new Deployment(
    { ...settings, port: await freePort() },
    workerdLauncher(bundle, [`--inspector-addr=127.0.0.1:${inspector}`]),
  );
  try {
    await deployment.start();
    const session = await openSession(inspector);
    const plan = { promptTokens, concurrency: 64, maxTokens: 1, stream: false, seconds: 5 };
    await runCell(sideOf(deployment), { ...plan, seconds: 1 }, words, 11);
    await session.call('Profiler.enable');
    await session.call('Profiler.setSamplingInterval', { interval: SAMPLE_US });
    await session.call('Profiler.start');
    const cell = await runCell(sideOf(deployment), plan, words, 12);
    const { profile } = (await session.call('Profiler.stop')) as { profile: Profile };
    session.close();
    const head = `${cell.requests} requests, ${cell.frontend_cpu_ms_per_request} ms CPU each (with the profiler on)\n`;
    const perRequest = (micros: number) => micros / cell.requests;
    return (
      `self time per request by function, ${head}${table(selfTimes(profile, functionName), perRequest)}` +
      `by source file, native calls included, ${head}${table(selfTimes(profile, fileNames(profile, bundle.directory)), perRequest)}`
    );
  } finally {
    await deployment.stop(2_000);
  }
}

async function openSession(port: number) {
  const targets = (await (await fetch(`http://127.0.0.1:${port}/json`)).json()) as {
    webSocketDebuggerUrl: string;
  }[];
  const socket = new WebSocket(targets[0]?.webSocketDebuggerUrl as string);
  await new Promise((resolve, reject) => socket.once('open', resolve).once('error', reject));
  const waiting = new Map<number, (result: unknown) => void>();
  socket.on('message', (data) => {
    const { id, result } = JSON.parse(String(data)) as { id?: number; result?: unknown };
    if (id !== undefined) waiting.get(id)?.(result);
  });
  let last = 0;
  return {
    call(method: string, params: Record<string, unknown> = {}): Promise<unknown> {
      last += 1;
      const id = last;
      socket.send(JSON.stringify({ id, method, params }));
      return new Promise((resolve) => waiting.set(id, resolve));
    },
    close: () => socket.close(),
  };
}

const functionName = ({ callFrame }: ProfileNode) =>
  `${callFrame.functionName || '(anonymous)'}:${callFrame.lineNumber}`;

/** The file of a node by the bundle's own `// path` lines; a native node has that of its nearest caller in the bundle. */
function fileNames({ nodes }: Profile, bundle: string): (node: ProfileNode) => string {
  const byLine: string[] = [];
  let file = '(bundle)';
  for (const line of readFileSync(join(bundle, 'index.js'), 'utf8').split('\n')) {
    const marked = /^(?:init_\w+ = |\s*)?\/\/ (\S+\.(?:[cm]?js|ts))$/.exec(line);
    if (marked) file = marked[1]!.replace(/^.*node_modules\//, '');
    byLine.push(file);
  }
  const parents = new Map(
    nodes.flatMap((node) => (node.children ?? []).map((child) => [child, node] as const)),
  );
  return (node) => {
    for (let at: ProfileNode | undefined = node; at; at = parents.get(at.id)) {
      const { url, lineNumber, functionName } = at.callFrame;
      if (url.endsWith('.wasm') || functionName.startsWith('wasm-')) return '(wasm)';
      if (url.endsWith('index.js') && byLine[lineNumber]) return byLine[lineNumber];
    }
    return node.callFrame.functionName || '(native)';
  };
}

function selfTimes(profile: Profile, nameOf: (node: ProfileNode) => string): Map<string, number> {
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const self = new Map<string, number>();
  profile.samples.forEach((id, i) => {
    const name = nameOf(nodes.get(id)!);
    self.set(name, (self.get(name) ?? 0) + (profile.timeDeltas[i] ?? 0));
  });
  return self;
}

function table(self: Map<string, number>, perRequest: (micros: number) => number): string {
  const total = [...self.values()].reduce((sum, micros) => sum + micros, 0);
  const rows = [...self].sort((a, b) => b[1] - a[1]).slice(0, ROWS);
  const lines = rows.map(
    ([name, micros]) =>
      `${((100 * micros) / total).toFixed(1).padStart(5)} %  ${perRequest(micros).toFixed(2).padStart(7)} µs  ${name}`,
  );
  return `${lines.join('\n')}\n`;
}
