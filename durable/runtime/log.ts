/**
 * One shape of log line in isolates and in Node: a JSON object per line.
 *
 * `{"time":"2026-11-20T16:49:56.000Z","level":"info","component":"router","message":"worker joined",…fields}`.
 * A line never throws: what JSON cannot say becomes text. Secrets do not belong in fields.
 */

import { type Clock, wallClock } from './clock.ts';
import { StatorError } from './errors.ts';

const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];
export type LogFields = Readonly<Record<string, unknown>>;

export interface LoggerOptions {
  component: string;
  level?: LogLevel;
  /** Fields of every line. */
  fields?: LogFields;
  clock?: Clock;
  /** Takes one line without its newline. */
  write?: (line: string) => void;
}

export class Logger {
  readonly #options: LoggerOptions;
  readonly #least: number;

  constructor(options: LoggerOptions) {
    this.#options = options;
    this.#least = LOG_LEVELS.indexOf(options.level ?? 'info');
  }

  /** The same logger with more fields on every line. */
  with(fields: LogFields): Logger {
    return new Logger({ ...this.#options, fields: { ...this.#options.fields, ...fields } });
  }

  debug(message: string, fields?: LogFields): void {
    this.#line('debug', message, fields);
  }

  info(message: string, fields?: LogFields): void {
    this.#line('info', message, fields);
  }

  warn(message: string, fields?: LogFields): void {
    this.#line('warn', message, fields);
  }

  error(message: string, fields?: LogFields): void {
    this.#line('error', message, fields);
  }

  #line(level: LogLevel, message: string, fields: LogFields = {}): void {
    if (LOG_LEVELS.indexOf(level) < this.#least) return;
    const { component, clock = wallClock, write = console.log } = this.#options;
    const time = new Date(clock.nowMs()).toISOString();
    const head = { time, level, component, message };
    // The head twice: first for the order, last so that no field replaces it.
    write(toLine({ ...head, ...this.#options.fields, ...fields, ...head }));
  }
}

function toLine(record: Readonly<Record<string, unknown>>): string {
  try {
    return JSON.stringify(record, readable);
  } catch {
    const flat = Object.entries(record).map(([key, value]) => [key, String(value)]);
    return JSON.stringify(Object.fromEntries(flat));
  }
}

/** JSON's replacer for what it would drop or refuse. */
function readable(_key: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof StatorError) return { code: value.code, message: value.message };
  if (value instanceof Error) return { name: value.name, message: value.message, stack: value.stack };
  return value;
}
