/** The official JavaScript client, as operators and scripts use it: typed calls, errors, watch, informer, server-side apply, exec, attach of logs. */
import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { PassThrough, Readable } from 'node:stream';
import { text as streamText } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import {
  ApiException,
  AppsV1Api,
  CoreV1Api,
  Exec,
  KubeConfig,
  KubernetesObjectApi,
  Log,
  makeInformer,
  PatchStrategy,
  PortForward,
  setHeaderOptions,
  type V1ConfigMap,
  type V1Deployment,
  type V1Pod,
  type V1Status,
  VersionApi,
  Watch,
} from '@kubernetes/client-node';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';

const namespace = 'default';
const isRoot = process.getuid?.() === 0;
let cluster: ClusterUnderTest;
let config: KubeConfig;
let core: CoreV1Api;
let apps: AppsV1Api;

before(async () => {
  cluster = await startClusterUnderTest();
  config = new KubeConfig();
  config.loadFromFile(cluster.kubeconfig);
  core = config.makeApiClient(CoreV1Api);
  apps = config.makeApiClient(AppsV1Api);
});

after(() => cluster.close());

async function failure(promise: Promise<unknown>): Promise<{ code: number; status: V1Status }> {
  const error: unknown = await promise.then(
    () => assert.fail('it succeeded'),
    (reason: unknown) => reason,
  );
  assert(error instanceof ApiException, String(error));
  return { code: error.code, status: JSON.parse(String(error.body)) as V1Status };
}

const labelled = (name: string, data: Record<string, string>): V1ConfigMap => ({ metadata: { name, labels: { suite: 'client-node' } }, data });

