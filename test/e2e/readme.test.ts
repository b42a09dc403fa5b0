/**
 * Does what the README says, in its order: `sh` blocks in a shell, `js` blocks as modules, `ts` blocks as the files that they say they
 * are. `npm start` and `run-component` run until the end;
 * its own curl must stream a sensible answer. When 8787 is taken, the printed address stands in for it.
 */

import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, describe, expect, it } from 'vitest';
import { PROJECT_ROOT } from '../../cli/paths.ts';
import { command } from '../harness/component-process.ts';

const README = readFileSync(join(PROJECT_ROOT, 'README.md'), 'utf8');
const WRITTEN_ADDRESS = 'http://127.0.0.1:8787';
const READY = /^Ready: (\S+)/m;

const blocks = [...README.matchAll(/```(\w+)\n([\s\S]*?)```/g)].map((match) => ({
  language: match[1] as string,
  code: (match[2] as string).trim(),
}));

let started: ChildProcess | null = null;
const folder = mkdtempSync(join(tmpdir(), 'stator-readme-'));
afterAll(() => {
  rmSync(folder, { recursive: true });
  // The group: npm does not pass signals on to everything below it.
  if (started?.pid && started.exitCode === null) process.kill(-started.pid, 'SIGTERM');
});

function start(): Promise<{ url: string; curl: string; output: () => string }> {
  return new Promise((resolve, reject) => {
    let output = '';
    const child = spawn('npm', ['start'], {
      cwd: PROJECT_ROOT,
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    started = child;
    const onData = (data: Buffer) => {
      output += data.toString('utf8');
      const curl = /^curl .*$/m.exec(output)?.[0];
      const url = READY.exec(output)?.[1];
      if (url && curl) resolve({ url, curl, output: () => output });
    };
    child.stdout?.on('data', onData);
    child.stderr?.on('data', onData);
    child.on('exit', (code) => reject(new Error(`npm start ended with ${code}:\n${output}`)));
  });
}

async function shell(code: string): Promise<string> {
  const { stdout } = await promisify(execFile)('bash', ['-c', code], { cwd: PROJECT_ROOT, timeout: 60_000 });
  return stdout;
}

/** The module must lie in the project so that it finds the `openai` package. */
async function module(code: string): Promise<string> {
  const file = join(PROJECT_ROOT, 'test', `.readme-${process.pid}.mjs`);
  writeFileSync(file, code);
  try {
    const { stdout } = await promisify(execFile)(process.execPath, [file], { timeout: 60_000 });
    return stdout;
  } finally {
    rmSync(file);
  }
}

const textOf = (stream: string) =>
  [...stream.matchAll(/^data: (\{.*\})$/gm)]
    .map((match) => JSON.parse(match[1] as string) as { choices: { delta: { content?: string } }[] })
    .map((chunk) => chunk.choices[0]?.delta.content ?? '')
    .join('');

describe('the README', () => {
  it('works from the first command to the last', async () => {
    const { url, curl } = await start();
    const printed = await shell(curl);
    expect(textOf(printed)).toMatch(/stator/i);
    expect(printed).toContain('data: [DONE]');

    let ran = 0;
    for (const { language, code } of blocks) {
      const here = code.replaceAll(WRITTEN_ADDRESS, url);
      if (language === 'ts') {
        const [, name] = /^\/\/ (\S+\.ts)\n/.exec(code)!;
        writeFileSync(join(folder, name!), code);
      } else if (code.startsWith('npx stator run-component')) {
        const file = join(folder, code.split(' ')[3]!);
        expect(await command(['run-component', file, '--platform', url]).event('serving')).toMatchObject({
          endpoints: ['dyn://default.greeter.hello', 'dyn://default.greeter.count'],
        });
      } else if (code.includes('/components/')) {
        const answers = await shell(here);
        expect(answers).toContain('{"text":"Hello, World!"}');
        expect(answers).toContain('data: {"i":3}\n\ndata: [DONE]');
      } else if (language === 'js') {
        expect((await module(here)).length).toBeGreaterThan(10);
      } else if (language === 'sh' && code !== 'npm start') {
        const output = await shell(here);
        if (code.includes('stator status')) expect(output).toContain(url);
        if (code.includes('stator run')) expect(output).toMatch(/stator/i);
        if (code.includes('curl')) expect(textOf(output)).toMatch(/stator/i);
      } else continue;
      ran += 1;
    }
    expect(ran).toBeGreaterThanOrEqual(7);
    expect(await shell('npx stator status --json')).not.toContain(`"${url}"`);
  }, 180_000);
});
