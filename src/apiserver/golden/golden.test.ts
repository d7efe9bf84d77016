/**
 * Replays what a real API server (v1.20) answered, recorded in `requests.json`, and compares status, reason, causes, and every field of the objects: what
 * was defaulted then is defaulted now, and nothing else is but what `differences.ts` lists.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Fixture } from '../verbs/fixture.ts';
import { answeredByFront, differences, goneFields, newFields } from './differences.ts';

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

/** The deployment controller's. */
const revisionAnnotation = 'deployment.kubernetes.io/revision';

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
    metadata: { name: 'd', annotations: { [revisionAnnotation]: '1' } },
    spec: { replicas: 0, selector: { matchLabels: { a: 'b' } }, template },
  });
  await server.patch(`${deployments}/d/status`, { status: { observedGeneration: 1 } });
}

after(() => server.close());

test('every difference is one of a recorded case', () => {
  const cases = new Set(recorded.map((record) => record.case));
  for (const name of Object.keys(differences)) assert(cases.has(name), name);
});

for (const record of recorded) {
  if (answeredByFront.has(record.case)) continue;
  test(record.case, async () => {
    if (record.case === 'update immutable selector') await makeDeployment();
    const difference = differences[record.case];
    const today = difference?.version ? inVersion(record, difference.version) : record;
    const options = {
      ...(today.contentType !== undefined && { contentType: today.contentType }),
      ...(today.body !== undefined && { body: today.body }),
    };
    const reply = await server.request(today.method, today.path, options);
    const shown = JSON.stringify(reply.body);
    const expected = { ...today, ...difference };
    assert.equal(reply.code, expected.status, shown);
    if (expected.status >= 400) {
      assert.equal(reply.body['reason'], expected.reason, shown);
      const causes = (reply.body['details']?.causes ?? []).map((cause: { field?: string; reason?: string }) => [cause.field, cause.reason]);
      assert.deepEqual(sorted(causes), sorted([...(expected.causes ?? []), ...(difference?.moreCauses ?? [])]), shown);
    } else compareObjects(reply.body, today.answer ?? {}, difference?.moreManagers ?? []);
  });
}

/** The record as if its group had been served in another version then. */
function inVersion(record: Recorded, [from, to]: readonly [string, string]): Recorded {
  return JSON.parse(JSON.stringify(record).replaceAll(from, to)) as Recorded;
}

function sorted(causes: readonly unknown[]): string[] {
  return [...new Set(causes.map((cause) => JSON.stringify(cause)))].sort();
}

type Fields = Readonly<Record<string, unknown>>;

const isNew = new Set(newFields.map(([path]) => path));
const isGone = new Set(goneFields.map(([path]) => path));

function compareObjects(actual: Fields, expected: Fields, moreManagers: readonly string[]): void {
  const found = comparable(actual, (manager) => !moreManagers.includes(manager));
  // There is no deployment controller here.
  const wanted = comparable(expected, (manager) => manager !== 'kube-controller-manager');
  // Mostly they were not recorded.
  if (wanted.managedFields === undefined) delete found.managedFields;
  assertSame({ ...actual, metadata: found }, { ...expected, metadata: wanted }, '');
}

/** What of an object's metadata is neither volatile nor left out of the records. */
function comparable(object: Fields, counts: (manager: string) => boolean): Record<string, unknown> & { managedFields?: unknown } {
  const {
    labels,
    annotations = {},
    finalizers,
    generation,
    name,
    generateName,
    managedFields,
  } = (object['metadata'] ?? {}) as Record<string, unknown>;
  const { [revisionAnnotation]: _, ...others } = annotations as Fields;
  const managers = (managedFields as readonly { manager: string }[] | undefined)?.filter(({ manager }) => counts(manager));
  return { labels, annotations: others, finalizers, generation, name, generateName, managedFields: managers };
}

/** Nothing, in whatever way it is written: Go wrote null for times that were not set. */
function isNothing(value: unknown): boolean {
  return value === null || value === undefined;
}

function assertSame(actual: unknown, expected: unknown, path: string): void {
  // Volatile values were replaced by placeholders.
  if (typeof expected === 'string' && expected.startsWith('<')) return;
  if (isNothing(actual) && isNothing(expected)) return;
  if (isNothing(actual) && isGone.has(path)) return;
  if (isNothing(expected) && isNew.has(path)) return;
  if (Array.isArray(expected) && Array.isArray(actual)) {
    const found = withoutTokens(actual);
    const wanted = withoutTokens(expected);
    assert.equal(found.length, wanted.length, `${path}: ${JSON.stringify(actual)} is not ${JSON.stringify(expected)}`);
    for (const [index, item] of wanted.entries()) assertSame(found[index], item, `${path}[]`);
  } else if (typeof expected === 'object' && expected !== null && typeof actual === 'object' && actual !== null) {
    for (const key of new Set([...Object.keys(expected), ...Object.keys(actual)])) {
      // There is no deployment controller here.
      if (path === '.status' && key === 'conditions') continue;
      assertSame((actual as Fields)[key], (expected as Fields)[key], `${path}.${key}`);
    }
  } else if (!isTokenList(actual) || !isTokenList(expected)) assert.deepEqual(actual, expected, path);
}

/** Volumes with service account tokens were secrets then and are projected now. */
function withoutTokens(list: readonly unknown[]): unknown[] {
  return list.filter((item) => !/^(default-token|kube-api-access)-/.test((item as { name?: string } | null)?.name ?? ''));
}

function isTokenList(value: unknown): boolean {
  return isNothing(value) || (Array.isArray(value) && withoutTokens(value).length === 0);
}
