/** How the engine and the reader of one shape of call talk to each other. */

import type { ToolSpec } from '../parser.ts';
import type { PartSink } from '../part-sink.ts';

/** Reads what stands behind a start marker: one call, or a list of them. */
export interface CallReader {
  /** The call is over, its end marker consumed. */
  readonly done: boolean;
  /** Reads from `from` on and returns where it stopped; text from there on is given again, with more behind it. */
  read(text: string, from: number, out: PartSink): number;
}

export type MakeCallReader = (tools: readonly ToolSpec[]) => CallReader;
