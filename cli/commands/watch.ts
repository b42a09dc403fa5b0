/** `stator watch [PREFIX]`: the instances of all endpoints, and every change, until Ctrl-C. A platform that is away is waited for. */

import { setTimeout as pause } from 'node:timers/promises';
import { defineCommand } from 'citty';
import WebSocket from 'ws';
import {
  DISCOVERY_PROTOCOL,
  discoveryAnswer,
  type TableChange,
} from '../../durable/runtime/discovery-frames.ts';
import { StatorError } from '../../durable/runtime/errors.ts';
import { endpointAddress, readInstance } from '../../durable/runtime/instance.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { KnownEntries } from '../../gpu-sidecar/discovery/known-entries.ts';
import { askedTarget, chooseTarget, TARGET_ARGS, type Target } from '../chat/target.ts';
import { liveRecords } from '../launch/records.ts';
import { controlTls } from '../launch/tls.ts';
import { createOutput, type Output } from '../output.ts';
import { refuseUnknown } from '../settings.ts';

export const watch = defineCommand({
  meta: { name: 'watch', description: 'Show who serves which endpoint, and every change.' },
  args: {
    prefix: {
      type: 'positional',
      description: 'default, default.backend, default.backend.generate',
      required: false,
    },
    ...TARGET_ARGS,
    json: { type: 'boolean', description: 'One JSON object per line instead of text.', default: false },
  },
  async run({ args }): Promise<number> {
    const { _: words, prefix, ...options } = args;
    refuseUnknown({ ...options, _: words.slice(1) }, new Set(['json', ...Object.keys(TARGET_ARGS)]));
    const target = chooseTarget(askedTarget(args, process.env), liveRecords());
    await follow(target, prefix ?? '', createOutput({ json: args.json }));
    return 0;
  },
});

/** Ends by Ctrl-C, or with what the platform refuses. */
async function follow(target: Target, prefix: string, output: Output): Promise<never> {
  const known = new KnownEntries((change) => show(change, output));
  let away = false;
  for (;;) {
    const reason = await once(target, prefix, {
      synced(now) {
        if (away) say(output, 'connected', `${target.url} answers again`);
        away = false;
        known.replace(now);
      },
      changed: (change) =>
        change.kind === 'added' ? known.added(change.key, change.value) : known.removed(change.key),
    });
    if (!away) say(output, 'away', `${target.url} is away (${reason}); trying again`);
    away = true;
    await pause(LIMITS.reconnectMaxMs / 4);
  }
}

interface Listener {
  synced(now: { key: string; value: string }[]): void;
  changed(change: TableChange): void;
}

/** One connection; resolves with the reason of its end. Rejects when the platform refuses. */
function once({ apiKey, control }: Target, prefix: string, listener: Listener): Promise<string> {
  const url = `${control.url.replace(/^http/, 'ws')}/discovery/v1/watch?prefix=${encodeURIComponent(prefix)}`;
  const headers: Record<string, string> = apiKey === '' ? {} : { authorization: `Bearer ${apiKey}` };
  const tls = controlTls(control);
  const files =
    tls === null
      ? {}
      : {
          ...(tls.cert === '' ? {} : { cert: tls.cert, key: tls.key }),
          ...(tls.ca === null ? {} : { ca: tls.ca }),
        };
  const socket = new WebSocket(url, DISCOVERY_PROTOCOL, {
    ...files,
    headers,
    handshakeTimeout: LIMITS.registerTimeoutMs,
  });
  let list: { key: string; value: string }[] | null = [];
  let reason = 'the connection was closed';
  // The platform says every second that it lives.
  const silent = setInterval(() => socket.terminate(), LIMITS.registerTimeoutMs);
  return new Promise((resolve, reject) => {
    socket.on('message', (data) => {
      silent.refresh();
      const answer = discoveryAnswer.parse(JSON.parse(String(data)));
      if ('synced' in answer && list !== null) {
        listener.synced(list);
        list = null;
      } else if ('changes' in answer) {
        for (const change of answer.changes) {
          if (list === null) listener.changed(change);
          else if (change.kind === 'added') list.push(change);
        }
      }
    });
    socket.on('unexpected-response', (_request, { statusCode = 0 }) => {
      reason = `HTTP status ${statusCode}`;
      if (statusCode >= 400 && statusCode < 500) {
        const code = statusCode === 401 ? 'invalid_api_key' : 'invalid_request';
        reject(new StatorError(code, `${control.url} refuses the watch with HTTP status ${statusCode}`));
      }
      socket.terminate();
    });
    socket.on('error', (error) => {
      reason = error.message;
    });
    socket.on('close', () => {
      clearInterval(silent);
      resolve(reason);
    });
  });
}

function show(change: TableChange, output: Output): void {
  const instance = readInstance(change.key, change.kind === 'added' ? change.value : '{"transport":{}}');
  if (instance === null) return;
  const address = endpointAddress(instance);
  const { grpc, http, instanceId } = instance;
  const where = change.kind === 'added' ? { http, grpc } : {};
  output.event({ event: change.kind, address, instance: instanceId, ...where });
  const sign = change.kind === 'added' ? '+' : '-';
  output.line(`${sign} ${address}  ${instanceId}${change.kind === 'added' ? `  ${http ?? grpc ?? ''}` : ''}`);
}

function say(output: Output, event: string, text: string): void {
  output.event({ event, text });
  output.line(`# ${text}`);
}
