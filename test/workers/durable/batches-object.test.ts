/// <reference types="@cloudflare/vitest-pool-workers/types" />
/** The Batches object keeps its contract in workerd. The polyfill's twin: test/durable/batches. */
import { env } from 'cloudflare:workers';
import type { Env } from '../../../functions/env.ts';
import { batchesContract } from '../../contract/batches.contract.ts';

const { BATCHES } = env as unknown as Env;

batchesContract({
  stub: (name) => BATCHES.get(BATCHES.idFromName(name)),
  async until(ask, right) {
    for (;;) {
      const answer = await ask();
      if (right(answer)) return answer;
      await scheduler.wait(10);
    }
  },
});
