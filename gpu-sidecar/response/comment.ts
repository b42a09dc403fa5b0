/**
 * What may stand between events: the SSE comment that keeps a stream alive until its first token, and the line feeds
 * that end an event or a comment. Comments are not events: they have no id and are not counted.
 */

export const KEEP_ALIVE = ': keep-alive\n\n';

export const EVENT_END = '\n\n';
