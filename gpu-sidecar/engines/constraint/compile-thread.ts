/**
 * The thread in which grammars of strangers are compiled first, against single bytes: some keep a processor busy for a minute, or
 * exhaust the stack. What it says decides whether the sidecar's own thread compiles them (`grammar-checks.ts`).
 */

import { parentPort } from 'node:worker_threads';
import { GrammarVocabulary } from '#wasm/grammar';
import type { CheckAnswer, CheckQuestion } from './grammar-checks.ts';
import { GRAMMAR_WORK } from './grammar-work.ts';

const BYTES = 256;
const bytes = Uint8Array.from({ length: BYTES }, (_, byte) => byte);
const offsets = Uint32Array.from({ length: BYTES + 2 }, (_, id) => Math.min(id, BYTES));
const vocabulary = new GrammarVocabulary({ offsets, bytes, ends: Uint32Array.of(BYTES) }, GRAMMAR_WORK);

/** A token by its id in a vocabulary that is not here: one is as costly as another. */
const CONTROL_TOKEN = /<\[\d+\]>/g;

const say = (answer: CheckAnswer): void => parentPort!.postMessage(answer);

parentPort!.on('message', ({ grammars }: CheckQuestion) => {
  const before = process.threadCpuUsage();
  const reason = refusal(grammars);
  const { user, system } = process.threadCpuUsage(before);
  say({ kind: 'checked', reason, cpuMs: (user + system) / 1e3 });
});
say({ kind: 'ready' });

/** null: it compiles. A trap ends the thread, whose instance is of no more use. */
function refusal(grammars: string): string | null {
  try {
    vocabulary.compile(grammars.replaceAll(CONTROL_TOKEN, '<[0]>')).free();
    return null;
  } catch (thrown) {
    if (thrown instanceof WebAssembly.RuntimeError) throw thrown;
    return thrown instanceof Error ? thrown.message : String(thrown);
  }
}
