/**
 * Databases that nobody here wrote, as StatefulSets with claims behind Services, on a cluster of two nodes: what they were told from the other node is there
 * after their pods were deleted, after their node lost its power, and after everything (control plane, nodes, container runtimes and the databases themselves)
 * was killed at one blow.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { buildMariadbImage, buildPostgresImage, buildRedisImage } from './images/database-images.ts';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { killEverything } from './support/kill-everything.ts';
import { cacheDirectory } from './support/stock-tools.ts';

let cluster: ClusterUnderTest;

before(async () => {
  const archives: string[] = [];
  for (const build of [buildMariadbImage, buildPostgresImage, buildRedisImage]) archives.push(await build(cacheDirectory()));
  cluster = await startClusterUnderTest('--nodes', '2');
  for (const archive of archives) {
    const loaded = await cluster.k8ts(['image', 'load', archive, '--data-dir', cluster.dataDir], { timeoutMs: 120_000 });
    assert.equal(loaded.code, 0, loaded.stderr);
  }
});

after(() => cluster.close());

interface Database {
  readonly name: string;
  readonly image: string;
  readonly port: number;
  readonly path: string;
  readonly more?: object;
  readonly probe: readonly string[];
}

const databases: readonly Database[] = [
  {
    name: 'mariadb',
    image: 'mariadb:10.11',
    port: 3306,
    path: '/var/lib/mysql',
    more: { env: [{ name: 'MARIADB_ROOT_PASSWORD', value: 'secret' }], securityContext: { runAsUser: 999, runAsGroup: 999 } },
    probe: ['mariadb', '-h', '127.0.0.1', '-uroot', '-psecret', '-e', 'SELECT 1'],
  },
  {
    name: 'postgres',
    image: 'postgres:15',
    port: 5432,
    path: '/var/lib/postgresql/data',
    more: {
      // The server wants its directory for itself; that of the volume is its group's, too.
      env: [
        { name: 'POSTGRES_PASSWORD', value: 'secret' },
        { name: 'PGDATA', value: '/var/lib/postgresql/data/pgdata' },
      ],
      securityContext: { runAsUser: 999, runAsGroup: 999 },
    },
    probe: ['pg_isready', '-h', '127.0.0.1'],
  },
  {
    name: 'redis',
    image: 'redis:7.0',
    port: 6379,
    path: '/data',
    more: { args: ['redis-server', '--protected-mode', 'no', '--appendonly', 'yes', '--appendfsync', 'always'] },
    probe: ['redis-cli', 'ping'],
  },
];

const tier = { labelSelector: { matchLabels: { tier: 'database' } }, topologyKey: 'kubernetes.io/hostname' };

/** The databases share a node; who asks them is on the other. */
function manifests({ name, image, port, path, more, probe }: Database): object[] {
  const labels = { app: name };
  const container = { name, image, imagePullPolicy: 'IfNotPresent', ports: [{ containerPort: port }], ...more };
  return [
    { apiVersion: 'v1', kind: 'Service', metadata: { name }, spec: { selector: labels, ports: [{ port }] } },
    {
      apiVersion: 'apps/v1',
      kind: 'StatefulSet',
      metadata: { name },
      spec: {
        serviceName: name,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels: { ...labels, tier: 'database' } },
          spec: {
            securityContext: { fsGroup: 999, fsGroupChangePolicy: 'OnRootMismatch' },
            affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [tier] } },
            terminationGracePeriodSeconds: 20,
            containers: [
              {
                ...container,
                volumeMounts: [{ name: 'data', mountPath: path }],
                readinessProbe: { exec: { command: probe }, periodSeconds: 1, timeoutSeconds: 5, failureThreshold: 60 },
              },
            ],
          },
        },
        volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }],
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `${name}-client` },
      spec: {
        terminationGracePeriodSeconds: 0,
        affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [tier] } },
        containers: [{ name: 'client', image, imagePullPolicy: 'IfNotPresent', command: ['sleep', '100000'] }],
      },
    },
  ];
}

async function untilReady(): Promise<void> {
  for (const { name } of databases) {
    await cluster.kubectl(['rollout', 'status', `statefulset/${name}`, '--timeout=60s'], { timeoutMs: 70_000 });
    await cluster.kubectl(['wait', '--for=condition=Ready', `pod/${name}-client`, '--timeout=60s'], { timeoutMs: 70_000 });
  }
}

/** In the client's pod, as soon as the Service lets it through. */
function ask(name: string, ...command: readonly string[]): Promise<string> {
  return eventually(`${name} answers ${command.join(' ')}`, async () => {
    const { code, stdout, stderr } = await cluster.tryKubectl(['exec', `${name}-client`, '--', ...command], { timeoutMs: 15_000 });
    if (code !== 0) throw new Error(stderr);
    return stdout;
  });
}

const sql = (statement: string): Promise<string> =>
  ask('mariadb', 'mariadb', '-h', 'mariadb', '-uroot', '-psecret', '-N', '-B', 'app', '-e', statement);
