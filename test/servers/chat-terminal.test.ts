/** `stator chat` and `stator run` on a real pseudo-terminal (Python's `pty`), as a person sees and uses them. */

import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import { deploy, idle } from '../harness/deployment.ts';
import { pythonWithPackages, seenByPython } from './python.ts';

const PROMPT = '>>> ';
const CTRL_C = '\u0003';
const CTRL_D = '\u0004';
const ESCAPE = '\u001b';

let python: string;
let deployment: Deployment;
beforeAll(async () => {
  python = await pythonWithPackages();
  deployment = await deploy({ engine: 'mock', modelName: 'chat-model', mockDecodeMs: 20 });
}, 600_000);

type Step = { expect: string } | { send: string };
const onTerminal = (steps: Step[], ...args: string[]) =>
  seenByPython<{ screen: string; code: number }>(python, 'terminal.py', [
    JSON.stringify(steps),
    process.execPath,
    join(PROJECT_ROOT, 'cli', 'bootstrap.mjs'),
    ...args,
    '--url',
    deployment.url,
  ]);

describe('on a terminal', () => {
  it('chat: Ctrl-C stops the answer and the engine, and the program goes on; Ctrl-D leaves', async () => {
    const { code, screen } = await onTerminal(
      [
        { expect: `chat-model at ${deployment.url}` },
        { expect: PROMPT },
        { send: 'hello\r' },
        { expect: 'hello' },
        { expect: ' ' },
        { send: CTRL_C },
        { expect: 'stopped' },
        { expect: PROMPT },
        { send: '/clear\r' },
        { expect: 'a new conversation' },
        { expect: PROMPT },
        { send: CTRL_D },
      ],
      'chat',
      '--max-tokens',
      '2000',
    );
    expect(code).toBe(0);
    expect(screen).toContain(`${ESCAPE}[2mstopped${ESCAPE}[22m`);
    await idle(deployment);
  });

  it('chat: pasted lines are one message; Ctrl-C twice at the prompt leaves', async () => {
    const { code, screen } = await onTerminal(
      [
        { expect: PROMPT },
        { send: `${ESCAPE}[200~one\rtwo${ESCAPE}[201~` },
        { expect: '... ' },
        { expect: 'two' },
        { send: '\r' },
        { expect: 'prompt tokens cached' },
        { expect: PROMPT },
        { send: CTRL_C },
        { expect: 'Ctrl-C again' },
        { expect: PROMPT },
        { send: CTRL_C },
      ],
      'chat',
      '--max-tokens',
      '3',
    );
    expect(code).toBe(0);
    expect(screen.match(/prompt tokens cached/g)).toHaveLength(1);
  });

  it('run: the answer and what it cost', async () => {
    const { code, screen } = await onTerminal([], 'run', 'hello', '--max-tokens', '5');
    expect(code).toBe(0);
    expect(screen).toMatch(
      /5 tokens · .* prompt tokens cached · first token after .* · cut at the token limit/,
    );
  });
});
