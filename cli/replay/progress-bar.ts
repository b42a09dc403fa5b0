/** A bar on stderr while a replay runs, where somebody looks; nothing otherwise. */

const WIDTH = 32;

export interface ProgressBar {
  at(done: number): void;
  end(): void;
}

export function progressBar(total: number): ProgressBar {
  if (!process.stderr.isTTY) return { at() {}, end() {} };
  const startedMs = performance.now();
  let shown = -1;
  return {
    at(done) {
      const percent = Math.floor((100 * done) / total);
      if (percent === shown) return;
      shown = percent;
      const filled = Math.round((WIDTH * done) / total);
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      const bar = '━'.repeat(filled) + ' '.repeat(WIDTH - filled);
      process.stderr.write(`\r\x1b[2K  replay ${bar} ${percent} % ${done}/${total} requests ${seconds} s`);
    },
    end: () => process.stderr.write('\r\x1b[2K'),
  };
}
