/** A user's worker for the end-to-end tests: what good and what bad code does. Run by `stator run-component`. */
import { type CallContext, defineComponent } from 'stator/component';

let cancelled = 0;
let lasting = 0;
const { promise: ending, resolve: end } = Promise.withResolvers<void>();
process.on('SIGTERM', () => end());

export default defineComponent({
  namespace: 'default',
  component: process.env['GREETER_COMPONENT'] ?? 'greeter',
  endpoints: {
    hello: {
      idempotent: true,
      canary: { name: 'canary' },
      handler: async ({ name }: { name: string }) => ({ text: `Hello, ${name}!`, pid: process.pid }),
    },
    async *count({ to }: { to: number }) {
      for (let i = 1; i <= to; i++) yield { i };
    },
    size: async (bytes: Uint8Array) => new Uint8Array([bytes.length]),
    async *halves() {
      yield 1;
      throw new Error('half way');
    },
    throws: async () => {
      throw new TypeError('as written');
    },
    circular: async () => {
      const loop: { self?: object } = {};
      loop.self = loop;
      return loop;
    },
    function: async () => () => 0,
    late: async () => {
      // Behind everybody's back, after the answer.
      setImmediate(() => {
        throw new Error('nobody catches this');
      });
      void Promise.reject(new Error('nor this'));
      return 'answered';
    },
    never: (_: unknown, { signal }: CallContext) => {
      signal.addEventListener('abort', () => cancelled++);
      return new Promise(() => {});
    },
    cancelled: async () => cancelled,
    /** Answers when this process is asked to end. */
    last: async () => {
      lasting++;
      await ending;
      return 'all the same';
    },
    lasting: async () => lasting,
    calls: async (input: { times: number }, context: CallContext) => {
      const peer = context.client('dyn://default.greeter.hello');
      await peer.available();
      const answers: unknown[] = [];
      for (let i = 0; i < input.times; i++) answers.push(await peer.roundRobin({ name: String(i) }));
      return answers;
    },
    headers: async (_: unknown, { headers, requestId }: CallContext) => ({ headers, requestId }),
  },
});
