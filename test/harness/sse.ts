/** Reads a server-sent-event answer piece by piece, as a client that watches the bytes. */

export interface ChatEvent {
  raw: string;
  data: string;
}

/** Complete events of an answer's body, in order; comments are dropped. */
export async function* events(response: Response): AsyncGenerator<ChatEvent> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
    rest += decoder.decode(chunk, { stream: true });
    for (let end = rest.indexOf('\n\n'); end >= 0; end = rest.indexOf('\n\n')) {
      const raw = rest.slice(0, end);
      rest = rest.slice(end + 2);
      const line = raw.split('\n').find((text) => text.startsWith('data: '));
      if (line) yield { raw, data: line.slice('data: '.length) };
    }
  }
  if (rest.trim() !== '') throw new Error(`the stream ended inside an event: ${rest}`);
}

interface Chunk {
  id: string;
  choices: { delta: { role?: string; content?: string }; finish_reason: string | null }[];
  usage?: {
    prompt_tokens: number;
    completion_tokens: number;
    prompt_tokens_details: { cached_tokens: number };
  } | null;
}

export interface Collected {
  text: string;
  chunks: number;
  roles: number;
  finishReason: string | null;
  usages: NonNullable<Chunk['usage']>[];
  done: boolean;
}

/** Folds a chat stream; `onChunk` sees the number of content chunks so far. */
export async function collect(
  response: Response,
  onChunk: (count: number) => void = () => {},
): Promise<Collected> {
  const result: Collected = { text: '', chunks: 0, roles: 0, finishReason: null, usages: [], done: false };
  for await (const { data } of events(response)) {
    if (data === '[DONE]') {
      result.done = true;
      continue;
    }
    const chunk = JSON.parse(data) as Chunk & { error?: { message: string } };
    if (chunk.error) throw new Error(`error event: ${chunk.error.message}`);
    if (chunk.usage) result.usages.push(chunk.usage);
    const choice = chunk.choices[0];
    if (!choice) continue;
    if (choice.delta.role) result.roles += 1;
    if (choice.finish_reason) result.finishReason = choice.finish_reason;
    if (choice.delta.content) {
      result.text += choice.delta.content;
      result.chunks += 1;
      onChunk(result.chunks);
    }
  }
  return result;
}

/** POSTs a chat completion. */
export function chat(url: string, body: Record<string, unknown>, init: RequestInit = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: 'POST',
    ...init,
    headers: { 'content-type': 'application/json', ...(init.headers as Record<string, string> | undefined) },
    body: JSON.stringify(body),
  });
}
