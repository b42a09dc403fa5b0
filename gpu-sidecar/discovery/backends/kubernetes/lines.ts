/** The lines of a stream of bytes, as they come. */

/** Throws when one is longer than `mostBytes`. */
export async function* lines(body: ReadableStream<Uint8Array>, mostBytes: number): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = '';
  for await (const piece of body) {
    const parts = (rest + decoder.decode(piece, { stream: true })).split('\n');
    rest = parts.pop()!;
    if (rest.length > mostBytes) throw new Error('a line is too long');
    for (const part of parts) if (part !== '') yield part;
  }
}
