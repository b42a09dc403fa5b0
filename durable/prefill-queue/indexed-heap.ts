/** A binary heap of which any item can be taken out or moved: it knows where each is. O(log n). */

export class IndexedHeap<T> {
  readonly #items: T[] = [];
  readonly #places = new Map<T, number>();
  readonly #isBefore: (a: T, b: T) => boolean;

  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  get first(): T | undefined {
    return this.#items[0];
  }

  /** Takes it in, or moves it to where it belongs now. */
  put(item: T): void {
    const known = this.#places.get(item);
    if (known === undefined) this.#set(item, this.#items.length);
    this.#settle(this.#places.get(item)!);
  }

  delete(item: T): void {
    const at = this.#places.get(item);
    if (at === undefined) return;
    this.#places.delete(item);
    const last = this.#items.pop()!;
    if (last === item) return;
    this.#set(last, at);
    this.#settle(at);
  }

  #settle(from: number): void {
    const items = this.#items;
    const item = items[from]!;
    let at = from;
    for (let up = (at - 1) >> 1; at > 0 && this.#isBefore(item, items[up]!); up = (at - 1) >> 1) {
      this.#set(items[up]!, at);
      at = up;
    }
    for (;;) {
      let child = 2 * at + 1;
      if (child + 1 < items.length && this.#isBefore(items[child + 1]!, items[child]!)) child++;
      if (child >= items.length || !this.#isBefore(items[child]!, item)) break;
      this.#set(items[child]!, at);
      at = child;
    }
    this.#set(item, at);
  }

  #set(item: T, at: number): void {
    this.#items[at] = item;
    this.#places.set(item, at);
  }
}
