/** ClearKvBlocks: drops every cached block that no running request holds. */

import { create } from '@bufbuild/protobuf';
import {
  type ClearKvBlocksRequest,
  type ClearKvBlocksResponse,
  ClearKvBlocksResponseSchema,
} from '../../proto/gen/stator/v1/worker_pb.js';
import type { Worker } from '../worker.ts';

export const clearKvBlocks = (worker: Worker, _request: ClearKvBlocksRequest): ClearKvBlocksResponse =>
  create(ClearKvBlocksResponseSchema, { blocks: worker.engine.clearKvBlocks() });
