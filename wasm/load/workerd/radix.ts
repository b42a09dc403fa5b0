// Loads stator-radix in workerd: the module comes compiled with the bundle.
import module from '../../pkg/radix/stator_radix_bg.wasm';

import { initRadix, radixReady } from '../../radix.ts';

export * from '../../radix.ts';
/** Instantiates the module. Call it inside a handler or a constructor, before anything else; idempotent. */
export function loadRadix(): void {
  if (!radixReady()) initRadix(module);
}
