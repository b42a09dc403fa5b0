/** A prompt that the client tokenised: checked by hand, because a schema per token id would cost more than the routing. */
import type { Prompt } from '../inference-request.ts';
import { invalid } from './parse.ts';

/** Throws `invalid_request` naming the element. */
export function tokenPrompt(ids: readonly unknown[], param: string): Prompt {
  if (ids.length === 0) throw invalid(param, 'it is empty.');
  return { kind: 'tokens', tokenIds: tokenIdsOf(ids, param) };
}

/** Throws `invalid_request` naming the element that is no token id. */
export function tokenIdsOf(ids: readonly unknown[], param: string): Uint32Array {
  const tokenIds = new Uint32Array(ids.length);
  for (let at = 0; at < ids.length; at++) {
    const id = ids[at];
    if (typeof id !== 'number' || id >>> 0 !== id) {
      throw invalid(`${param}[${at}]`, 'expected a token id, an integer from 0 up.');
    }
    tokenIds[at] = id;
  }
  return tokenIds;
}
