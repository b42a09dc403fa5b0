/** `stator dev`: the same as `up`, under `wrangler dev`: the platform reloads when its sources change. */

import { defineCommand } from 'citty';
import { StatorError } from '../../durable/runtime/errors.ts';
import { wranglerLauncher } from '../launch/deployment.ts';
import { choosePort } from '../launch/ports.ts';
import { createOutput } from '../output.ts';
import { readSettings, settingArgs } from '../settings.ts';
import { requireKeyBeyondLoopback, serve } from './up.ts';

export const dev = defineCommand({
  meta: { name: 'dev', description: 'Like up, under `wrangler dev`, reloading on changes.' },
  args: settingArgs(),
  async run({ args }): Promise<number> {
    const output = createOutput({ json: args['json'] === true });
    const { settings, given } = readSettings(args);
    requireKeyBeyondLoopback(settings);
    if (settings.tlsCert !== '' || settings.fleetTlsCert !== '') {
      throw new StatorError('invalid_request', 'dev has no TLS: leave out --tls-cert and --fleet-tls-cert');
    }
    const port = await choosePort(settings.host, settings.port, { given: given.has('port') });
    return serve({ ...settings, port }, wranglerLauncher(), output);
  },
});
