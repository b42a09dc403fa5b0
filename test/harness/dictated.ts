/**
 * A deployment whose engine says what the prompt dictates between « and », for tests of clients: calls of a tool,
 * reasoning and all the rest of an answer are the test's, everything on the way is real.
 */
import type { Deployment } from '../../cli/launch/deployment.ts';
import { deploy } from './deployment.ts';

export const MODEL = 'dictated';
export const API_KEY = 'sk-stator-test';
export const REASONING = '<think>Hm, é.</think>';
/** A call of the tool below, as the model writes it. */
export const CALL =
  '<tool_call>{"name": "get_weather", "arguments": {"city": "Köln", "days": 3}}</tool_call>';
export const ARGUMENTS = { city: 'Köln', days: 3 };
export const WEATHER = {
  name: 'get_weather',
  description: 'The weather of a city',
  parameters: {
    type: 'object' as const,
    properties: { city: { type: 'string' as const }, days: { type: 'integer' as const } },
    required: ['city'],
  },
};
/** What the tool answers: the model is told by it what to say next. */
export const WEATHER_RESULT = '«It is 20 degrees.»';
export const LAST_WORDS = 'It is 20 degrees.';

export const saying = (answer: string): string => `Please say «${answer}»`;

export const deployDictated = (): Promise<Deployment> =>
  deploy({
    workers: 1,
    engine: 'mock',
    modelName: MODEL,
    mockDictation: true,
    engineSpeedup: 0,
    toolCallParser: 'hermes',
    reasoningParser: 'qwen3',
    apiKey: API_KEY,
    context: 4096,
  });
