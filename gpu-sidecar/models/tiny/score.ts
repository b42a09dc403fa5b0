/**
 * `npm run score`: ask a running server the held-out questions and count the right answers.
 *
 * The 100 wordings of held-out.txt were never trained on. Each is sent alone, at temperature 0, to any OpenAI-compatible
 * address; an answer is right when it is the corpus's answer word for word (letter case and punctuation aside). The
 * exit status is 0 when at least `--least` (80) are right, so that a test can use it.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

export interface ScoreOptions {
  /** The address up to and with `/v1`. */
  url: string;
  model: string;
  apiKey?: string | undefined;
  /** How many questions are asked at a time. */
  concurrency: number;
}

export interface Miss {
  id: string;
  question: string;
  expected: string;
  got: string;
}

export interface Score {
  right: number;
  total: number;
  misses: Miss[];
  seconds: number;
}

interface Question {
  id: string;
  wording: string;
}

const folder = import.meta.dirname;
const requestTimeoutMs = 60_000;
const answerTokensMax = 96;

/** Ask everything and compare. Throws when a request fails: a server that does not answer has no score. */
export async function score(options: ScoreOptions): Promise<Score> {
  const answers = readAnswers(join(folder, 'corpus'));
  const questions = readHeldOut(join(folder, 'held-out.txt'));
  const started = performance.now();
  const misses: Miss[] = [];
  const waiting = questions.entries();
  const asker = async (): Promise<void> => {
    for (const [, question] of waiting) {
      const expected = answers.get(question.id);
      if (expected === undefined) throw new Error(`held-out.txt names the unknown entry ${question.id}`);
      const got = await ask(question.wording, options);
      if (normalise(got) !== normalise(expected))
        misses.push({ id: question.id, question: question.wording, expected, got });
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, asker));
  misses.sort((a, b) => a.id.localeCompare(b.id));
  return {
    right: questions.length - misses.length,
    total: questions.length,
    misses,
    seconds: (performance.now() - started) / 1000,
  };
}

async function ask(question: string, options: ScoreOptions): Promise<string> {
  const response = await fetch(`${options.url.replace(/\/+$/, '')}/chat/completions`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(options.apiKey === undefined ? {} : { authorization: `Bearer ${options.apiKey}` }),
    },
    body: JSON.stringify({
      model: options.model,
      messages: [{ role: 'user', content: question }],
      temperature: 0,
      max_tokens: answerTokensMax,
    }),
    signal: AbortSignal.timeout(requestTimeoutMs),
  });
  if (!response.ok)
    throw new Error(`${response.status} from the server: ${(await response.text()).slice(0, 300)}`);
  const body = (await response.json()) as { choices?: { message?: { content?: string | null } }[] };
  return body.choices?.[0]?.message?.content ?? '';
}

/** The answer of each corpus entry, by id (the corpus's format is described in corpus.py). */
function readAnswers(corpus: string): Map<string, string> {
  const answers = new Map<string, string>();
  for (const name of readdirSync(corpus).filter((file) => file.endsWith('.txt'))) {
    let id = '';
    for (const line of readFileSync(join(corpus, name), 'utf8').split('\n')) {
      const [, key, value] = /^(id|answer):\s*(.+?)\s*$/.exec(line) ?? [];
      if (key === 'id' && value !== undefined) id = value;
      if (key === 'answer' && value !== undefined) answers.set(id, value);
    }
  }
  return answers;
}

function readHeldOut(file: string): Question[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [id, wording] = line.split('\t');
      if (id === undefined || wording === undefined)
        throw new Error(`held-out.txt: expected id, a tab, a wording: ${line}`);
      return { id: id.trim(), wording: wording.trim() };
    });
}

function normalise(text: string): string {
  return text
    .toLowerCase()
    .replaceAll("'", '')
    .replaceAll(/[^a-z0-9]+/g, ' ')
    .trim();
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:8787/v1' },
      model: { type: 'string', default: 'stator-tiny' },
      'api-key': { type: 'string' },
      concurrency: { type: 'string', default: '4' },
      least: { type: 'string', default: '80' },
      json: { type: 'boolean', default: false },
    },
  });
  const result = await score({
    url: values.url,
    model: values.model,
    apiKey: values['api-key'] ?? process.env['STATOR_API_KEY'],
    concurrency: Number(values.concurrency),
  });
  if (values.json) console.log(JSON.stringify(result, null, 2));
  else {
    for (const miss of result.misses) console.log(`wrong  ${miss.id}: ${miss.question}\n       ${miss.got}`);
    console.log(`${result.right} of ${result.total} right (${result.seconds.toFixed(1)} s)`);
  }
  process.exitCode = result.right >= Number(values.least) ? 0 : 1;
}

if (import.meta.main) {
  await main().catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 2;
  });
}
