/** Waiting for a promise, but not longer than a time. One timer, cleared when the promise settles first. */

export const LATE: unique symbol = Symbol('late');

/** The promise's value or rejection, or LATE after `timeMs`; the promise itself goes on. */
export function within<T>(promise: Promise<T>, timeMs: number): Promise<T | typeof LATE> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => resolve(LATE), timeMs);
    promise.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (reason) => {
        clearTimeout(timer);
        reject(reason);
      },
    );
  });
}
