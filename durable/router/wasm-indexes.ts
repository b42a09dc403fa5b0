/** The indexes of `blocks.ts` in wasm (`wasm/radix`). */

import { ActiveSequences, RadixIndex } from '#wasm/radix';
