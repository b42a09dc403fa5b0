/** `/v1/batches`: many requests from a file, answered within a day into another, at the lowest priority. */
import { readJson } from '../body.ts';
import { batchesOf, type Env, settingsOf } from '../env.ts';
import { parseBody } from '../openai/parse.ts';
import { batchListQuery, batchRequestSchema } from './batches-schema.ts';
import { batchDocument, granted, listDocument, missing } from './documents.ts';

/** Throws `invalid_request` naming the field. The file itself is checked later: the batch says what is wrong with it. */
export async function createBatch(env: Env, request: Request): Promise<Response> {
  const body = parseBody(batchRequestSchema, await readJson(request, settingsOf(env).bodyLimitBytes));
  const { endpoint, input_file_id: inputFileId, metadata = null } = body;
  const batch = granted(await batchesOf(env).createBatch({ inputFileId, endpoint, metadata }));
  return Response.json(batchDocument(batch));
}

/** Newest first. */
export async function listBatches(env: Env, query: Record<string, string>): Promise<Response> {
  const { after = null, limit = 20 } = parseBody(batchListQuery, query);
  const page = granted(await batchesOf(env).batches(after, limit));
  return Response.json(listDocument({ data: page.data.map(batchDocument), hasMore: page.hasMore }));
}

export async function getBatch(env: Env, id: string): Promise<Response> {
  const batch = await batchesOf(env).batch(id);
  if (batch === null) throw missing('Batch', id);
  return Response.json(batchDocument(batch));
}

/** Requests under way end at once; what has been answered is in the output file. */
export async function cancelBatch(env: Env, id: string): Promise<Response> {
  const batch = granted(await batchesOf(env).cancelBatch(id));
  if (batch === null) throw missing('Batch', id);
  return Response.json(batchDocument(batch));
}
