/** Can a stranger's grammar cost the sidecar more than a thread and a little patience? */

import { beforeEach, describe, expect, it } from 'vitest';
import { LIMITS } from '../../../../durable/runtime/limits.ts';
import {
  type CheckAnswer,
  GrammarChecks,
  grammarChecks,
} from '../../../../gpu-sidecar/engines/constraint/grammar-checks.ts';
import { ManualTime } from '../../../harness/manual-time.ts';

interface Scripted {
  asked: string[];
  over: boolean;
  answer(answer: CheckAnswer): void;
  ended(): void;
}

let time: ManualTime;
let threads: Scripted[];
let checks: GrammarChecks;
beforeEach(() => {
  time = new ManualTime();
  threads = [];
  checks = new GrammarChecks({
    timers: time,
    start: (tell) => {
      const thread: Scripted = { asked: [], over: false, ...tell };
      threads.push(thread);
      return {
        ask: ({ grammars }) => void thread.asked.push(grammars),
        end: () => {
          thread.over = true;
        },
      };
    },
  });
});
const passed: CheckAnswer = { kind: 'checked', reason: null, cpuMs: 1 };

describe('the checks of grammars', () => {
  it('ask one after the other, and only once the thread is ready', async () => {
    const outcomes = [checks.check('a'), checks.check('b')];
    const [thread] = threads;
    expect(thread!.asked).toEqual([]);
    thread!.answer({ kind: 'ready' });
    expect(thread!.asked).toEqual(['a']);
    thread!.answer(passed);
    expect(thread!.asked).toEqual(['a', 'b']);
    thread!.answer({ kind: 'checked', reason: 'nonsense', cpuMs: 1 });
    expect(await Promise.all(outcomes)).toEqual([null, 'nonsense']);
  });

  it('remember what came out', async () => {
    const first = checks.check('a');
    threads[0]!.answer({ kind: 'ready' });
    threads[0]!.answer({ kind: 'checked', reason: 'nonsense', cpuMs: 1 });
    expect([await first, await checks.check('a')]).toEqual(['nonsense', 'nonsense']);
    expect(threads[0]!.asked).toEqual(['a']);
  });

  it('refuse what takes much processor time', async () => {
    const outcome = checks.check('a');
    threads[0]!.answer({ kind: 'ready' });
    threads[0]!.answer({ ...passed, cpuMs: LIMITS.grammarCompileMs + 1 });
    expect(await outcome).toMatch(/processor time/);
  });

  it('end a thread that takes too long, and go on with another', async () => {
    const outcomes = [checks.check('slow'), checks.check('b')];
    threads[0]!.answer({ kind: 'ready' });
    time.advance(LIMITS.grammarCheckMs);
    expect(await outcomes[0]).toMatch(/takes longer/);
    expect(threads.map(({ over }) => over)).toEqual([true, false]);
    threads[0]!.answer(passed);
    threads[1]!.answer({ kind: 'ready' });
    expect(threads[1]!.asked).toEqual(['b']);
    threads[1]!.answer(passed);
    expect(await outcomes[1]).toBeNull();
    time.advance(10 * LIMITS.grammarCheckMs);
    expect(threads).toHaveLength(2);
  });

  it('refuse the grammar that breaks a thread, and go on with another', async () => {
    const outcomes = [checks.check('deep'), checks.check('b')];
    threads[0]!.answer({ kind: 'ready' });
    threads[0]!.ended();
    expect(await outcomes[0]).toMatch(/nested too deeply/);
    threads[1]!.answer({ kind: 'ready' });
    threads[1]!.answer(passed);
    expect(await outcomes[1]).toBeNull();
  });

  it('refuse when no thread starts', async () => {
    const outcomes = [checks.check('a'), checks.check('b')];
    threads[0]!.ended();
    expect(await outcomes[0]).toMatch(/does not start/);
    time.advance(LIMITS.grammarThreadMs);
    expect(await outcomes[1]).toMatch(/does not start/);
  });

  it('begin a thread before it is needed, and another where one was ended', async () => {
    checks.warm();
    checks.warm();
    expect(threads).toHaveLength(1);
    threads[0]!.answer({ kind: 'ready' });
    time.advance(2 * LIMITS.grammarThreadMs);
    const outcome = checks.check('deep');
    threads[0]!.ended();
    expect(await outcome).toMatch(/nested too deeply/);
    expect(threads).toHaveLength(2);
    time.advance(2 * LIMITS.grammarThreadMs);
    expect([threads.length, threads[1]!.over, time.waiting]).toEqual([2, true, 0]);
  });

  it('let only so many wait', async () => {
    const outcomes = Array.from({ length: LIMITS.grammarChecks }, (_, i) => checks.check(`${i}`));
    await expect(checks.check('one more')).rejects.toMatchObject({ code: 'overloaded' });
    threads[0]!.answer({ kind: 'ready' });
    for (const _ of outcomes) threads[0]!.answer(passed);
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set([null]));
  });

  it('are made by a real thread, which a deep grammar does not survive', async () => {
    const lark = (text: string) => JSON.stringify({ grammars: [{ lark_grammar: text }] });
    const chain = ['start: r0', ...Array.from({ length: 6_000 }, (_, i) => `r${i}: r${i + 1}`), 'r6000: "a"'];
    expect(await grammarChecks.check(lark('start: "a"'))).toBeNull();
    expect(await grammarChecks.check(lark('start: "a" <[199999]>'))).toBeNull();
    expect(await grammarChecks.check(lark(chain.join('\n')))).toMatch(/nested too deeply/);
    expect(await grammarChecks.check(lark('start: /(/'))).toMatch(/unclosed group/);
  }, 60_000);
});
