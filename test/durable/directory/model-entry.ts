/** An entry of the directory without workers. */

import type { ModelEntry } from '../../../durable/directory/rpc.ts';

export const modelEntry = (name: string, namespace = 'default'): ModelEntry => ({
  name,
  aliases: [],
  description: '',
  namespace,
  createdMs: 0,
  contextLengthTokens: 1024,
  blockSizeTokens: 16,
  migrationLimit: 3,
  modelInput: 'tokens',
  modelTypes: ['chat'],
  tokenizerSha256: null,
  chatTemplateSha256: null,
  bosToken: '',
  eosToken: '',
  eosTokenIds: [],
  addBosToken: false,
  specialTokens: [],
  deterministic: true,
  addresses: [],
  instances: [],
});
