// Loads stator-tokens in workerd: the module comes compiled with the bundle.
import module from '../../pkg/tokens/stator_tokens_bg.wasm';

import { initTokens, tokensReady } from '../../tokens.ts';

export * from '../../tokens.ts';
/** Instantiates the module. Call it inside a handler, before anything else (at module scope it traps); idempotent. */
export function loadTokens(): void {
  if (!tokensReady()) initTokens(module);
}
