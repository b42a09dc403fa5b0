// Loads stator-tokens in Node: from the package on disk, once, at import.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { initTokens } from '../../tokens.ts';

const file = fileURLToPath(new URL('../../pkg/tokens/stator_tokens_bg.wasm', import.meta.url).href);
initTokens(readFileSync(file));

export * from '../../tokens.ts';
/** Makes sure that the module is loaded; here it always is. */
export function loadTokens(): void {}
