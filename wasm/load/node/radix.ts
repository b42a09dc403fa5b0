// Loads stator-radix in Node: from the package on disk, once, at import.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { initRadix } from '../../radix.ts';

const file = fileURLToPath(new URL('../../pkg/radix/stator_radix_bg.wasm', import.meta.url).href);
initRadix(readFileSync(file));

export * from '../../radix.ts';
/** Makes sure that the module is loaded; here it always is. */
export function loadRadix(): void {}
