/** Who we are at NATS, as settings say it. */

import { describe, expect, it } from 'vitest';
import { natsOptions } from '../../../../durable/runtime/nats/nats-options.ts';

const options = (natsUrl: string) => natsOptions({ natsUrl, natsCreds: '' }, 'test');

describe('the URL of NATS', () => {
  it('may name several servers, and us', () => {
    expect(options('nats://us:a%20secret@one:4222, tls://two:4223')).toMatchObject({
      servers: ['nats://one:4222', 'tls://two:4223'],
      user: 'us',
      pass: 'a secret',
    });
    expect(options('nats://token@one:4222')).toMatchObject({ servers: ['nats://one:4222'], token: 'token' });
    expect(options('nats://one:4222')).not.toHaveProperty('user');
  });

  it('is refused where it is none', () => {
    for (const url of ['one:4222', 'http://one:4222', 'nats://', 'nats://one:4222,two']) {
      expect(() => options(url)).toThrow(/nats_url/);
    }
  });
});
