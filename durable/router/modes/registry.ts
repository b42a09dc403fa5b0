/** Every mode by its name (`ROUTER_MODES` of rpc.ts). */

import type { RouterMode } from '../rpc.ts';
import { direct } from './direct.ts';
import { kv } from './kv.ts';
import { leastLoaded } from './least-loaded.ts';
import type { Mode } from './mode.ts';
import { powerOfTwo } from './power-of-two.ts';
import { random } from './random.ts';
import { roundRobin } from './round-robin.ts';

export const MODES: Readonly<Record<RouterMode, Mode>> = {
  'round-robin': roundRobin,
  random,
  'power-of-two': powerOfTwo,
  'least-loaded': leastLoaded,
  direct,
  kv,
};
