/**
 * Counters, gauges and histograms that become Prometheus text (exposition format 0.0.4). Runs in isolates, where
 * prom-client does not.
 *
 * The hot path holds *children* (a metric with its label values resolved once); `add`, `set` and `observe` on a child are
 * a few number operations. Label values that come from outside are bounded: past `LIMITS.metricChildren` children of one
 * family, new ones share one child whose values are all `other`.
 */

import { LIMITS } from './limits.ts';

export type Labels = Readonly<Record<string, string>>;
type Kind = 'counter' | 'gauge' | 'histogram';

export class Counter {
  value = 0;

  add(amount = 1): void {
    this.value += amount;
  }
}

export class Gauge {
  value = 0;

  set(value: number): void {
    this.value = value;
  }

  add(amount: number): void {
    this.value += amount;
  }
}

export class Histogram {
  /** Upper bounds, rising, without +Inf. */
  readonly bounds: readonly number[];
  /** Observations per bucket (not cumulative); one more than `bounds`. */
  readonly counts: Float64Array;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    const { bounds, counts } = this;
    let bucket = 0;
    while (bucket < bounds.length && value > bounds[bucket]!) bucket++;
    counts[bucket]!++;
    this.sum += value;
  }
}

/** All metrics of one name: its children by label values. */
export class Family<Child> {
  readonly #labelNames: readonly string[];
  readonly #make: () => Child;
  readonly #children = new Map<string, { values: readonly string[]; child: Child }>();

  constructor(labelNames: readonly string[], make: () => Child) {
    this.#labelNames = labelNames;
    this.#make = make;
  }

  /** The child with these label values, in the order in which the labels were declared. */
  labels(...values: string[]): Child {
    const key = values.join('\u0000');
    const known = this.#children.get(key);
    if (known) return known.child;
    if (this.#children.size >= LIMITS.metricChildren) return this.#overflow();
    const entry = { values, child: this.#make() };
    this.#children.set(key, entry);
    return entry.child;
  }

  /** Forgets all children; what is collected at scrape time starts from here. */
  clear(): void {
    this.#children.clear();
  }

  *children(): Iterable<{ labels: Labels; child: Child }> {
    for (const { values, child } of this.#children.values()) {
      const labels = Object.fromEntries(this.#labelNames.map((name, i) => [name, values[i] ?? '']));
      yield { labels, child };
    }
  }

  #overflow(): Child {
    const values = this.#labelNames.map(() => 'other');
    const key = values.join('\u0000');
    const entry = this.#children.get(key) ?? { values, child: this.#make() };
    this.#children.set(key, entry);
    return entry.child;
  }
}

interface Entry {
  name: string;
  help: string;
  kind: Kind;
  family: Family<Counter | Gauge | Histogram>;
}

export interface MetricsOptions {
  /** Goes before every name, with an underscore: setting `metricsPrefix`. */
  prefix: string;
  /** Labels of every line. */
  labels?: Labels;
}

export class Metrics {
  readonly #prefix: string;
  readonly #labels: Labels;
  readonly #entries = new Map<string, Entry>();
  readonly #collectors: (() => void)[] = [];

  constructor(options: MetricsOptions) {
    this.#prefix = options.prefix;
    this.#labels = options.labels ?? {};
  }

  counter(name: string, help: string, labelNames: readonly string[] = []): Family<Counter> {
    return this.#add(name, help, 'counter', new Family(labelNames, () => new Counter()));
  }

  gauge(name: string, help: string, labelNames: readonly string[] = []): Family<Gauge> {
    return this.#add(name, help, 'gauge', new Family(labelNames, () => new Gauge()));
  }

  /** `bounds`: upper bounds of the buckets, rising, in the metric's unit. */
  histogram(
    name: string,
    help: string,
    bounds: readonly number[],
    labelNames: readonly string[] = [],
  ): Family<Histogram> {
    return this.#add(name, help, 'histogram', new Family(labelNames, () => new Histogram(bounds)));
  }

  /** Runs before every `text()`: for values that are cheaper to look up than to keep. */
  onCollect(collector: () => void): void {
    this.#collectors.push(collector);
  }

  /** Prometheus text, families in order of declaration. */
  text(): string {
    for (const collect of this.#collectors) collect();
    let text = '';
    for (const { name, help, kind, family } of this.#entries.values()) {
      text += `# HELP ${name} ${help}\n# TYPE ${name} ${kind}\n`;
      for (const { labels, child } of family.children()) {
        text += lines(name, { ...this.#labels, ...labels }, child);
      }
    }
    return text;
  }

  #add<Child extends Counter | Gauge | Histogram>(
    name: string,
    help: string,
    kind: Kind,
    family: Family<Child>,
  ): Family<Child> {
    const full = `${this.#prefix}_${name}`;
    if (this.#entries.has(full)) throw new Error(`metric ${full} declared twice`);
    this.#entries.set(full, { name: full, help, kind, family });
    return family;
  }
}

function lines(name: string, labels: Labels, child: Counter | Gauge | Histogram): string {
  if (!(child instanceof Histogram)) return `${name}${braces(labels)} ${child.value}\n`;
  let text = '';
  let seen = 0;
  child.counts.forEach((count, bucket) => {
    seen += count;
    const le = bucket < child.bounds.length ? String(child.bounds[bucket]) : '+Inf';
    text += `${name}_bucket${braces({ ...labels, le })} ${seen}\n`;
  });
  return text + `${name}_sum${braces(labels)} ${child.sum}\n${name}_count${braces(labels)} ${seen}\n`;
}

function braces(labels: Labels): string {
  const pairs = Object.entries(labels).map(([key, value]) => `${key}="${escapeValue(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const escapeValue = (value: string) =>
  value.replaceAll('\\', '\\\\').replaceAll('\n', '\\n').replaceAll('"', '\\"');
