/**
 * Every operation of the HTTP API. A new route of `app.ts` gets its row in one of these tables: a test holds the two
 * against each other, and `/openapi.json`, `/docs` and the checks of the end-to-end tests follow.
 */
import { ANTHROPIC_OPERATIONS } from './anthropic-operations.ts';
import { BATCH_OPERATIONS } from './batch-operations.ts';
import { COMPONENT_OPERATIONS } from './component-operations.ts';
import { OPENAI_OPERATIONS } from './openai-operations.ts';
import type { ApiOperation } from './operation.ts';
import { PLANNER_OPERATIONS } from './planner-operations.ts';
import { PLATFORM_OPERATIONS } from './platform-operations.ts';
import { POOL_OPERATIONS } from './pool-operations.ts';
import { RESPONSES_OPERATIONS } from './responses-operations.ts';
import { ROUTER_OPERATIONS } from './router-operations.ts';
import { TOKEN_OPERATIONS } from './token-operations.ts';

export const OPERATIONS: readonly ApiOperation[] = [
  ...OPENAI_OPERATIONS,
  ...RESPONSES_OPERATIONS,
  ...ANTHROPIC_OPERATIONS,
  ...BATCH_OPERATIONS,
  ...TOKEN_OPERATIONS,
  ...ROUTER_OPERATIONS,
  ...COMPONENT_OPERATIONS,
  ...POOL_OPERATIONS,
  ...PLANNER_OPERATIONS,
  ...PLATFORM_OPERATIONS,
];