describe('typed calls', () => {
  test('the version is one it knows', async () => {
    const version = await config.makeApiClient(VersionApi).getCode();
    assert.deepEqual([version.major, version.minor], ['1', '36']);
  });

  test('create, read, list, replace, patch and delete', async () => {
    const created = await core.createNamespacedConfigMap({ namespace, body: labelled('typed', { a: '1' }) });
    assert(created.metadata?.creationTimestamp instanceof Date);
    assert.match(created.metadata.uid ?? '', /^[0-9a-f-]{36}$/);
    const read = await core.readNamespacedConfigMap({ name: 'typed', namespace });
    assert.deepEqual(read, created);
    const list = await core.listNamespacedConfigMap({ namespace, labelSelector: 'suite=client-node' });
    assert.deepEqual(
      list.items.map(({ data }) => data),
      [{ a: '1' }],
    );
    read.data = { a: '2' };
    const replaced = await core.replaceNamespacedConfigMap({ name: 'typed', namespace, body: read });
    assert.deepEqual(replaced.data, { a: '2' });
    const patches = [
      { type: PatchStrategy.MergePatch, body: { data: { b: '3' } } },
      { type: PatchStrategy.StrategicMergePatch, body: { metadata: { labels: { more: 'yes' } } } },
      { type: PatchStrategy.JsonPatch, body: [{ op: 'remove', path: '/data/a' }] },
    ];
    for (const { type, body } of patches)
      await core.patchNamespacedConfigMap({ name: 'typed', namespace, body }, setHeaderOptions('Content-Type', type));
    const patched = await core.readNamespacedConfigMap({ name: 'typed', namespace });
    assert.deepEqual(patched.data, { b: '3' });
    assert.deepEqual(patched.metadata?.labels, { suite: 'client-node', more: 'yes' });
    const deleted = await core.deleteNamespacedConfigMap({ name: 'typed', namespace });
    assert.equal(deleted.status, 'Success');
  });

  test('lists in pages', async () => {
    for (let i = 0; i < 5; i++)
      await core.createNamespacedSecret({ namespace, body: { metadata: { name: `page-${i}` }, stringData: { n: String(i) } } });
    const names: string[] = [];
    let token: string | undefined;
    do {
      const page = await core.listNamespacedSecret({ namespace, limit: 2, ...(token !== undefined && { _continue: token }) });
      assert(page.items.length <= 2);
      names.push(...page.items.map(({ metadata }) => metadata?.name ?? ''));
      token = page.metadata?._continue;
    } while (token !== undefined && token !== '');
    assert.deepEqual(names, ['page-0', 'page-1', 'page-2', 'page-3', 'page-4']);
    await core.deleteCollectionNamespacedSecret({ namespace });
    assert.deepEqual((await core.listNamespacedSecret({ namespace })).items, []);
  });

  test('a deployment is scaled by its scale', async () => {
    const labels = { app: 'scaled' };
    const body: V1Deployment = {
      metadata: { name: 'scaled' },
      spec: { replicas: 0, selector: { matchLabels: labels }, template: { metadata: { labels }, spec: { containers: [{ name: 'a', image: 'b' }] } } },
    };
    await apps.createNamespacedDeployment({ namespace, body });
    const scale = await apps.readNamespacedDeploymentScale({ name: 'scaled', namespace });
    assert.equal(scale.spec?.replicas ?? 0, 0);
    await apps.replaceNamespacedDeploymentScale({ name: 'scaled', namespace, body: { metadata: { name: 'scaled' }, spec: { replicas: 1 } } });
    await eventually('a pod comes', async () => {
      const { items } = await core.listNamespacedPod({ namespace, labelSelector: 'app=scaled' });
      return items.length === 1 ? true : undefined;
    });
    await apps.deleteNamespacedDeployment({ name: 'scaled', namespace, propagationPolicy: 'Foreground' });
    await eventually('all of it goes', async () => {
      const pods = await core.listNamespacedPod({ namespace, labelSelector: 'app=scaled' });
      const deployments = await apps.listNamespacedDeployment({ namespace });
      return pods.items.length + deployments.items.length === 0 ? true : undefined;
    });
  });

  test('errors carry code and Status', async () => {
    const missing = await failure(core.readNamespacedPod({ name: 'nope', namespace }));
    assert.equal(missing.code, 404);
    assert.equal(missing.status.message, 'pods "nope" not found');
    const invalid = await failure(core.createNamespacedConfigMap({ namespace, body: { metadata: { name: 'No_Name' } } }));
    assert.equal(invalid.code, 422);
    assert.equal(invalid.status.details?.causes?.[0]?.field, 'metadata.name');
    const first = await core.createNamespacedConfigMap({ namespace, body: labelled('conflict', {}) });
    first.data = { a: '1' };
    await core.replaceNamespacedConfigMap({ name: 'conflict', namespace, body: first });
    const stale = await failure(core.replaceNamespacedConfigMap({ name: 'conflict', namespace, body: first }));
    assert.deepEqual([stale.code, stale.status.reason], [409, 'Conflict']);
    assert.equal((await failure(core.createNamespacedConfigMap({ namespace, body: labelled('conflict', {}) }))).status.reason, 'AlreadyExists');
    await core.deleteNamespacedConfigMap({ name: 'conflict', namespace });
  });
});

