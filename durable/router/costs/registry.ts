/** Every cost rule by its name (setting `router_policy`). */

import type { Policy } from '../policy.ts';
import type { CostRule } from './cost-rule.ts';
import { dynamo } from './dynamo.ts';
import { stator } from './stator.ts';

export const COST_RULES: Readonly<Record<Policy['rule'], CostRule>> = { stator, dynamo };
