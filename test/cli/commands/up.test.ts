/** Can anybody on the network reach the platform without a key? */

import { expect, test } from 'vitest';
import { requireKeyBeyondLoopback } from '../../../cli/commands/up.ts';
import { resolveSettings } from '../../../durable/runtime/config.ts';

const settings = (host: string, apiKey: string) => ({ ...resolveSettings([]), host, apiKey });

test.each(['0.0.0.0', '::', '192.168.1.7', 'gpu-1.example', '127.0.0.1.example'])(
  '%s wants a key',
  (host) => {
    expect(() => requireKeyBeyondLoopback(settings(host, ''))).toThrow(
      expect.objectContaining({ param: 'apiKey', message: expect.stringContaining(`--host ${host}`) }),
    );
    expect(() => requireKeyBeyondLoopback(settings(host, 'sk-1'))).not.toThrow();
  },
);

test.each(['127.0.0.1', '::1', 'localhost'])('%s does not', (host) => {
  expect(() => requireKeyBeyondLoopback(settings(host, ''))).not.toThrow();
});
