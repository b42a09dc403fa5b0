/** The operations of OpenAI's files and batches. */
import type * as z from 'zod';
import {
  batchListQuery,
  batchListSchema,
  batchRequestSchema,
  batchSchema,
} from '../batches/batches-schema.ts';
import {
  fileDeletedSchema,
  fileFormSchema,
  fileListQuery,
  fileListSchema,
  fileSchema,
} from '../batches/files-schema.ts';
import { type ApiOperation, named, opaque } from './operation.ts';

const tag = 'OpenAI';
const file = named('File', fileSchema);
const batch = named('Batch', batchSchema);
const json = (description: string, schema: z.ZodType) => ({
  200: { description, content: { 'application/json': schema } },
});

export const BATCH_OPERATIONS: readonly ApiOperation[] = [
  {
    method: 'post',
    path: '/v1/files',
    id: 'createFile',
    tag,
    summary: 'Sends a file',
    description: 'Kept are JSONL files for batches.',
    request: { 'multipart/form-data': fileFormSchema.extend({ file: opaque }) },
    answers: json('The file', file),
  },
  {
    method: 'get',
    path: '/v1/files',
    id: 'listFiles',
    tag,
    summary: 'The files that are kept',
    query: fileListQuery.shape,
    answers: json('Files', named('FileList', fileListSchema)),
  },
  {
    method: 'get',
    path: '/v1/files/:id',
    id: 'retrieveFile',
    tag,
    summary: 'One file',
    answers: json('The file', file),
  },
  {
    method: 'get',
    path: '/v1/files/:id/content',
    id: 'downloadFile',
    tag,
    summary: 'The content of a file',
    answers: { 200: { description: 'Its bytes', content: { 'application/octet-stream': opaque } } },
  },
  {
    method: 'delete',
    path: '/v1/files/:id',
    id: 'deleteFile',
    tag,
    summary: 'Deletes a file',
    description: 'Refused while a batch reads it.',
    answers: json('It is gone', fileDeletedSchema),
  },
  {
    method: 'post',
    path: '/v1/batches',
    id: 'createBatch',
    tag,
    summary: 'Many requests from a file',
    description: 'They are answered within a day, into another file, behind all other requests.',
    request: { 'application/json': named('BatchRequest', batchRequestSchema) },
    example: { input_file_id: 'file-1', endpoint: '/v1/chat/completions', completion_window: '24h' },
    answers: json('The batch', batch),
  },
  {
    method: 'get',
    path: '/v1/batches',
    id: 'listBatches',
    tag,
    summary: 'The batches that are kept',
    query: batchListQuery.shape,
    answers: json('Batches', named('BatchList', batchListSchema)),
  },
  {
    method: 'get',
    path: '/v1/batches/:id',
    id: 'retrieveBatch',
    tag,
    summary: 'One batch',
    answers: json('The batch', batch),
  },
  {
    method: 'post',
    path: '/v1/batches/:id/cancel',
    id: 'cancelBatch',
    tag,
    summary: 'Ends a batch',
    description: 'Requests under way end at once; what has been answered is in the output file.',
    answers: json('The batch', batch),
  },
];
