/** The answers of one response, of which each in its turn is the one that tokens are for (`choice-turns.ts`). */

import { ChoiceTurns } from './choice-turns.ts';

export class Choices<Choice> {
  readonly all: readonly Choice[];
  /** null: there is one. */
  readonly turns: ChoiceTurns | null;
  /** The one whose token comes next, or the last. */
  current: Choice;

  constructor(count: number, make: (index: number) => Choice) {
    this.all = Array.from({ length: count }, (_, index) => make(index));
    this.current = this.all[0]!;
    this.turns = count === 1 ? null : new ChoiceTurns(count);
  }

  /** The current one got a token and goes on. */
  took(id: number): void {
    if (this.turns === null) return;
    this.turns.took(id);
    this.current = this.all[this.turns.turn]!;
  }

  /** The current one has ended; whether another goes on. */
  ended(): boolean {
    this.turns?.ended();
    const next = this.turns?.turn ?? -1;
    if (next < 0) return false;
    this.current = this.all[next]!;
    return true;
  }
}
