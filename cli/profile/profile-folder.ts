/**
 * What a profiling run keeps: a line for each measurement as soon as it is made (`measurements.jsonl`), so that a run that was
 * ended goes on where it was; then `profile.json` and Dynamo's two files, made of all of them.
 */

import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { StatorError } from '../../durable/runtime/errors.ts';
import type { MeasuredProfile } from '../../durable/runtime/profile/profile-tables.ts';
import { DECODE_FILE, PREFILL_FILE, plannerArrays } from '../../gpu-sidecar/profile-files/dynamo-arrays.ts';
import { writeNpz } from '../../gpu-sidecar/profile-files/npz.ts';
import { JSON_FILE } from '../../gpu-sidecar/profile-files/profile-file.ts';
import type { Measurement } from './measure.ts';

const LINES_FILE = 'measurements.jsonl';

/** What must be the same for measurements to belong together. */
export type Subject = Readonly<Record<string, string | number>>;

const tokens = z.number().int().min(1);
const LINE = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('prefill'), inputTokens: tokens, ttftMs: z.number().positive() }),
  z.object({
    kind: z.literal('decode'),
    inputTokens: tokens,
    concurrency: tokens,
    itlMs: z.number().positive(),
  }),
]);

export class ProfileFolder {
  readonly path: string;
  /** Of this run and those before it. */
  readonly measurements: Measurement[] = [];

  /** Throws `invalid_request` when the folder has measurements of something else. `isFresh`: what is there is dropped. */
  constructor(path: string, subject: Subject, { isFresh }: { isFresh: boolean }) {
    this.path = path;
    mkdirSync(path, { recursive: true });
    if (isFresh)
      for (const file of [LINES_FILE, JSON_FILE, PREFILL_FILE, DECODE_FILE])
        rmSync(join(path, file), { force: true });
    const file = join(path, LINES_FILE);
    if (existsSync(file)) this.#readLines(readFileSync(file, 'utf8'), subject);
    else writeFileSync(file, `${JSON.stringify(subject)}\n`);
  }

  add(measurement: Measurement): void {
    this.measurements.push(measurement);
    appendFileSync(join(this.path, LINES_FILE), `${JSON.stringify(measurement)}\n`);
  }

  /** Returns the files written. */
  finish(profile: MeasuredProfile): string[] {
    const { prefill, decode } = plannerArrays(profile);
    const files: [string, Uint8Array | string][] = [
      [JSON_FILE, `${JSON.stringify({ format: 'stator-profile', version: 1, ...profile }, null, 2)}\n`],
      [PREFILL_FILE, writeNpz(prefill)],
      [DECODE_FILE, writeNpz(decode)],
    ];
    return files.map(([name, content]) => {
      const file = join(this.path, name);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, content);
      return file;
    });
  }

  #readLines(text: string, subject: Subject): void {
    const [first = '', ...lines] = text.split('\n');
    if (first !== JSON.stringify(subject)) {
      throw new StatorError(
        'invalid_request',
        `${this.path} has measurements of ${first || 'nothing known'}, not of ${JSON.stringify(subject)}: --fresh drops them, --output names another folder`,
      );
    }
    for (const line of lines) {
      // The last line of a run that was killed may be half a line.
      const parsed = LINE.safeParse(jsonOf(line));
      if (parsed.success) this.measurements.push(parsed.data);
    }
  }
}

function jsonOf(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
