/**
 * The seed of a request's block hashes (semantics §2.1): a LoRA adapter and a cache namespace keep blocks of equal tokens
 * apart, in the router's index as in the engines' caches.
 */
import { seed } from '#wasm/tokens';
import type { RoutingWishes } from '../inference-request.ts';
import { tokensLoaded } from './model-files.ts';

/** Undefined: the default seed. */
export function hashSeedOf(routing: RoutingWishes | null): bigint | undefined {
  if (routing === null || (routing.lora === undefined && routing.cacheNamespace === undefined))
    return undefined;
  tokensLoaded();
  return seed({ lora: routing.lora, namespace: routing.cacheNamespace });
}
