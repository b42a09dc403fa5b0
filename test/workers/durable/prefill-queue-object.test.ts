/** The contract of PrefillQueue objects in workerd. Its Node twin: test/durable/prefill-queue. */
import { env } from 'cloudflare:workers';
import type { Env } from '../../../functions/env.ts';
import { prefillQueueContract } from '../../contract/prefill-queue.contract.ts';

const { PREFILL_QUEUE } = env as unknown as Env;

prefillQueueContract((name) => PREFILL_QUEUE.get(PREFILL_QUEUE.idFromName(`contract-${name}`)));
