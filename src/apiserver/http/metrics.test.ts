import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigMap } from '../../api/kinds.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import { Metrics } from './metrics.ts';

test('requests of the same labels are counted together, also after their kind was declared anew', () => {
  const metrics = new Metrics(simulatedWorld(1));
  const labels = { verb: 'GET', kind: ConfigMap, subresource: '', scope: 'resource', dryRun: false } as const;
  metrics.observe(labels, 200, 0.001, 10);
  metrics.observe(labels, 404, 0.1, 10);
  metrics.observe({ ...labels, kind: { ...ConfigMap } }, 200, 0.001, 10);
  const shared = 'component="apiserver",dry_run="",group="",resource="configmaps",scope="resource",subresource="",verb="GET",version="v1"';
  const text = metrics.render();
  assert.ok(text.includes(`apiserver_request_total{code="200",${shared}} 2\n`), text);
  assert.ok(text.includes(`apiserver_request_total{code="404",${shared}} 1\n`), text);
  assert.match(text, /^apiserver_request_duration_seconds_count\{.*resource="configmaps".*\} 3$/m);
});
