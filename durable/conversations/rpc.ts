/**
 * What functions may ask a Conversations object: the stored answers of `/v1/responses`. Documents are JSON as text: who
 * asks for one sends it on as it is.
 *
 * A response begins (`begin`), is told of by its worker once it has an end of whatever kind (`finish`), and lives until
 * it is deleted or its time is over. The function that has it computed asks every few seconds whether it is still wanted
 * (`watch`), which is also the sign that somebody works on it.
 */

export const RESPONSE_STATES = ['in_progress', 'completed', 'incomplete', 'cancelled', 'failed'] as const;
export type ResponseState = (typeof RESPONSE_STATES)[number];

export interface NewResponse {
  id: string;
  /** The response that this one continues, of the same object. */
  previous: string | null;
  background: boolean;
  /** JSON array of the input items, with ids. */
  input: string;
  /** The Response object as it is now. */
  document: string;
}

/** One turn of a conversation: the input items and the Response object, as JSON. */
export interface Turn {
  input: string;
  document: string;
}

/** A whole conversation, oldest turn first, or why there is none. */
export type History =
  | { turns: Turn[] }
  /** `missing`: no such response. `unfinished`: it has no end yet. `too_long`: more turns or bytes than are read. */
  | { refused: 'missing' | 'unfinished' | 'too_long'; id: string };

export type Cancelled =
  | { document: string }
  /** `foreground`: its client has it; closing that connection ends it. */
  | { refused: 'missing' | 'foreground' };

/** `unwanted`: cancelled or deleted. */
export type Watched = 'going' | 'ended' | 'unwanted';

export interface ConversationsRpc {
  /** False: it is too large to be kept. */
  begin(response: NewResponse): boolean;
  /** The Response object at its end. False: nobody keeps it (any more). */
  finish(id: string, state: ResponseState, document: string): boolean;
  /** It failed for this reason, unless it has an end already. */
  fail(id: string, message: string): void;
  /** As if it had never been asked for, or by its owner's wish. False: there was none. */
  remove(id: string): boolean;
  /** The Response object; null: none. */
  read(id: string): string | null;
  /** The input items of this response alone. */
  input(id: string): string | null;
  history(id: string): History;
  /** Of one in the background; one that has its end stays as it is. */
  cancel(id: string): Cancelled;
  /** Answers when that changes, at the latest after some seconds. */
  watch(id: string): Promise<Watched>;
}
