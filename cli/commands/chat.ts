/** `stator chat [model]`: a conversation in the terminal with a deployment that runs. */

import { writeFileSync } from 'node:fs';
import { defineCommand } from 'citty';
import { ChatClient } from '../chat/chat-client.ts';
import { chatLoop } from '../chat/chat-loop.ts';
import { MessageReader } from '../chat/message-reader.ts';
import { chooseModel, SAMPLING_ARGS, samplingOf } from '../chat/sampling-options.ts';
import { styleOf } from '../chat/style.ts';
import { askedTarget, chooseTarget, TARGET_ARGS } from '../chat/target.ts';
import { liveRecords } from '../launch/records.ts';
import { refuseUnknown } from '../settings.ts';

const { model: _, ...SAMPLING } = SAMPLING_ARGS;
const OPTIONS = { ...TARGET_ARGS, ...SAMPLING };

export const chat = defineCommand({
  meta: { name: 'chat', description: 'Talk to a model of a running deployment.' },
  args: {
    model: { type: 'positional', required: false, description: SAMPLING_ARGS.model.description },
    ...OPTIONS,
  },
  async run({ args }): Promise<number> {
    const [model, ...strays] = args._;
    refuseUnknown({ ...args, _: strays }, new Set(['model', ...Object.keys(OPTIONS)]));
    const sampling = samplingOf(args);
    const target = chooseTarget(askedTarget(args, process.env), liveRecords());
    const client = new ChatClient(target);
    const start = { model: await chooseModel(model, client), system: args.system ?? '', messages: [] };
    const screen = process.stdout;
    const view = { screen, env: process.env, nowMs: () => performance.now() };
    const hello = `${start.model} at ${target.url}; /help lists commands, Ctrl-D leaves`;
    if (screen.isTTY) screen.write(`${styleOf(screen, process.env).dim(hello)}\n`);
    const reader = new MessageReader(process.stdin, screen);
    const interrupts = (stop: () => void) => {
      process.on('SIGINT', stop);
      return () => void process.off('SIGINT', stop);
    };
    const save = (file: string, text: string) => writeFileSync(file, text, { flag: 'wx' });
    try {
      await chatLoop(start, { client, reader, view, interrupts, save, sampling });
    } finally {
      reader.close();
    }
    return 0;
  },
});
