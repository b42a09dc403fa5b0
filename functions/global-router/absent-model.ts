/**
 * A request for a model that no worker here has: what `dispatch` wants to know of it when it goes to a pool elsewhere, which
 * tokenises by itself.
 */
import type { ModelEntry } from '../../durable/directory/rpc.ts';
import type { InferenceRequest } from '../inference-request.ts';
import type { PreparedRequest } from '../prepared-request.ts';

const NOTHING = new Uint8Array(0);

const card = (name: string): ModelEntry => ({
  name,
  aliases: [],
  description: '',
  namespace: '',
  createdMs: 0,
  contextLengthTokens: 0,
  blockSizeTokens: 1,
  migrationLimit: 0,
  modelInput: 'text',
  modelTypes: [],
  tokenizerSha256: null,
  chatTemplateSha256: null,
  bosToken: '',
  eosToken: '',
  eosTokenIds: [],
  addBosToken: false,
  specialTokens: [],
  deterministic: false,
  addresses: [],
  instances: [],
});

export const absentFrom = (request: InferenceRequest): PreparedRequest => ({
  request,
  model: card(request.model),
  prompt: { tokenIds: NOTHING, blockHashes: NOTHING, hashSeed: undefined },
  promptTokens: 0,
  maxTokens: 0,
});
