/**
 * Replays what a real API server (v1.20) answered, recorded in `requests.json`, and compares status, reason, causes and stored objects. Where v1.36 differs
 * from v1.20 the case says so in `differences`.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Fixture } from '../verbs/fixture.ts';

interface Recorded {
  readonly case: string;
  readonly method: string;
  readonly path: string;
  readonly contentType?: string;
  readonly body?: object | string;
  readonly status: number;
  readonly reason?: string;
  readonly message?: string;
  readonly causes?: readonly (readonly [string | undefined, string | undefined])[];
  readonly answer?: Readonly<Record<string, unknown>>;
}

const recorded: readonly Recorded[] = JSON.parse(readFileSync(new URL('requests.json', import.meta.url), 'utf8'));

/** Status and reason where today's server answers otherwise. */
const differences: ReadonlyMap<string, readonly [number, string]> = new Map([
  // Dry runs allocate (and give back) since v1.22.
  ['invalid service cluster ip out of range', [422, 'Invalid']],
  ['invalid service node port out of range', [422, 'Invalid']],
  // A client's mistake was answered as the server's.
  ['request bad resource version', [400, 'BadRequest']],
]);

let server: Fixture;

before(async () => {
  server = await Fixture.open({ empty: true });
  await server.post('/api/v1/namespaces', { metadata: { name: 'golden' } });
  const base = '/api/v1/namespaces/golden';
  await server.post(`${base}/serviceaccounts`, { metadata: { name: 'default' } });
  await server.post(`${base}/configmaps`, { metadata: { name: 'cm' }, data: { a: '1' } });
  await server.post(`${base}/configmaps`, { metadata: { name: 'frozen' }, data: { a: '1' }, immutable: true });
  await server.post(`${base}/services`, { metadata: { name: 'live' }, spec: { ports: [{ port: 80 }] } });
  await server.post(`${base}/pods`, { metadata: { name: 'live' }, spec: { schedulerName: 'none', containers: [{ name: 'c', image: 'nginx' }] } });
  await server.post('/api/v1/namespaces', { metadata: { name: 'default' } });
});

/** There from the first update on, as its controller would have left it. */
async function makeDeployment(): Promise<void> {
  const deployments = '/apis/apps/v1/namespaces/golden/deployments';
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'nginx' }] } };
  await server.post(deployments, {
    metadata: { name: 'd', annotations: { 'deployment.kubernetes.io/revision': '1' } },
    spec: { replicas: 0, selector: { matchLabels: { a: 'b' } }, template },
  });
  await server.patch(`${deployments}/d/status`, { status: { observedGeneration: 1 } });
}

after(() => server.close());

for (const record of recorded) {
  test(record.case, async () => {
    if (record.case === 'update immutable selector') await makeDeployment();
    const options = {
      ...(record.contentType !== undefined && { contentType: record.contentType }),
      ...(record.body !== undefined && { body: record.body }),
    };
    const reply = await server.request(record.method, record.path, options);
    const shown = JSON.stringify(reply.body);
    const [status, reason] = differences.get(record.case) ?? [record.status, record.reason];
    assert.equal(reply.code, status, shown);
    if (differences.has(record.case)) assert.equal(reply.body['reason'], reason, shown);
    else if (record.status >= 400) {
      assert.equal(reply.body['reason'], reason, shown);
      const causes = (reply.body['details']?.causes ?? []).map((cause: { field?: string; reason?: string }) => [cause.field, cause.reason]);
      assert.deepEqual(sorted(causes), sorted(JSON.parse(JSON.stringify(record.causes))), shown);
    } else compareObjects(reply.body, record.answer ?? {});
  });
}

function sorted(causes: readonly unknown[]): string[] {
  return [...new Set(causes.map((cause) => JSON.stringify(cause)))].sort();
}

/** All that was answered then is answered now; v1.36 has fields that v1.20 had not. */
function compareObjects(actual: unknown, expected: Readonly<Record<string, unknown>>): void {
  const { metadata, ...rest } = expected;
  const { labels, annotations, finalizers, generation, name } = (metadata ?? {}) as Record<string, unknown>;
  assertWithin(actual, { ...rest, metadata: { labels, annotations, finalizers, generation, name } }, '');
}

function assertWithin(actual: unknown, expected: unknown, path: string): void {
  // Go wrote null for times that were not set; volatile values were replaced by placeholders.
  if (expected === null || expected === undefined || (typeof expected === 'string' && expected.startsWith('<'))) return;
  if (Array.isArray(expected)) {
    const found = withoutTokens(Array.isArray(actual) ? actual : []);
    const wanted = withoutTokens(expected);
    assert.equal(found.length, wanted.length, `${path}: ${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`);
    for (const [index, item] of wanted.entries()) assertWithin(found[index], item, `${path}[${index}]`);
  } else if (typeof expected === 'object') {
    for (const [key, value] of Object.entries(expected)) {
      // There is no deployment controller here.
      if ((path === '.status' && key === 'conditions') || key === 'deployment.kubernetes.io/revision') continue;
      assertWithin((actual as Record<string, unknown> | undefined)?.[key], value, `${path}.${key}`);
    }
  } else assert.equal(actual, expected, path);
}

/** Volumes with service account tokens were secrets then and are projected now. */
function withoutTokens(list: readonly unknown[]): unknown[] {
  return list.filter((item) => !/^(default-token|kube-api-access)-/.test((item as { name?: string } | null)?.name ?? ''));
}
