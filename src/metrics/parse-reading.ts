/** From a kubelet's `/metrics/resource` to a reading. Prometheus' text format, as much of it as is written there. */
import { type ContainerSample, type NodeReading, placeOf } from './node-reading.ts';

interface Line {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
  readonly timeMs: number;
}

const line = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? ([^ ]+)(?: (-?\d+))?$/;
const label = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"/g;

/** `nowMs` is for lines without a time. Throws when it says nothing of the node. */
export function parseReading(text: string, nowMs: number): NodeReading {
  const [cpu, memory, started] = [new Map<string, Line>(), new Map<string, Line>(), new Map<string, number>()];
  let [nodeCpu, nodeMemory]: (Line | undefined)[] = [];
  for (const row of linesOf(text, nowMs)) {
    switch (row.name) {
      case 'container_cpu_usage_seconds_total':
        cpu.set(containerOf(row), row);
        break;
      case 'container_memory_working_set_bytes':
        memory.set(containerOf(row), row);
        break;
      case 'container_start_time_seconds':
        started.set(containerOf(row), row.value * 1000);
        break;
      case 'node_cpu_usage_seconds_total':
        nodeCpu = row;
        break;
      case 'node_memory_working_set_bytes':
        nodeMemory = row;
        break;
      default:
    }
  }
  if (nodeCpu === undefined || nodeMemory === undefined) throw new Error('the kubelet says nothing of its node');
  const containers = [...cpu].flatMap(([key, { labels, value, timeMs }]): ContainerSample[] => {
    const working = memory.get(key);
    if (working === undefined) return [];
    const place = { namespace: labels.get('namespace') ?? '', pod: labels.get('pod') ?? '', container: labels.get('container') ?? '' };
    return [{ ...place, timeMs, cpuNanoseconds: value * 1e9, memoryBytes: working.value, startedMs: started.get(key) ?? 0 }];
  });
  return { node: { timeMs: nodeCpu.timeMs, cpuNanoseconds: nodeCpu.value * 1e9, memoryBytes: nodeMemory.value }, containers };
}

function containerOf({ labels }: Line): string {
  return placeOf({ namespace: labels.get('namespace') ?? '', pod: labels.get('pod') ?? '', container: labels.get('container') ?? '' });
}

function* linesOf(text: string, nowMs: number): Generator<Line> {
  for (const row of text.split('\n')) {
    if (row.startsWith('#')) continue;
    const match = line.exec(row.trim());
    if (match === null) continue;
    const [, name = '', labels = '', value = '', time] = match;
    yield { name, labels: labelsOf(labels), value: Number(value), timeMs: time === undefined ? nowMs : Number(time) };
  }
}

function labelsOf(text: string): ReadonlyMap<string, string> {
  const unescaped = (value: string): string => value.replace(/\\(.)/g, (_, character: string) => (character === 'n' ? '\n' : character));
  return new Map([...text.matchAll(label)].map(([, name = '', value = '']) => [name, unescaped(value)]));
}
