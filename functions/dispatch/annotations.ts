/**
 * Annotations of a stream, as Dynamo sends them before the first chunk: events that have a name and carry their value in a comment,
 * so that clients which only know chunks see nothing of them.
 */
import type { PreparedRequest } from '../prepared-request.ts';

const encoder = new TextEncoder();

/** Nothing where none was asked for, and never an error: a client that is gone is noticed by the next write. */
export async function writeAnnotations(
  { request, prompt }: PreparedRequest,
  writable: WritableStream<Uint8Array>,
): Promise<void> {
  const { annotations } = request;
  if (annotations === undefined) return;
  let events = '';
  if (annotations.names.includes('formatted_prompt') && annotations.formattedPrompt !== undefined) {
    events += event('formatted_prompt', annotations.formattedPrompt);
  }
  if (annotations.names.includes('token_ids')) {
    events += event('token_ids', [...new Uint32Array(prompt.tokenIds.slice().buffer)]);
  }
  if (events === '') return;
  const writer = writable.getWriter();
  await writer.write(encoder.encode(events)).catch(() => {});
  writer.releaseLock();
}

const event = (name: string, value: unknown) => `event: ${name}\n: ${JSON.stringify(value)}\n\n`;
