/** Prometheus' text format. See https://prometheus.io/docs/instrumenting/exposition_formats/ */

export type Labels = Readonly<Record<string, string>>;

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

export class MetricsText {
  readonly #lines: string[] = [];
  #name = '';

  /** What the samples after it belong to. */
  family(name: string, type: 'counter' | 'gauge' | 'histogram', help: string): this {
    this.#name = name;
    this.#lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    return this;
  }

  sample(labels: Labels, value: number, timeMs?: number, suffix = ''): this {
    const pairs = Object.entries(labels).map(([name, text]) => `${name}="${escaped(text)}"`);
    const braces = pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
    this.#lines.push(`${this.#name}${suffix}${braces} ${value}${timeMs === undefined ? '' : ` ${Math.round(timeMs)}`}`);
    return this;
  }

  toString(): string {
    return `${this.#lines.join('\n')}\n`;
  }
}

function escaped(text: string): string {
  return text
    .replaceAll('\\', String.raw`\\`)
    .replaceAll('"', String.raw`\"`)
    .replaceAll('\n', String.raw`\n`);
}

/** Counts how many values were at most so large. */
export class Histogram {
  readonly #bounds: readonly number[];
  readonly #counts: number[];
  #count = 0;
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = bounds.map(() => 0);
  }

  observe(value: number): void {
    this.#count++;
    this.#sum += value;
    for (const [index, bound] of this.#bounds.entries()) if (value <= bound) this.#counts[index] = (this.#counts[index] ?? 0) + 1;
  }

  /** Its samples, in the family begun last. */
  write(text: MetricsText, labels: Labels): void {
    for (const [index, bound] of this.#bounds.entries()) {
      text.sample({ ...labels, le: String(bound) }, this.#counts[index] ?? 0, undefined, '_bucket');
    }
    text.sample({ ...labels, le: '+Inf' }, this.#count, undefined, '_bucket');
    text.sample(labels, this.#sum, undefined, '_sum').sample(labels, this.#count, undefined, '_count');
  }
}
