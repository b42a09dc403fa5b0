/** `/v1/files` but for sending one (`upload.ts`): listing, reading, deleting. */
import type { BatchesStub } from '../env.ts';
import { batchesOf, type Env } from '../env.ts';
import { parseBody } from '../openai/parse.ts';
import { fileDocument, granted, listDocument, missing } from './documents.ts';
import { fileListQuery } from './files-schema.ts';

/** Newest first, unless asked otherwise. Throws `invalid_request` naming the field. */
export async function listFiles(env: Env, query: Record<string, string>): Promise<Response> {
  const { after = null, limit = 10_000, order = 'desc', purpose = null } = parseBody(fileListQuery, query);
  const page = granted(await batchesOf(env).files({ after, limit, order, purpose }));
  return Response.json(listDocument({ data: page.data.map(fileDocument), hasMore: page.hasMore }));
}

export async function getFile(env: Env, id: string): Promise<Response> {
  const file = await batchesOf(env).file(id);
  if (file === null) throw missing('File', id);
  return Response.json(fileDocument(file));
}

/** The bytes, a piece at a time, as fast as they are read. */
export async function getFileContent(env: Env, id: string): Promise<Response> {
  const object = batchesOf(env);
  const file = await object.file(id);
  if (file === null) throw missing('File', id);
  const name = encodeURIComponent(file.filename);
  return new Response(contentOf(object, id), {
    headers: {
      'content-type': 'application/octet-stream',
      'content-disposition': `attachment; filename*=UTF-8''${name}`,
    },
  });
}

export async function deleteFile(env: Env, id: string): Promise<Response> {
  if (!granted(await batchesOf(env).removeFile(id))) throw missing('File', id);
  return Response.json({ id, object: 'file', deleted: true });
}

function contentOf(object: BatchesStub, id: string): ReadableStream<Uint8Array> {
  let seq = 0;
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const chunk = await object.fileChunk(id, seq++);
      if (chunk === null) controller.close();
      else controller.enqueue(chunk);
    },
  });
}