const postgres = (statement: string): Promise<string> =>
  ask('postgres', 'env', 'PGPASSWORD=secret', 'psql', '-h', 'postgres', '-U', 'postgres', '-q', '-t', '-A', '-c', statement);
const redis = (...command: string[]): Promise<string> => ask('redis', 'redis-cli', '-h', 'redis', ...command);

async function write(id: number, text: string): Promise<void> {
  await sql(`INSERT INTO notes VALUES (${id}, '${text}')`);
  await postgres(`INSERT INTO notes VALUES (${id}, '${text}')`);
  assert.equal(await redis('RPUSH', 'notes', text), `${id}\n`);
}

async function assertWritten(...texts: string[]): Promise<void> {
  const expected = texts.map((text) => `${text}\n`).join('');
  assert.equal(await sql('SELECT text FROM notes ORDER BY id'), expected);
  assert.equal(await postgres('SELECT text FROM notes ORDER BY id'), expected);
  assert.equal(await redis('LRANGE', 'notes', '0', '-1'), expected);
}

/** `what` of each database's pod, by JSONPath. */
async function ofPods(what: string): Promise<string[]> {
  const names = databases.map(({ name }) => `${name}-0`);
  return (await cluster.kubectl(['get', 'pods', ...names, '-o', `jsonpath={range .items[*]}{${what}} {end}`])).trim().split(' ');
}

const nodesOf = (): Promise<string[]> => ofPods('.spec.nodeName');
const containersOf = (): Promise<string[]> => ofPods('.status.containerStatuses[0].containerID');

/** Other containers than before serve, in all pods. */
async function untilStartedAnew(before: readonly string[]): Promise<void> {
  await eventually('the databases were started anew', async () => {
    const now = await containersOf();
    return now.length === before.length && now.every((container) => !before.includes(container)) ? true : undefined;
  });
  await untilReady();
}

test('databases with claims work at once, behind Services, also from another node', async () => {
  const items = databases.flatMap(manifests);
  await cluster.kubectl('create -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  await untilReady();
  assert.equal(new Set(await nodesOf()).size, 1);
  const client = await cluster.kubectl('get pod redis-client -o jsonpath={.spec.nodeName}');
  assert.ok(!(await nodesOf()).includes(client));
  const table = 'CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(100))';
  await sql(table);
  await postgres(table);
  await write(1, 'written first');
  await assertWritten('written first');
  const claims = await cluster.kubectl([
    'get',
    'pvc',
    '-o',
    'jsonpath={range .items[*]}{.metadata.name} {.spec.storageClassName} {.status.phase}{"\\n"}{end}',
  ]);
  assert.equal(claims, databases.map(({ name }) => `data-${name}-0 standard Bound\n`).join(''));
});

test('what was written is there after the pods were deleted', async () => {
  const [nodes, uids] = [await nodesOf(), await ofPods('.metadata.uid')];
  await cluster.kubectl(['delete', 'pod', ...databases.map(({ name }) => `${name}-0`)], { timeoutMs: 60_000 });
  await untilReady();
  assert.notDeepEqual(await ofPods('.metadata.uid'), uids);
  assert.deepEqual(await nodesOf(), nodes);
  await assertWritten('written first');
});

test('what was written is there when a node has come back that had lost its power', async () => {
  await write(2, 'written before the power cut');
  const [containers, nodes] = [await containersOf(), await nodesOf()];
  const [node = ''] = nodes;
  const killed = await cluster.k8ts(['node', 'kill', node, '--data-dir', cluster.dataDir]);
  assert.equal(killed.code, 0, killed.stderr);
  // A pod that is made anew meanwhile cannot run elsewhere: its volume is there.
  await cluster.kubectl('delete pod redis-0 --force --grace-period=0');
  await eventually('there is another', async () => ((await cluster.tryKubectl('get pod redis-0')).code === 0 ? true : undefined));
  const elsewhere = await cluster.kubectl([
    'get',
    'pods',
    '-l',
    'tier=database',
    '-o',
    `jsonpath={.items[?(@.spec.nodeName!="${node}")].spec.nodeName}`,
  ]);
  assert.equal(elsewhere, '');
  const started = await cluster.k8ts(['node', 'start', node, '--data-dir', cluster.dataDir], { timeoutMs: 90_000 });
  assert.equal(started.code, 0, started.stderr);
  await untilStartedAnew(containers);
  assert.deepEqual(await nodesOf(), nodes);
  await assertWritten('written first', 'written before the power cut');
});

test('what was written is there after everything was killed at once', async () => {
  await write(3, 'written last');
  const containers = await containersOf();
  const names = killEverything(cluster);
  for (const name of ['mariadbd', 'postgres', 'redis-server', 'containerd']) assert.ok(names.has(name), `${name} among ${[...names].join(', ')}`);
  await cluster.up();
  await untilStartedAnew(containers);
  await assertWritten('written first', 'written before the power cut', 'written last');
});
