/** Prometheus' text format. See https://prometheus.io/docs/instrumenting/exposition_formats/ */

export const metricsContentType = 'text/plain; version=0.0.4; charset=utf-8';

export type Labels = Readonly<Record<string, string>>;

export type MetricType = 'counter' | 'gauge' | 'histogram';

/** What a histogram has counted: how many values fell into each bucket, and what all of them add up to. */
export class Histogram {
  readonly bounds: readonly number[];
  readonly buckets: Float64Array;
  count = 0;
  sum = 0;

  /** `bounds` are the buckets' upper ends, in order. */
  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.buckets = new Float64Array(bounds.length);
  }

  observe(value: number): void {
    this.count++;
    this.sum += value;
    const { bounds, buckets } = this;
    for (let i = 0; i < bounds.length; i++) {
      if (value <= (bounds[i] ?? Infinity)) {
        buckets[i] = (buckets[i] ?? 0) + 1;
        return;
      }
    }
  }
}

/** Lines of one metric: what it is, then its values. */
export class Exposition {
  private readonly lines: string[] = [];
  private begun = '';

  family(name: string, type: MetricType, help: string): this {
    this.begun = name;
    this.lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
    return this;
  }

  /** A value of the family begun last; `timeMs` when it was measured, if that was not now. */
  sample(labels: Labels, value: number, timeMs?: number): this {
    this.value(this.begun, labelText(labels), value, timeMs);
    return this;
  }

  /** What a histogram of the family begun last has counted. */
  distribution(labels: Labels, values: Histogram): this {
    this.histogram(this.begun, labelText(labels), values);
    return this;
  }

  /** `labels` as {@link labelText} writes them; '' for none. */
  value(name: string, labels: string, value: number, timeMs?: number): void {
    const time = timeMs === undefined ? '' : ` ${Math.round(timeMs)}`;
    this.lines.push(labels === '' ? `${name} ${value}${time}` : `${name}{${labels}} ${value}${time}`);
  }

  histogram(name: string, labels: string, { bounds, buckets, sum, count }: Histogram): void {
    const before = labels === '' ? '' : `${labels},`;
    let below = 0;
    for (const [i, bound] of bounds.entries()) {
      below += buckets[i] ?? 0;
      this.lines.push(`${name}_bucket{${before}le="${bound}"} ${below}`);
    }
    this.lines.push(`${name}_bucket{${before}le="+Inf"} ${count}`);
    this.value(`${name}_sum`, labels, sum);
    this.value(`${name}_count`, labels, count);
  }

  /** A metric with one value. */
  single(name: string, type: MetricType, help: string, value: number, labels = ''): void {
    this.family(name, type, help);
    this.value(name, labels, value);
  }

  add(lines: readonly string[]): void {
    this.lines.push(...lines);
  }

  all(): string[] {
    return this.lines;
  }

  text(): string {
    return `${this.lines.join('\n')}\n`;
  }
}

export function labelText(labels: Labels): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${value.replaceAll(/[\\"\n]/g, escaped)}"`)
    .join(',');
}

function escaped(character: string): string {
  return character === '\n' ? '\\n' : `\\${character}`;
}