describe('following', () => {
  test('a watch tells each change in order', async () => {
    const list = await core.listNamespacedConfigMap({ namespace });
    const seen: string[] = [];
    let [done, ended]: [() => void, () => void] = [() => undefined, () => undefined];
    const enough = new Promise<void>((resolve) => (done = resolve));
    const closed = new Promise<void>((resolve) => (ended = resolve));
    const query = { resourceVersion: list.metadata?.resourceVersion, labelSelector: 'suite=client-node', allowWatchBookmarks: true };
    const aborter = await new Watch(config).watch(
      `/api/v1/namespaces/${namespace}/configmaps`,
      query,
      (phase, object: V1ConfigMap) => {
        if (phase === 'BOOKMARK') return;
        seen.push(`${phase} ${object.data?.['a'] ?? ''}`);
        if (phase === 'DELETED') done();
      },
      () => ended(),
    );
    await core.createNamespacedConfigMap({ namespace, body: labelled('watched', { a: '1' }) });
    await core.patchNamespacedConfigMap(
      { name: 'watched', namespace, body: { data: { a: '2' } } },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    );
    await core.deleteNamespacedConfigMap({ name: 'watched', namespace });
    await enough;
    aborter.abort();
    await closed;
    assert.deepEqual(seen, ['ADDED 1', 'MODIFIED 2', 'DELETED 2']);
  });

  test('a watch from a version that is not there yet is told so', async () => {
    const ended = new Promise<unknown>((resolve) => {
      void new Watch(config).watch(
        `/api/v1/namespaces/${namespace}/configmaps`,
        { resourceVersion: '999999999', timeoutSeconds: 1 },
        () => undefined,
        resolve,
      );
    });
    assert.match(String(await ended), /Too large resource version|Timeout/);
  });

  test('an informer lists, follows, and keeps what is there', async () => {
    await core.createNamespacedConfigMap({ namespace, body: labelled('first', { a: '1' }) });
    const selector = 'suite=client-node';
    const informer = makeInformer<V1ConfigMap>(
      config,
      `/api/v1/namespaces/${namespace}/configmaps`,
      () => core.listNamespacedConfigMap({ namespace, labelSelector: selector }),
      selector,
    );
    const seen: string[] = [];
    const note =
      (what: string) =>
      (object: V1ConfigMap): void => {
        seen.push(`${what} ${object.metadata?.name ?? ''}`);
      };
    for (const what of ['add', 'update', 'delete'] as const) informer.on(what, note(what));
    const heard = (event: string): Promise<true> => eventually(event, async () => (seen.includes(event) ? true : undefined));
    await informer.start();
    try {
      await heard('add first');
      await core.createNamespacedConfigMap({ namespace, body: labelled('second', { a: '1' }) });
      await heard('add second');
      const labels = { metadata: { labels: { suite: 'other' } } };
      await core.patchNamespacedConfigMap(
        { name: 'second', namespace, body: { data: { a: '2' } } },
        setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
      );
      await heard('update second');
      assert.equal(informer.get('second', namespace)?.data?.['a'], '2');
      // What no longer fits the selector is gone to who follows it.
      await core.patchNamespacedConfigMap({ name: 'second', namespace, body: labels }, setHeaderOptions('Content-Type', PatchStrategy.MergePatch));
      await heard('delete second');
      await core.deleteNamespacedConfigMap({ name: 'first', namespace });
      await heard('delete first');
      assert.deepEqual(informer.list(namespace), []);
    } finally {
      await informer.stop();
    }
    assert.deepEqual(seen, ['add first', 'add second', 'update second', 'delete second', 'delete first']);
  });
});

describe('objects of any kind', () => {
  const spec = (data: Record<string, string>): V1ConfigMap => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'applied', namespace },
    data,
  });
  const apply = (objects: KubernetesObjectApi, body: V1ConfigMap, manager: string, force = false): Promise<V1ConfigMap> =>
    objects.patch(body, undefined, undefined, manager, force, PatchStrategy.ServerSideApply);

  test('server-side apply creates, changes, refuses and is forced', async () => {
    const objects = KubernetesObjectApi.makeApiClient(config);
    await apply(objects, spec({ value: '1', own: 'yes' }), 'one');
    assert.deepEqual((await core.readNamespacedConfigMap({ name: 'applied', namespace })).data, { value: '1', own: 'yes' });
    const refused = await failure(apply(objects, spec({ value: '2' }), 'two'));
    assert.equal(refused.code, 409);
    assert.match(refused.status.message ?? '', /conflict with "one".*\.data\.value/);
    assert.deepEqual((await apply(objects, spec({ value: '2' }), 'two', true)).data, { value: '2', own: 'yes' });
    // What its manager no longer applies goes away, unless others have it.
    const final = await apply(objects, spec({}), 'one');
    assert.deepEqual(final.data, { value: '2' });
    const managers = final.metadata?.managedFields?.map(({ manager, operation }) => `${manager} ${operation}`);
    assert(managers?.includes('two Apply'), String(managers));
  });

  test('create, read, list and delete', async () => {
    const objects = KubernetesObjectApi.makeApiClient(config);
    const header = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'by-kind' } };
    await objects.create(header);
    assert.equal((await objects.read(header)).metadata?.name, 'by-kind');
    const list = await objects.list<V1ConfigMap>('v1', 'ConfigMap', namespace);
    assert(list.items.some(({ metadata }) => metadata?.name === 'applied'));
    await objects.delete(header);
    await eventually('the namespace is gone', async () => {
      const { items } = await core.listNamespace();
      return items.every(({ metadata }) => metadata?.name !== 'by-kind') ? true : undefined;
    });
  });
});

