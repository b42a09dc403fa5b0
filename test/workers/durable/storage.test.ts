/// <reference types="@cloudflare/vitest-pool-workers/types" />
/** Is what `durable/polyfill` promises true of workerd? The same cases as for the Node runtime. */

import { runInDurableObject } from 'cloudflare:test';
import { env } from 'cloudflare:workers';
import { storageCases } from '../../durable/polyfill/storage.cases.ts';

const { DIRECTORY } = env as unknown as { DIRECTORY: DurableObjectNamespace };

storageCases((body) =>
  runInDurableObject(DIRECTORY.get(DIRECTORY.newUniqueId()), (_instance, state) => body(state.storage)),
);
