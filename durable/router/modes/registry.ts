/** Every mode by its name (`ROUTER_MODES` of rpc.ts). */

import type { RouterMode } from '../rpc.ts';
import { direct } from './direct.ts';
import { kv } from './kv.ts';
import type { Mode } from './mode.ts';
import { random } from './random.ts';
import { roundRobin } from './round-robin.ts';

export const MODES: Readonly<Record<RouterMode, Mode>> = {
  'round-robin': roundRobin,
  random,
  direct,
  kv,
};