describe('in a container', { skip: isRoot ? false : 'needs real containers' }, () => {
  const image = 'k8ts.local/hello:1';
  const running = async (name: string): Promise<true | undefined> => {
    const { status } = await core.readNamespacedPodStatus({ name, namespace });
    return status?.phase === 'Running' || status?.phase === 'Succeeded' ? true : undefined;
  };
  before(async () => {
    const box: V1Pod = { metadata: { name: 'box' }, spec: { containers: [{ name: 'box', image }] } };
    const command = [
      'node',
      '-e',
      "let i = 0; const timer = setInterval(() => { console.log('line', ++i); if (i === 3) clearInterval(timer); }, 300)",
    ];
    const counter: V1Pod = { metadata: { name: 'counter' }, spec: { restartPolicy: 'Never', containers: [{ name: 'counter', image, command }] } };
    await Promise.all([box, counter].map((body) => core.createNamespacedPod({ namespace, body })));
    for (const name of ['box', 'counter']) await eventually(`${name} runs`, () => running(name));
  });

  interface Ran {
    readonly stdout: string;
    readonly stderr: string;
    readonly status: V1Status;
  }

  /** One program in the pod, by `exec` over WebSocket. */
  async function exec(command: string[], input: Readable | null = null): Promise<Ran> {
    const [out, errors] = [new PassThrough(), new PassThrough()];
    const text = { stdout: '', stderr: '' };
    out.setEncoding('utf8').on('data', (chunk: string) => (text.stdout += chunk));
    errors.setEncoding('utf8').on('data', (chunk: string) => (text.stderr += chunk));
    let closed: Promise<unknown> = Promise.resolve();
    const status = await new Promise<V1Status>((resolve, reject) => {
      new Exec(config).exec(namespace, 'box', 'box', command, out, errors, input, false, resolve).then((socket) => {
        closed = new Promise((ended) => socket.addEventListener('close', ended));
      }, reject);
    });
    await closed;
    return { ...text, status };
  }

  test('exec: output, errors, exit code', async () => {
    const fine = await exec(['node', '-e', "console.log('out'); console.error('err')"]);
    assert.deepEqual({ ...fine, status: fine.status.status }, { stdout: 'out\n', stderr: 'err\n', status: 'Success' });
    const failed = await exec(['node', '-e', 'process.exit(7)']);
    assert.equal(failed.status.status, 'Failure');
    assert.equal(failed.status.reason, 'NonZeroExitCode');
    assert.deepEqual(
      failed.status.details?.causes?.map(({ reason, message }) => [reason, message]),
      [['ExitCode', '7']],
    );
  });

  test('exec: input and its end', async () => {
    const text = 'through and through\n'.repeat(5_000);
    const ran = await exec(['node', '-e', 'process.stdin.pipe(process.stdout)'], Readable.from([text]));
    assert.equal(ran.stdout, text);
  });

  test('port-forward: what a client says to a local port reaches the container', async () => {
    const forward = new PortForward(config);
    const server = createServer((socket) => {
      forward
        .portForward(namespace, 'box', [8080], socket, null, socket)
        .catch((error: unknown) => socket.destroy(error instanceof Error ? error : undefined));
    });
    await new Promise<void>((listening) => {
      server.listen(0, '127.0.0.1', listening);
    });
    try {
      const { port } = server.address() as AddressInfo;
      const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { headers: { connection: 'close' } });
      assert.equal(answer.status, 200);
      await answer.text();
    } finally {
      await new Promise((closed) => server.close(closed));
    }
  });

  test('logs: followed to the end of the container, whole, and the last lines', async () => {
    const read = async (options: { tailLines?: number; follow?: boolean }): Promise<string> => {
      const stream = new PassThrough();
      const text = streamText(stream);
      await new Log(config).log(namespace, 'counter', 'counter', stream, options);
      return text;
    };
    assert.equal(await read({ follow: true }), 'line 1\nline 2\nline 3\n');
    assert.equal(await read({}), 'line 1\nline 2\nline 3\n');
    assert.equal(await read({ tailLines: 1 }), 'line 3\n');
    assert.equal(await core.readNamespacedPodLog({ name: 'counter', namespace, tailLines: 2 }), 'line 2\nline 3\n');
  });
});
