/**
 * Messages from a keyboard or a pipe. A message is a line; a backslash at its end, `"""` around several, or a paste of
 * several makes it longer. On a terminal there is line editing and history while a message is awaited; while an answer
 * comes the terminal is an ordinary one, so that Ctrl-C is a signal.
 */

import { createInterface, type Interface } from 'node:readline';

export interface Keyboard extends NodeJS.ReadableStream {
  isTTY?: boolean;
  setRawMode?(on: boolean): unknown;
}

/** `interrupted`: Ctrl-C at an empty prompt. */
export type Read = { kind: 'message'; text: string } | { kind: 'interrupted' } | { kind: 'end' };

const FENCE = '"""';
const PROMPT = '>>> ';
const MORE = '... ';
/** Terminals that know it mark pasted text, so that its line ends are not taken for Enter. */
const MARK_PASTES = '\x1b[?2004h';
const PLAIN_PASTES = '\x1b[?2004l';

export class MessageReader {
  readonly #input: Keyboard;
  readonly #output: NodeJS.WritableStream;
  readonly #isTerminal: boolean;
  readonly #lines: Interface;
  /** Messages that came before anybody asked. */
  readonly #waiting: Read[] = [];
  #asked: ((read: Read) => void) | null = null;
  #ended = false;
  /** Lines of a message that goes on. */
  #begun: string[] = [];
  #fenced = false;
  #pasting = false;

  constructor(input: Keyboard, output: NodeJS.WritableStream) {
    this.#input = input;
    this.#output = output;
    this.#isTerminal = input.isTTY === true;
    this.#lines = createInterface({ input, output, terminal: this.#isTerminal, historySize: 1_000 });
    this.#lines.on('line', (line) => this.#line(line));
    this.#lines.on('SIGINT', () => this.#interrupt());
    this.#lines.on('close', () => this.#end());
    if (this.#isTerminal) {
      input.on('keypress', (_text: unknown, key: { name?: string } | undefined) => {
        if (key?.name === 'paste-start') this.#pasting = true;
        if (key?.name === 'paste-end') this.#pasting = false;
      });
    }
    this.#rest();
  }

  /** The next message; one at a time. */
  async next(): Promise<Read> {
    const waiting = this.#waiting.shift();
    if (waiting !== undefined) return waiting;
    if (this.#ended) return { kind: 'end' };
    return new Promise((resolve) => {
      this.#asked = (read) => {
        this.#asked = null;
        this.#rest();
        resolve(read);
      };
      this.#edit();
    });
  }

  close(): void {
    if (this.#isTerminal) this.#output.write(PLAIN_PASTES);
    this.#lines.close();
  }

  #edit(): void {
    this.#lines.resume();
    if (!this.#isTerminal) return;
    this.#input.setRawMode?.(true);
    this.#output.write(MARK_PASTES);
    this.#prompt();
  }

  #rest(): void {
    if (!this.#ended) this.#lines.pause();
    if (!this.#isTerminal) return;
    this.#output.write(PLAIN_PASTES);
    this.#input.setRawMode?.(false);
  }

  #prompt(): void {
    if (!this.#isTerminal || this.#asked === null) return;
    this.#lines.setPrompt(this.#begun.length > 0 || this.#fenced ? MORE : PROMPT);
    this.#lines.prompt();
  }

  #line(line: string): void {
    const text = this.#message(line);
    if (text === null) this.#prompt();
    else this.#give({ kind: 'message', text });
  }

  /** The whole message once this line ends it. */
  #message(line: string): string | null {
    const trimmed = line.trim();
    if (this.#fenced) {
      if (!trimmed.endsWith(FENCE)) return this.#more(line);
      this.#fenced = false;
      return this.#whole(trimmed.slice(0, -FENCE.length));
    }
    if (this.#begun.length === 0 && trimmed.startsWith(FENCE)) {
      const first = trimmed.slice(FENCE.length);
      if (first.endsWith(FENCE)) return first.slice(0, -FENCE.length);
      this.#fenced = true;
      return first === '' ? null : this.#more(first);
    }
    if (this.#pasting) return this.#more(line);
    if (line.endsWith('\\')) return this.#more(line.slice(0, -1));
    return this.#whole(line);
  }

  #more(line: string): null {
    this.#begun.push(line);
    return null;
  }

  #whole(last: string): string {
    const text = [...this.#begun, last].join('\n');
    this.#begun = [];
    return text;
  }

  /** With something typed it is thrown away, as in a shell. */
  #interrupt(): void {
    const typed = this.#lines.line !== '' || this.#begun.length > 0 || this.#fenced;
    this.#begun = [];
    this.#fenced = false;
    this.#pasting = false;
    this.#output.write('\n');
    if (typed) {
      this.#lines.write(null, { ctrl: true, name: 'e' });
      this.#lines.write(null, { ctrl: true, name: 'u' });
      this.#prompt();
    } else this.#give({ kind: 'interrupted' });
  }

  #end(): void {
    if (this.#ended) return;
    this.#ended = true;
    // A pipe may end inside a message.
    if (this.#begun.length > 0) this.#give({ kind: 'message', text: this.#whole('').trimEnd() });
    if (this.#asked !== null) this.#give({ kind: 'end' });
  }

  #give(read: Read): void {
    if (this.#asked !== null) this.#asked(read);
    else this.#waiting.push(read);
  }
}
