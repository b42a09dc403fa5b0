/** `stator clear-kv-blocks`: every worker forgets the cached KV blocks that no running request holds, in all tiers of its own. */

import { defineCommand } from 'citty';
import { askedTarget, chooseTarget, TARGET_ARGS } from '../chat/target.ts';
import { platformClient } from '../launch/platform-client.ts';
import { liveRecords } from '../launch/records.ts';
import { controlFetch } from '../launch/tls.ts';
import { refuseUnknown } from '../settings.ts';

export const clearKvBlocks = defineCommand({
  meta: {
    name: 'clear-kv-blocks',
    description: 'Have every worker drop its cached KV blocks; what workers share in an object store stays.',
  },
  args: {
    ...TARGET_ARGS,
    json: { type: 'boolean', description: 'JSON instead of a sentence.', default: false },
  },
  async run({ args }): Promise<number> {
    refuseUnknown(args, new Set(['json', ...Object.keys(TARGET_ARGS)]));
    const { url, control, apiKey } = chooseTarget(askedTarget(args, process.env), liveRecords());
    const workers = await platformClient(control.url, apiKey, controlFetch(control)).clearKvBlocks();
    const said = `${url}: ${workers} ${workers === 1 ? 'worker was' : 'workers were'} told to drop cached KV blocks`;
    process.stdout.write(args.json ? `${JSON.stringify({ url, workers })}\n` : `${said}\n`);
    return 0;
  },
});
