/**
 * What the launcher says. A terminal gets one line per step that is rewritten while the step runs; a pipe gets plain
 * lines; `--json` gets one JSON object per line on stdout and nothing else.
 */

export interface Step {
  /** Replaces the text behind the step's name while it runs. */
  update(detail: string): void;
  done(detail: string): void;
  fail(detail: string): void;
}

export interface Output {
  step(name: string): Step;
  line(text: string): void;
  event(event: Record<string, unknown>): void;
}

const seconds = (sinceMs: number) => `${((performance.now() - sinceMs) / 1000).toFixed(1)} s`;

export function createOutput(options: { json: boolean }): Output {
  if (options.json) return jsonOutput();
  return process.stderr.isTTY ? terminalOutput() : plainOutput();
}

function jsonOutput(): Output {
  const event = (value: Record<string, unknown>) => process.stdout.write(`${JSON.stringify(value)}\n`);
  return {
    event,
    line: () => {},
    step: (name) => ({
      update: () => {},
      done: (detail) => event({ event: 'step', name, ok: true, detail }),
      fail: (detail) => event({ event: 'step', name, ok: false, detail }),
    }),
  };
}

function plainOutput(): Output {
  return {
    event: () => {},
    line: (text) => process.stdout.write(`${text}\n`),
    step(name) {
      const started = performance.now();
      return {
        update: () => {},
        done: (detail) => process.stderr.write(`✓ ${name}: ${detail} (${seconds(started)})\n`),
        fail: (detail) => process.stderr.write(`✗ ${name}: ${detail}\n`),
      };
    },
  };
}

function terminalOutput(): Output {
  const paint = (text: string) => process.stderr.write(`\r\x1b[2K${text}`);
  return {
    event: () => {},
    line: (text) => process.stdout.write(`${text}\n`),
    step(name) {
      const started = performance.now();
      let detail = '';
      const draw = () => paint(`  ${name} ${detail} ${seconds(started)}`);
      const timer = setInterval(draw, 200);
      timer.unref();
      draw();
      const finish = (text: string) => {
        clearInterval(timer);
        paint(`${text}\n`);
      };
      return {
        update(text) {
          detail = text;
          draw();
        },
        done: (text) => finish(`\x1b[32m✓\x1b[0m ${name}: ${text} \x1b[2m(${seconds(started)})\x1b[0m`),
        fail: (text) => finish(`\x1b[31m✗\x1b[0m ${name}: ${text}`),
      };
    },
  };
}
