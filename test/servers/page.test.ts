/** The page at `/` as a browser shows it: the model, a curl that works when copied, and nothing loaded from elsewhere. */

import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Deployment } from '../../cli/launch/deployment.ts';
import type { OpenApiDocument } from '../../functions/openapi/document.ts';
import { deploy, idle } from '../harness/deployment.ts';
import { chromium, visit } from './chromium.ts';

const SIZE = { width: 900, height: 700 };
const folder = mkdtempSync(join(tmpdir(), 'stator-page-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let deployment: Deployment;
let browser: string;
beforeAll(async () => {
  browser = await chromium();
  deployment = await deploy({ workers: 1, engine: 'mock', modelName: 'page-model', engineSpeedup: 0 });
}, 600_000);

const unescaped = (html: string) =>
  html
    .replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&');

describe('the page at /', () => {
  it('shows the model and a curl that works when copied', async () => {
    const dom = await visit(browser, `${deployment.url}/`, ['--dump-dom']);
    expect(dom).toContain('<title>Stator</title>');
    expect(dom).toContain('<code>page-model</code>');
    const curl = unescaped(/<pre>([\s\S]*?)<\/pre>/.exec(dom)?.[1] ?? '');
    expect(curl).toContain(`curl -N ${deployment.url}/v1/chat/completions`);
    const { stdout } = await promisify(execFile)('bash', ['-c', curl], { timeout: 60_000 });
    expect(stdout).toContain('"model":"page-model"');
    expect(stdout).toContain('data: [DONE]');
    await idle(deployment);
  });

  it('refers to nothing outside this address', async () => {
    const dom = await visit(browser, `${deployment.url}/`, ['--dump-dom']);
    const targets = [...dom.matchAll(/\b(?:src|href|action)="([^"]*)"/g)].map((match) => match[1] as string);
    expect(targets.length).toBeGreaterThan(2);
    expect(targets.filter((target) => !target.startsWith('/') || target.startsWith('//'))).toEqual([]);
    expect(dom).not.toContain('<script');
  });

  it('is drawn', async () => {
    const file = join(folder, 'page.png');
    await visit(browser, `${deployment.url}/`, [
      `--screenshot=${file}`,
      `--window-size=${SIZE.width},${SIZE.height}`,
    ]);
    const png = readFileSync(file);
    expect(png.subarray(1, 4).toString('latin1')).toBe('PNG');
    expect([png.readUInt32BE(16), png.readUInt32BE(20)]).toEqual([SIZE.width, SIZE.height]);
    // A blank page of this size packs into three kilobytes.
    expect(png.length).toBeGreaterThan(10_000);
  });
});

describe('the page at /docs', () => {
  it('has every operation that is published, each with a command, and schemas that are there', async () => {
    const dom = await visit(browser, `${deployment.url}/docs`, ['--dump-dom']);
    const published = (await (await fetch(`${deployment.url}/openapi.json`)).json()) as OpenApiDocument;
    const ids = Object.values(published.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(ids.filter((id) => !dom.includes(`id="${id}"`))).toEqual([]);
    expect(dom.match(/<pre>curl /g)).toHaveLength(ids.length);
    const targets = [...dom.matchAll(/\bhref="([^"]*)"/g)].map((match) => match[1] as string);
    expect(targets.filter((target) => !/^[/#]/.test(target) || target.startsWith('//'))).toEqual([]);
    const fragments = targets.filter((target) => target.startsWith('#'));
    expect(fragments.length).toBeGreaterThan(50);
    expect(fragments.filter((target) => !dom.includes(`id="${target.slice(1)}"`))).toEqual([]);
    expect(dom).not.toContain('<script');
  });

  it('is drawn', async () => {
    const file = join(folder, 'docs.png');
    const window = `--window-size=${SIZE.width},${SIZE.height}`;
    await visit(browser, `${deployment.url}/docs`, [`--screenshot=${file}`, window]);
    expect(readFileSync(file).length).toBeGreaterThan(10_000);
  });
});
