/** `stator down`: drains and stops deployments started by `stator up` on this machine. */

import { defineCommand } from 'citty';
import { StatorError } from '../../durable/runtime/errors.ts';
import { LIMITS } from '../../durable/runtime/limits.ts';
import { waitFor } from '../launch/platform-client.ts';
import { isAlive, liveRecords } from '../launch/records.ts';
import { createOutput } from '../output.ts';
import { refuseUnknown } from '../settings.ts';

export const down = defineCommand({
  meta: { name: 'down', description: 'Drain and stop what `stator up` started.' },
  args: {
    port: { type: 'string', description: 'Only the deployment on this port.' },
    json: { type: 'boolean', description: 'One JSON object per line instead of text.', default: false },
  },
  async run({ args }): Promise<number> {
    refuseUnknown(args, new Set(['port', 'json']));
    if (args.port !== undefined && !/^\d+$/.test(args.port)) {
      throw new StatorError('invalid_request', `--port: "${args.port}" is not a port`, { param: 'port' });
    }
    const output = createOutput({ json: args.json });
    const records = liveRecords().filter(({ port }) => args.port === undefined || port === Number(args.port));
    if (records.length === 0) {
      output.line(args.port === undefined ? 'nothing is running' : `nothing is running on port ${args.port}`);
      output.event({ event: 'down', stopped: [] });
      return 0;
    }
    for (const record of records) {
      const step = output.step(`stopping ${record.url}`);
      process.kill(record.launcherPid, 'SIGTERM');
      await waitFor(async () => (isAlive(record.launcherPid) ? null : true), {
        timeoutMs: LIMITS.drainMs + 5_000,
        everyMs: 50,
        timeout: () => new StatorError('deadline_exceeded', `process ${record.launcherPid} does not end`),
      });
      // A launcher that ended badly leaves its record, and maybe its platform process.
      liveRecords();
      step.done('stopped');
    }
    output.event({ event: 'down', stopped: records.map(({ url }) => url) });
    return 0;
  },
});
