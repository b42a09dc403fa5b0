/** Which source of a setting wins, and is whoever wrote a wrong one told where? */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest';
import { readSettings, refuseUnknown, settingArgs } from '../../cli/settings.ts';
import { envName, fileKey, flagName, SETTINGS } from '../../durable/runtime/config.ts';

const folder = mkdtempSync(join(tmpdir(), 'stator-settings-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => vi.unstubAllEnvs());

let files = 0;
function settingsFile(text: string): string {
  const path = join(folder, `${files++}.toml`);
  writeFileSync(path, text);
  return path;
}
const NO_FILE = settingsFile('');

describe('a setting', () => {
  test('comes from the flag, then the environment, then the file, then the default', () => {
    const config = settingsFile('workers = 4');
    const workers = (args: Record<string, unknown>) => readSettings(args).settings.workers;
    expect(workers({ config: NO_FILE })).toBe(SETTINGS.workers.default);
    expect(workers({ config })).toBe(4);
    vi.stubEnv('STATOR_WORKERS', '3');
    expect(workers({ config })).toBe(3);
    expect(workers({ config, workers: '2' })).toBe(2);
  });

  test('counts as given whichever source has it', () => {
    const given = (args: Record<string, unknown>) => readSettings(args).given.has('port');
    expect(given({ config: NO_FILE })).toBe(false);
    expect(given({ config: NO_FILE, port: '8787' })).toBe(true);
    expect(given({ config: settingsFile('port = 8787') })).toBe(true);
    vi.stubEnv('STATOR_PORT', '8787');
    expect(given({ config: NO_FILE })).toBe(true);
  });

  test('has one name in three spellings', () => {
    expect(
      ['routerMode', 'apiKey', 'port'].map((name) => [flagName(name), envName(name), fileKey(name)]),
    ).toEqual([
      ['router-mode', 'STATOR_ROUTER_MODE', 'router_mode'],
      ['api-key', 'STATOR_API_KEY', 'api_key'],
      ['port', 'STATOR_PORT', 'port'],
    ]);
  });

  test('is in --help with its default, every one of them', () => {
    const args = settingArgs();
    for (const name of Object.keys(SETTINGS) as (keyof typeof SETTINGS)[]) {
      const entry = args[flagName(name)];
      expect(entry?.description).toContain(SETTINGS[name].help);
      if (SETTINGS[name].default !== '') expect(entry?.description).toContain(`[${SETTINGS[name].default}]`);
    }
  });
});

describe('a mistake is named with its source', () => {
  const broken = settingsFile('workers = [');
  const unknown = settingsFile('worker = 2');
  const wrong = settingsFile('workers = "many"');
  test.each<[string, Record<string, unknown>, string]>([
    ['a misspelt flag', { 'router-mod': 'kv' }, 'unknown option --router-mod'],
    ['a flag in camel case', { routerMood: 'kv' }, 'unknown option --router-mood'],
    ['a stray word', { _: ['extra'] }, 'unexpected argument "extra"'],
    ['a flag without a value', { port: '' }, '--port wants a value'],
    ['a wrong value in a flag', { 'router-mode': 'best' }, '--router-mode: '],
    ['a port out of range', { port: '65536' }, '--port: '],
    ['a number that is none', { workers: 'two' }, '--workers: '],
    ['a missing file', { config: join(folder, 'none.toml') }, `--config: there is no file ${folder}`],
    ['a file that is no TOML', { config: broken }, `${broken}: `],
    ['an unknown key in the file', { config: unknown }, `${unknown}: unknown setting "worker"`],
    ['a wrong value in the file', { config: wrong }, `${wrong}: workers: `],
  ])('%s', (_name, args, message) => {
    expect(() => readSettings({ config: NO_FILE, ...args })).toThrow(
      expect.objectContaining({ code: 'invalid_request', message: expect.stringContaining(message) }),
    );
  });

  test('a wrong value in the environment', () => {
    vi.stubEnv('STATOR_LEASE_MS', '-5');
    expect(() => readSettings({ config: NO_FILE })).toThrow(/^STATOR_LEASE_MS: /);
  });

  test('for commands without settings, too', () => {
    expect(() => refuseUnknown({ _: [], bogus: true }, new Set(['json']))).toThrow('unknown option --bogus');
    expect(() =>
      refuseUnknown({ _: [], json: true, apiKey: 'x' }, new Set(['json', 'api-key'])),
    ).not.toThrow();
  });
});

describe('policy classes of the queue', () => {
  const CLASSES = `
default_policy_family: gold
uncached_isl_buckets: [{ min_tokens: 0, bucket: any }]
policy_classes:
  - { name: gold-any, policy_family: gold, cache_bucket: any, quantum: 4, prefill_busy_threshold_frac: 1.5 }
`;
  const policyFile = (name: string, text: string) => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };
  const policy = (args: Record<string, string>) =>
    JSON.parse(readSettings({ config: NO_FILE, ...args }).settings.routerQueuePolicy);

  test('come from a YAML or JSON file, or from a table of stator.toml', () => {
    const expected = { default_policy_family: 'gold', policy_classes: [{ quantum: 4 }] };
    const yaml = policy({ 'router-queue-policy': policyFile('classes.yaml', CLASSES) });
    expect(yaml).toMatchObject(expected);
    const json = policyFile('classes.json', JSON.stringify(yaml));
    expect(policy({ 'router-queue-policy': json })).toEqual(yaml);
    const config = settingsFile(`
[router_queue_policy]
default_policy_family = 'gold'
uncached_isl_buckets = [{ min_tokens = 0, bucket = 'any' }]
[[router_queue_policy.policy_classes]]
name = 'gold-any'
policy_family = 'gold'
cache_bucket = 'any'
quantum = 4
prefill_busy_threshold_frac = 1.5
`);
    expect(policy({ config })).toEqual(yaml);
  });

  test('that are wrong end the start with file and field; so does a word that is no order', () => {
    const read = (path: string) => () => policy({ 'router-queue-policy': path });
    expect(read(policyFile('zero.yaml', CLASSES.replace('quantum: 4', 'quantum: 0')))).toThrow(
      /zero\.yaml: .*policy_classes\[0\]\.quantum/,
    );
    expect(read(policyFile('more.yaml', `${CLASSES}\nmore: 1`))).toThrow(/more\.yaml: .*more/);
    expect(read(join(folder, 'missing.yaml'))).toThrow(/missing\.yaml/);
    expect(read('sjf')).toThrow(/router_queue_policy/);
  });
});
