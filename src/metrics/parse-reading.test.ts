import assert from 'node:assert/strict';
import { it } from 'node:test';
import { parseReading } from './parse-reading.ts';

const page = `# HELP container_cpu_usage_seconds_total What.
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="c",namespace="default",pod="we\\"b"} 1.5 2000
container_cpu_usage_seconds_total{container="half",namespace="default",pod="web"} 1.5 2000
container_memory_working_set_bytes{container="c",namespace="default",pod="we\\"b"} 4096 2000
container_start_time_seconds{container="c",namespace="default",pod="we\\"b"} 1.25
node_cpu_usage_seconds_total 12 3000
node_memory_working_set_bytes 8192 3000
something_else{a="b"} NaN
`;

it('a page of a kubelet becomes a reading', () => {
  assert.deepEqual(parseReading(page, 9000), {
    node: { timeMs: 3000, cpuNanoseconds: 12e9, memoryBytes: 8192 },
    // What has no memory told has not been read whole.
    containers: [{ namespace: 'default', pod: 'we"b', container: 'c', timeMs: 2000, cpuNanoseconds: 1.5e9, memoryBytes: 4096, startedMs: 1250 }],
  });
});

it('figures without a time are of now', () => {
  assert.equal(parseReading('node_cpu_usage_seconds_total 1\nnode_memory_working_set_bytes 1', 9000).node.timeMs, 9000);
});

it('a page of something else is refused', () => {
  for (const text of ['', '<html>', 'node_cpu_usage_seconds_total 1']) assert.throws(() => parseReading(text, 0), /says nothing of its node/);
});
