/**
 * Databases that nobody here wrote, as StatefulSets with claims behind Services: what they were told is there after their pods were deleted, and after
 * everything (control plane, node agent, container runtime and the databases themselves) was killed at one blow.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { buildMariadbImage, buildRedisImage } from './images/database-images.ts';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { cacheDirectory } from './support/stock-tools.ts';

let cluster: ClusterUnderTest;

before(async () => {
  const [started, ...archives] = await Promise.all([
    startClusterUnderTest(),
    buildMariadbImage(cacheDirectory()).then(async (mariadb) => [mariadb, await buildRedisImage(cacheDirectory())]),
  ]);
  cluster = started;
  for (const archive of archives.flat()) {
    const loaded = await cluster.k8ts(['image', 'load', archive, '--data-dir', cluster.dataDir]);
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
    name: 'redis',
    image: 'redis:7.0',
    port: 6379,
    path: '/data',
    more: { args: ['redis-server', '--protected-mode', 'no', '--appendonly', 'yes', '--appendfsync', 'always'] },
    probe: ['redis-cli', 'ping'],
  },
];

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
          metadata: { labels },
          spec: {
            securityContext: { fsGroup: 999 },
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
    // Speaks to the database as its users do: from another pod, through the Service.
    {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: `${name}-client` },
      spec: {
        terminationGracePeriodSeconds: 0,
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
const redis = (...command: string[]): Promise<string> => ask('redis', 'redis-cli', '-h', 'redis', ...command);

async function podUids(): Promise<string> {
  return cluster.kubectl(['get', 'pods', 'mariadb-0', 'redis-0', '-o', 'jsonpath={.items[*].metadata.uid}']);
}

test('databases with claims work at once, behind Services', async () => {
  const items = databases.flatMap(manifests);
  await cluster.kubectl('create -f -', { input: JSON.stringify({ apiVersion: 'v1', kind: 'List', items }) });
  await untilReady();
  await sql("CREATE TABLE notes (id INT PRIMARY KEY, text VARCHAR(100)); INSERT INTO notes VALUES (1, 'written first')");
  assert.equal(await sql('SELECT text FROM notes'), 'written first\n');
  assert.equal(await redis('SET', 'first', 'written first'), 'OK\n');
  const claims = await cluster.kubectl([
    'get',
    'pvc',
    '-o',
    'jsonpath={range .items[*]}{.metadata.name} {.spec.storageClassName} {.status.phase}{"\\n"}{end}',
  ]);
  assert.equal(claims, 'data-mariadb-0 standard Bound\ndata-redis-0 standard Bound\n');
});

test('what was written is there after the pods were deleted', async () => {
  const uids = await podUids();
  await cluster.kubectl('delete pod mariadb-0 redis-0', { timeoutMs: 60_000 });
  await untilReady();
  assert.notEqual(await podUids(), uids);
  assert.equal(await sql('SELECT text FROM notes WHERE id = 1'), 'written first\n');
  assert.equal(await redis('GET', 'first'), 'written first\n');
});

/** Every process whose cgroup or command line says that it is the cluster's: daemons, runtime, shims and what runs in containers. */
function processesOf({ dataDir }: ClusterUnderTest): number[] {
  const { id } = JSON.parse(readFileSync(join(dataDir, 'cluster.json'), 'utf8')) as { id: string };
  const read = (pid: string, file: string): string => {
    try {
      return readFileSync(join('/proc', pid, file), 'utf8');
    } catch {
      return '';
    }
  };
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((pid) => read(pid, 'cmdline').includes(dataDir) || read(pid, 'cgroup').includes(id))
    .map(Number);
}

test('what was written is there after everything was killed at once', async () => {
  await sql("INSERT INTO notes VALUES (2, 'written last')");
  assert.equal(await redis('SET', 'last', 'written last'), 'OK\n');
  const names = new Set<string>();
  for (const pid of processesOf(cluster)) {
    try {
      names.add(readFileSync(`/proc/${pid}/comm`, 'utf8').trim());
      process.kill(pid, 'SIGKILL');
    } catch {
      // Its parent took it along.
    }
  }
  for (const name of ['mariadbd', 'redis-server', 'containerd']) assert.ok(names.has(name), `${name} among ${[...names].join(', ')}`);
  await cluster.up();
  await eventually('the databases were started anew', async () => {
    const counts = await cluster.kubectl([
      'get',
      'pods',
      'mariadb-0',
      'redis-0',
      '-o',
      'jsonpath={.items[*].status.containerStatuses[0].state.running.startedAt}',
    ]);
    return counts.split(' ').length === 2 ? true : undefined;
  });
  await untilReady();
  assert.equal(await sql('SELECT text FROM notes ORDER BY id'), 'written first\nwritten last\n');
  assert.equal(await redis('MGET', 'first', 'last'), 'written first\nwritten last\n');
});
