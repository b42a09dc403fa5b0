/**
 * A chain of operators. Each has a forward side, which turns its input into the next one's (or answers at once), and may have a
 * backward side, which sees the response on its way out. What is not a promise is not awaited, so a step that has everything at
 * hand costs a function call.
 */
import type { Call } from './call.ts';

export interface Operator<In, Out> {
  readonly name: string;
  forward(input: In, call: Call): Out | Response | Promise<Out | Response>;
  backward?(response: Response, call: Call): Response;
}

/** Operators whose last gives a response. */
export interface Pipeline<In> {
  run(input: In, call: Call): Promise<Response>;
}

// biome-ignore lint/suspicious/noExplicitAny: the chain's types are checked where it is built, by `pipe`.
type AnyOperator = Operator<any, any>;

export class Chain<In, Out> {
  readonly #operators: readonly AnyOperator[];

  private constructor(operators: readonly AnyOperator[]) {
    this.#operators = operators;
  }

  static of<In, Out>(first: Operator<In, Out>): Chain<In, Out> {
    return new Chain<In, Out>([first]);
  }

  pipe<Next>(operator: Operator<Out, Next>): Chain<In, Next> {
    return new Chain<In, Next>([...this.#operators, operator]);
  }

  /** `last` answers; then the backward sides run in reverse order. */
  answeredBy(last: Operator<Out, Response>): Pipeline<In> {
    const forward: readonly AnyOperator[] = [...this.#operators, last];
    const backward = forward.filter((operator) => operator.backward !== undefined).reverse();
    return {
      async run(input, call) {
        // biome-ignore lint/suspicious/noExplicitAny: see above.
        let value: any = input;
        for (const operator of forward) {
          value = operator.forward(value, call);
          if (value instanceof Promise) value = await value;
          if (value instanceof Response) break;
        }
        let response: Response = value;
        for (const operator of backward) response = operator.backward!(response, call);
        return response;
      },
    };
  }
}
