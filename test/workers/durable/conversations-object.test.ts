/** The contract of Conversations objects in workerd. Its Node twin: test/durable/conversations. */
import { env } from 'cloudflare:workers';
import type { Env } from '../../../functions/env.ts';
import { conversationsContract } from '../../contract/conversations.contract.ts';

const { CONVERSATIONS } = env as unknown as Env;

conversationsContract((name) => CONVERSATIONS.get(CONVERSATIONS.idFromName(`contract-${name}`)));
