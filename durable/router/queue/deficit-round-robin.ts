/**
 * Who is next among classes (semantics §1.7): deficit round robin. Every class earns its quantum once per round and spends
 * it on the cost of what it sends; over time backlogged classes are served in the ratio of their quanta, whatever their
 * requests cost and however many frontends sent them.
 *
 * A pick begins with the class that has credit left, then walks the ring from behind the last pick. If nobody can afford
 * its head, all that could send are given the least number of whole rounds that lets one. Classes that are empty forget
 * their credit; those whose head cannot be sent now neither earn nor lose, and a pick that found nobody has changed nothing:
 * a busy fleet is asked often between two requests that can go (forgetting there whose turn it was, as Dynamo 1.6.1's rule
 * does, gave 2.9:1 for quanta 4:1 and mixed costs).
 */

/** One class as the ring sees it; an entry of it costs `cost`. */
export interface RingClass<E> {
  readonly quantum: number;
  deficit: number;
  readonly isEmpty: boolean;
  /** The entry that it would send, null when it has none that could go now. */
  head(): E | null;
  cost(entry: E): number;
  take(entry: E): void;
}

export class DeficitRoundRobin<E> {
  readonly #classes: readonly RingClass<E>[];
  /** Scratch of one pick. */
  readonly #heads: (E | null)[];
  #cursor = 0;
  /** The class that had credit left after its last pick. */
  #carried = -1;

  constructor(classes: readonly RingClass<E>[]) {
    this.#classes = classes;
    this.#heads = classes.map(() => null);
  }

  /** Takes the next entry; null when no class has one that could go now. */
  next(): E | null {
    const carried = this.#carried;
    if (carried !== -1) {
      const head = this.#look(carried);
      if (head !== null && this.#affords(carried, head)) return this.#take(carried, head);
      if (head !== null || this.#classes[carried]!.isEmpty) this.#carried = -1;
    }
    for (let step = 0; step < this.#classes.length; step++) {
      const index = (this.#cursor + step) % this.#classes.length;
      const head = index === carried ? this.#heads[index]! : this.#look(index);
      if (head === null) continue;
      if (this.#affords(index, head)) return this.#take(index, head);
      this.#classes[index]!.deficit += this.#classes[index]!.quantum;
      if (this.#affords(index, head)) return this.#take(index, head);
    }
    return this.#grant() ? this.#firstAffordable() : null;
  }

  #look(index: number): E | null {
    const of = this.#classes[index]!;
    const head = of.head();
    this.#heads[index] = head;
    if (of.isEmpty) of.deficit = 0;
    return head;
  }

  /** Gives all that could send the rounds that one of them needs. False when none could. */
  #grant(): boolean {
    let rounds = Number.POSITIVE_INFINITY;
    this.#classes.forEach((of, index) => {
      const head = this.#heads[index]!;
      if (head !== null) rounds = Math.min(rounds, Math.ceil((of.cost(head) - of.deficit) / of.quantum));
    });
    if (rounds === Number.POSITIVE_INFINITY) return false;
    this.#classes.forEach((of, index) => {
      if (this.#heads[index] !== null) of.deficit += rounds * of.quantum;
    });
    return true;
  }

  #firstAffordable(): E | null {
    for (let step = 0; step < this.#classes.length; step++) {
      const index = (this.#cursor + step) % this.#classes.length;
      const head = this.#heads[index]!;
      if (head !== null && this.#affords(index, head)) return this.#take(index, head);
    }
    return null;
  }

  #affords(index: number, head: E): boolean {
    const of = this.#classes[index]!;
    return of.cost(head) <= of.deficit;
  }

  #take(index: number, entry: E): E {
    const of = this.#classes[index]!;
    this.#cursor = (index + 1) % this.#classes.length;
    of.deficit -= of.cost(entry);
    of.take(entry);
    if (of.isEmpty) of.deficit = 0;
    this.#carried = of.deficit > 0 ? index : -1;
    return entry;
  }
}
