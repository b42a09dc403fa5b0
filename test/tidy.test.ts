/**
 * The house rules that a machine can check (docs: README "How the code is kept"): file length, names, header comments,
 * the direction of imports, cycles, dead exports, tests that do not run.
 */

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const MAX_LINES = 600;
const MEDIAN_LINES = 100;
const MAX_FILE_BYTES = 8 * 1024 * 1024;
const BANNED_NAMES = /(^|\/)(utils?|helpers?|common|misc)(\.|\/)/;
const GENERATED = /(^|\/)(gen|pkg|fixtures)\//;
const TOP_LEVEL = new Set(
  (
    'package.json package-lock.json wrangler.toml tsconfig.json biome.json vitest.config.ts README.md LICENSE SECURITY.md ' +
    '.gitignore .ci functions durable wasm gpu-sidecar test cli deploy docs'
  ).split(' '),
);

const tracked = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
  cwd: ROOT,
  encoding: 'utf8',
})
  .split('\0')
  .filter((path) => path !== '');

interface Source {
  path: string;
  text: string;
  lines: number;
}

const sources: Source[] = tracked
  .filter((path) => /\.(ts|mjs|rs|py)$/.test(path) && !GENERATED.test(path))
  .map((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8');
    return { path, text, lines: text.split('\n').length - 1 };
  });
const typescript = sources.filter(({ path }) => path.endsWith('.ts'));

/** Import specifiers with whether they are types only. */
function importsOf(source: Source): { target: string; typeOnly: boolean }[] {
  const found: { target: string; typeOnly: boolean }[] = [];
  const pattern =
    /^\s*(?:import|export)\s+(type\s)?[^'";]*?from\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)|^import '([^']+)'/gm;
  for (const match of source.text.matchAll(pattern)) {
    const specifier = match[2] ?? match[3] ?? match[4] ?? '';
    if (specifier.startsWith('.')) {
      found.push({
        target: posix.normalize(posix.join(posix.dirname(source.path), specifier)),
        typeOnly: match[1] !== undefined,
      });
    }
  }
  return found;
}

/** Whether a file of `from` may import `target` (design §7). */
function mayImport(from: string, target: string): boolean {
  const within = (folder: string) => target.startsWith(`${folder}/`);
  if (within('durable/runtime') || within('wasm') || within('gpu-sidecar/proto/gen')) return true;
  if (from.startsWith('test/') || from === 'vitest.config.ts') return true;
  const top = from.split('/')[0] as string;
  if (within(top)) return true;
  if (top === 'functions') {
    return (
      /^durable\/[a-z-]+\/(rpc|nearby|pools-document|queue\/policy-document)\.ts$/.test(target) ||
      (from === 'functions/objects.ts' && /-object\.ts$/.test(target))
    );
  }
  if (top === 'cli') return !within('functions') && !within('test');
  return false;
}

describe('the house', () => {
  it('keeps the agreed top level', () => {
    expect(
      [...new Set(tracked.map((path) => path.split('/')[0] as string))].filter(
        (name) => !TOP_LEVEL.has(name),
      ),
    ).toEqual([]);
  });

  it('has no source file over 600 lines', () => {
    expect(
      sources.filter(({ lines }) => lines > MAX_LINES).map(({ path, lines }) => `${path} ${lines}`),
    ).toEqual([]);
  });

  it('has a median source file of at most 100 lines', () => {
    const lengths = typescript.filter(({ path }) => !path.startsWith('test/')).map(({ lines }) => lines);
    const median = lengths.sort((a, b) => a - b)[Math.floor(lengths.length / 2)];
    expect(median).toBeLessThanOrEqual(MEDIAN_LINES);
  });

  it('has no name that says nothing', () => {
    expect(tracked.filter((path) => BANNED_NAMES.test(path))).toEqual([]);
  });

  it('has no committed file over 8 MB', () => {
    expect(tracked.filter((path) => readFileSync(join(ROOT, path)).length > MAX_FILE_BYTES)).toEqual([]);
  });

  it('says at the top of each file what it does', () => {
    const headless = sources.filter(({ text }) => !/^(#![^\n]*\n)?\s*(\/\*\*|\/\/|#|""")/.test(text));
    expect(headless.map(({ path }) => path)).toEqual([]);
  });

  it('imports one way', () => {
    const wrong = typescript.flatMap((source) =>
      importsOf(source)
        .filter(({ target }) => !mayImport(source.path, target))
        .map(({ target }) => `${source.path} → ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  it('has no import cycle', () => {
    expect(findCycle(new Map(typescript.map((source) => [source.path, runtimeImports(source)])))).toEqual([]);
  });

  it('exports nothing that nobody imports', () => {
    expect(deadExports()).toEqual([]);
  });

  it('has no skipped or lone test', () => {
    const pattern = /\b(it|test|describe)\.(skip|only|todo)\(/;
    expect(
      typescript
        .filter(({ text, path }) => path !== 'test/tidy.test.ts' && pattern.test(text))
        .map(({ path }) => path),
    ).toEqual([]);
  });

  it('leaves no to-do behind', () => {
    const pattern = /\b(TODO|FIXME|XXX)\b/;
    expect(
      sources
        .filter(({ text, path }) => path !== 'test/tidy.test.ts' && pattern.test(text))
        .map(({ path }) => path),
    ).toEqual([]);
  });
});

const runtimeImports = (source: Source) =>
  importsOf(source)
    .filter(({ typeOnly }) => !typeOnly)
    .map(({ target }) => target);

/** One cycle as a list of files, or an empty list. */
function findCycle(graph: ReadonlyMap<string, string[]>): string[] {
  const done = new Set<string>();
  const visit = (path: string, trail: string[]): string[] => {
    if (trail.includes(path)) return [...trail.slice(trail.indexOf(path)), path];
    if (done.has(path)) return [];
    for (const target of graph.get(path) ?? []) {
      const cycle = visit(target, [...trail, path]);
      if (cycle.length > 0) return cycle;
    }
    done.add(path);
    return [];
  };
  for (const path of graph.keys()) {
    const cycle = visit(path, []);
    if (cycle.length > 0) return cycle;
  }
  return [];
}

/** Exported names that no other file mentions; entry points, contracts between processes and tests are exempt. */
function deadExports(): string[] {
  const entry = /^(functions\/index\.ts|cli\/main\.ts|gpu-sidecar\/main\.ts|vitest\.config\.ts|wasm\/load\/)/;
  return typescript
    .filter(({ path }) => !entry.test(path) && !path.startsWith('test/'))
    .flatMap((source) => {
      const names = [
        ...source.text.matchAll(
          /^export (?:async )?(?:function|const|class|interface|type) ([A-Za-z_]\w*)/gm,
        ),
      ];
      return names
        .map((match) => match[1] as string)
        .filter((name) => !isUsed(name, source))
        .map((name) => `${source.path}: ${name}`);
    });
}

/** Mentioned by another file, or part of another export's signature in its own file. */
function isUsed(name: string, source: Source): boolean {
  const word = new RegExp(`\\b${name}\\b`, 'g');
  if (typescript.some((other) => other !== source && other.text.includes(name) && word.test(other.text)))
    return true;
  return (
    (source.text.match(word) ?? []).length > 1 &&
    new RegExp(`^export (interface|type) ${name}\\b`, 'm').test(source.text)
  );
}
