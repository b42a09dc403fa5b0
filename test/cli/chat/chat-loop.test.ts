/** A whole conversation against an HTTP server that speaks OpenAI's stream, on streams that stand for a terminal. */

import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import { afterEach, expect, test } from 'vitest';
import { ChatClient } from '../../../cli/chat/chat-client.ts';
import { chatLoop } from '../../../cli/chat/chat-loop.ts';
import { MessageReader } from '../../../cli/chat/message-reader.ts';
import { soon } from '../../harness/soon.ts';

type Asked = { model: string; messages: { role: string; content: string }[] } & Record<string, unknown>;
type Answer = (asked: Asked, response: ServerResponse) => void;

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

const event = (delta: object, finish: string | null = null) =>
  `id: 0:1\ndata: ${JSON.stringify({ choices: [{ delta, finish_reason: finish }] })}\n\n`;
const USAGE = `data: ${JSON.stringify({
  choices: [],
  usage: { prompt_tokens: 9, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 4 } },
})}\n\n`;
const END = `${event({}, 'stop')}${USAGE}data: [DONE]\n\n`;

/** Echoes the last message, after some reasoning. */
const echo: Answer = ({ messages }, response) => {
  response.write(`: keep-alive\n\n${event({ reasoning_content: 'let me see' })}`);
  response.end(event({ content: `you said ${messages.at(-1)?.content}` }) + END);
};

async function conversation({ answer = echo, isTTY = false, env = {} as Record<string, string> } = {}) {
  const asked: Asked[] = [];
  const server = createServer(async (request: IncomingMessage, response: ServerResponse) => {
    if (request.url === '/v1/models') {
      response.end(JSON.stringify({ data: [{ id: 'm' }, { id: 'n' }] }));
      return;
    }
    const body = JSON.parse(await text(request)) as Asked;
    asked.push(body);
    answer(body, response);
  }).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const input = Object.assign(new PassThrough(), { isTTY, setRawMode: () => {} });
  let output = '';
  const write = (written: string): void => {
    output += written;
  };
  const screen = { isTTY, write };
  const saved: [string, string][] = [];
  let interrupt: () => void = () => {};
  const ended = chatLoop(
    { model: 'm', system: 'be kind', messages: [] },
    {
      client: new ChatClient({ url, control: { url, tls: null }, apiKey: 'key' }),
      reader: new MessageReader(input, new PassThrough()),
      view: { screen, env, nowMs: () => performance.now() },
      interrupts: (stop) => {
        interrupt = stop;
        return () => {
          interrupt = () => {};
        };
      },
      save: (file, written) => void saved.push([file, written]),
      sampling: { temperature: 0 },
    },
  );
  return { asked, ended, input, interrupt: () => interrupt(), output: () => output, saved };
}

test('each question has all that was said before it; a pipe gets the answers and nothing else', async () => {
  const { asked, ended, input, output } = await conversation();
  input.end('one\ntwo\n');
  await ended;
  expect(output()).toBe('you said one\nyou said two\n');
  expect(asked[1]?.messages.map(({ content }) => content)).toEqual(['be kind', 'one', 'you said one', 'two']);
  expect(asked[1]).toMatchObject({ model: 'm', temperature: 0, stream: true });
});

test('a terminal sees the reasoning and the cost, dim, and no control characters of the model', async () => {
  const answer: Answer = (_asked, response) => {
    response.end(event({ reasoning_content: 'hm' }) + event({ content: 'a\x1b[31mb\u009b1mc\tok' }) + END);
  };
  const { ended, input, output } = await conversation({ answer, isTTY: true });
  input.write('one\r/exit\r');
  await ended;
  expect(output()).toContain('\x1b[2mhm\x1b[22m\n\na[31mb1mc\tok\n');
  expect(output()).toContain('4 of 9 prompt tokens cached');
});

test('NO_COLOR: no escape sequence at all', async () => {
  const { ended, input, output } = await conversation({ isTTY: true, env: { NO_COLOR: '1' } });
  input.write('one\r/help\r/exit\r');
  await ended;
  expect(output()).toContain('let me see\n\nyou said one');
  expect(output()).not.toContain('\x1b');
});

test('/clear forgets, /system and /model change what is asked, /save writes it', async () => {
  const { asked, ended, input, saved } = await conversation();
  input.end('one\n/clear\n/system be brief\n/model n\ntwo\n/save talk.json\n');
  await ended;
  expect(asked[1]?.model).toBe('n');
  expect(asked[1]?.messages.map(({ content }) => content)).toEqual(['be brief', 'two']);
  const [[file, written]] = saved as [[string, string]];
  expect(file).toBe('talk.json');
  expect(JSON.parse(written)).toEqual({
    model: 'n',
    messages: [
      { role: 'system', content: 'be brief' },
      { role: 'user', content: 'two' },
      { role: 'assistant', content: 'you said two' },
    ],
  });
});

test("a refusal is the server's words, and the conversation goes on without it", async () => {
  const answer: Answer = (asked, response) => {
    if (asked.messages.at(-1)?.content !== 'bad') return echo(asked, response);
    response.writeHead(404).end(JSON.stringify({ error: { message: "no 'm'", code: 'model_not_found' } }));
  };
  const { asked, ended, input, output } = await conversation({ answer });
  input.end('bad\ngood\n');
  await ended;
  expect(output()).toBe("stator: no 'm'\nyou said good\n");
  expect(asked[1]?.messages.map(({ content }) => content)).toEqual(['be kind', 'good']);
});

test('an answer that breaks off says so', async () => {
  const answer: Answer = (_asked, response) => response.end(event({ content: 'half' }));
  const { ended, input, output } = await conversation({ answer });
  input.end('one\n');
  await ended;
  expect(output()).toBe('half\nstator: the answer ended before its last event\n');
});

test('Ctrl-C stops the answer, at the server too, and not the program; what came is remembered', async () => {
  let left = false;
  const answer: Answer = (asked, response) => {
    if (asked.messages.at(-1)?.content !== 'long') return echo(asked, response);
    response.on('close', () => {
      left = true;
    });
    response.write(event({ content: 'half an' }));
  };
  const { asked, ended, input, interrupt, output } = await conversation({ answer });
  input.write('long\n');
  await soon(() => expect(output()).toContain('half an'));
  interrupt();
  await soon(() => expect(left).toBe(true));
  input.end('and now\n');
  await ended;
  expect(output()).toBe('half an\nstopped\nyou said and now\n');
  expect(asked[1]?.messages.map(({ content }) => content)).toEqual(['be kind', 'long', 'half an', 'and now']);
});

test('Ctrl-C twice at an empty prompt leaves', async () => {
  const { ended, input, output } = await conversation({ isTTY: true });
  input.write('\x03');
  await soon(() => expect(output()).toContain('Ctrl-C again'));
  input.write('\x03');
  await ended;
});
