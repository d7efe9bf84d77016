/**
 * The conformance behaviours of sig-storage that need running containers, each named as in the catalogue: what a process finds in its volumes, and how that
 * follows changes. All on one cluster, many pods at once; the processes are BusyBox's.
 */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { buildBusyboxImage } from '../images/debian-image.ts';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from '../support/cluster-under-test.ts';
import { cacheDirectory } from '../support/stock-tools.ts';

let cluster: ClusterUnderTest;

before(async () => {
  cluster = await startClusterUnderTest();
  const loaded = await cluster.k8ts(['image', 'load', await buildBusyboxImage(cacheDirectory()), '--data-dir', cluster.dataDir]);
  assert.equal(loaded.code, 0, loaded.stderr);
});

after(() => cluster.close());

let made = 0;
const newName = (what: string): string => `${what}-${++made}`;

interface PodPlan {
  /** A shell line; the pod is done when it ends. */
  readonly run: string;
  readonly volumes: readonly object[];
  readonly mounts: readonly object[];
  readonly security?: object;
  readonly resources?: object;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

async function create(kind: 'ConfigMap' | 'Secret' | 'Pod' | 'Namespace', name: string, body: object, namespace = 'default'): Promise<void> {
  const object = {
    apiVersion: 'v1',
    kind,
    ...body,
    metadata: { name, ...('metadata' in body && typeof body.metadata === 'object' ? body.metadata : {}) },
  };
  await cluster.kubectl(['create', '-n', namespace, '-f', '-'], { input: JSON.stringify(object) });
}

async function createPod({ run, volumes, mounts, security, resources, labels, annotations }: PodPlan): Promise<string> {
  const name = newName('pod');
  const container = { name: 'main', image: 'busybox', imagePullPolicy: 'IfNotPresent', command: ['sh', '-c', run], volumeMounts: mounts };
  await create('Pod', name, {
    metadata: { labels, annotations },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 0,
      volumes,
      ...(security && { securityContext: security }),
      containers: [{ ...container, ...(resources && { resources }) }],
    },
  });
  return name;
}

/** What the pod's process prints until it ends, which it must do well. */
async function output(plan: PodPlan): Promise<string> {
  const name = await createPod(plan);
  await cluster.kubectl(['wait', '--for=jsonpath={.status.phase}=Succeeded', `pod/${name}`, '--timeout=60s'], { timeoutMs: 70_000 });
  return cluster.kubectl(['logs', name]);
}

const untilReady = (pod: string): Promise<string> =>
  cluster.kubectl(['wait', '--for=condition=Ready', `pod/${pod}`, '--timeout=60s'], { timeoutMs: 70_000 });

/** Waits until the file says so, read in the pod. */
async function untilReads(pod: string, path: string, wanted: string | RegExp): Promise<void> {
  await eventually(`${path} in ${pod} is ${wanted}`, async () => {
    const { stdout, code } = await cluster.tryKubectl(['exec', pod, '--', 'cat', path]);
    return code === 0 && (typeof wanted === 'string' ? stdout === wanted : wanted.test(stdout)) ? true : undefined;
  });
}

async function untilAbsent(pod: string, path: string): Promise<void> {
  await eventually(`${path} in ${pod} is gone`, async () => {
    const { code } = await cluster.tryKubectl(['exec', pod, '--', 'test', '!', '-e', path]);
    return code === 0 ? true : undefined;
  });
}

const data = { 'data-1': 'value-1', 'data-2': 'value-2' };
const mountPath = '/etc/volume';
const mounts = [{ name: 'v', mountPath, readOnly: true }];
const mapped = [{ key: 'data-2', path: 'path/to/data-2' }];
const user = { runAsUser: 1000 };
/** Mode and group of the file itself, not of the links that lead to it. */
const facts = (path: string): string => `stat -Lc '%a %g' ${path} && cat ${path}`;

async function configMap(content: object = { data }): Promise<string> {
  const name = newName('configmap');
  await create('ConfigMap', name, content);
  return name;
}

async function secret(): Promise<string> {
  const name = newName('secret');
  await create('Secret', name, { stringData: data });
  return name;
}

const fromConfigMap = async (more: object = {}): Promise<object> => ({ name: 'v', configMap: { name: await configMap(), ...more } });
const fromSecret = async (more: object = {}): Promise<object> => ({ name: 'v', secret: { secretName: await secret(), ...more } });
const projected = (sources: readonly object[], more: object = {}): object => ({ name: 'v', projected: { sources, ...more } });
const projectedConfigMap = async (more: object = {}): Promise<object> => projected([{ configMap: { name: await configMap(), ...more } }]);
const projectedSecret = async (more: object = {}, all: object = {}): Promise<object> =>
  projected([{ secret: { name: await secret(), ...more } }], all);

describe('files in volumes', { concurrency: 6 }, () => {
  const reads = (name: string, volume: () => Promise<object>, run: string, wanted: string, security?: object): void => {
    test(name, async () => {
      assert.equal(await output({ run, volumes: [await volume()], mounts, ...(security && { security }) }), wanted);
    });
  };
  const one = `cat ${mountPath}/data-1`;
  const two = `cat ${mountPath}/path/to/data-2`;

  reads('[sig-storage] ConfigMap should be consumable from pods in volume [NodeConformance] [Conformance]', fromConfigMap, one, 'value-1');
  reads(
    '[sig-storage] ConfigMap should be consumable from pods in volume as non-root [NodeConformance] [Conformance]',
    fromConfigMap,
    `id -u; ${one}`,
    '1000\nvalue-1',
    user,
  );
  reads(
    '[sig-storage] ConfigMap should be consumable from pods in volume with mappings [NodeConformance] [Conformance]',
    () => fromConfigMap({ items: mapped }),
    `ls ${mountPath}; ${two}`,
    'path\nvalue-2',
  );
  reads(
    '[sig-storage] ConfigMap should be consumable from pods in volume with mappings as non-root [NodeConformance] [Conformance]',
    () => fromConfigMap({ items: mapped }),
    `id -u; ${two}`,
    '1000\nvalue-2',
    user,
  );
  reads(
    '[sig-storage] Projected configMap should be consumable from pods in volume [NodeConformance] [Conformance]',
    projectedConfigMap,
    one,
    'value-1',
  );
  reads(
    '[sig-storage] Projected configMap should be consumable from pods in volume as non-root [NodeConformance] [Conformance]',
    projectedConfigMap,
    `id -u; ${one}`,
    '1000\nvalue-1',
    user,
  );
  reads(
    '[sig-storage] Projected configMap should be consumable from pods in volume with mappings and Item mode set [LinuxOnly] [NodeConformance] [Conformance]',
    () => projectedConfigMap({ items: [{ key: 'data-2', path: 'path/to/data-2', mode: 0o400 }] }),
    facts(`${mountPath}/path/to/data-2`),
    '400 0\nvalue-2',
  );
  reads(
    '[sig-storage] Projected configMap should be consumable from pods in volume with mappings as non-root [NodeConformance] [Conformance]',
    () => projectedConfigMap({ items: mapped }),
    `id -u; ${two}`,
    '1000\nvalue-2',
    user,
  );
  reads('[sig-storage] Projected secret should be consumable from pods in volume [NodeConformance] [Conformance]', projectedSecret, one, 'value-1');
  reads(
    '[sig-storage] Projected secret should be consumable from pods in volume as non-root with defaultMode and fsGroup set [LinuxOnly] [NodeConformance] [Conformance]',
    () => projectedSecret({}, { defaultMode: 0o440 }),
    `id -u; ${facts(`${mountPath}/data-1`)}`,
    '1000\n440 1001\nvalue-1',
    { ...user, fsGroup: 1001 },
  );
  reads(
    '[sig-storage] Projected secret should be consumable from pods in volume with mappings [NodeConformance] [Conformance]',
    () => projectedSecret({ items: mapped }),
    two,
    'value-2',
  );
  reads('[sig-storage] Secrets should be consumable from pods in volume [NodeConformance] [Conformance]', fromSecret, one, 'value-1');
  reads(
    '[sig-storage] Secrets should be consumable from pods in volume as non-root with defaultMode and fsGroup set [LinuxOnly] [NodeConformance] [Conformance]',
    () => fromSecret({ defaultMode: 0o440 }),
    `id -u; ${facts(`${mountPath}/data-1`)}`,
    '1000\n440 1001\nvalue-1',
    { ...user, fsGroup: 1001 },
  );
  reads(
    '[sig-storage] Secrets should be consumable from pods in volume with defaultMode set [LinuxOnly] [NodeConformance] [Conformance]',
    () => fromSecret({ defaultMode: 0o400 }),
    facts(`${mountPath}/data-1`),
    '400 0\nvalue-1',
  );
  reads(
    '[sig-storage] Secrets should be consumable from pods in volume with mappings and Item Mode set [LinuxOnly] [NodeConformance] [Conformance]',
    () => fromSecret({ items: [{ key: 'data-1', path: 'new-path-data-1', mode: 0o400 }] }),
    facts(`${mountPath}/new-path-data-1`),
    '400 0\nvalue-1',
  );

  test('[sig-storage] ConfigMap binary data should be reflected in volume [NodeConformance] [Conformance]', async () => {
    const name = await configMap({
      data: { 'data-1': 'value-1' },
      binaryData: { 'dump.bin': Buffer.from([0xde, 0xca, 0xfe, 0xba, 0xd0, 0xfe, 0xff]).toString('base64') },
    });
    const printed = await output({ run: `${one}; echo; hexdump -C ${mountPath}/dump.bin`, volumes: [{ name: 'v', configMap: { name } }], mounts });
    assert.match(printed, /^value-1\n0+ +de ca fe ba d0 fe ff /);
  });

  const twice = (name: string, source: () => Promise<(volume: string) => object>): void => {
    test(name, async () => {
      const volume = await source();
      const printed = await output({
        run: 'cat /a/data-1 /b/data-1',
        volumes: [volume('a'), volume('b')],
        mounts: ['a', 'b'].map((each) => ({ name: each, mountPath: `/${each}`, readOnly: true })),
      });
      assert.equal(printed, 'value-1value-1');
    });
  };
  twice('[sig-storage] Projected configMap should be consumable in multiple volumes in the same pod [NodeConformance] [Conformance]', async () => {
    const name = await configMap();
    return (volume) => ({ ...projected([{ configMap: { name } }]), name: volume });
  });
  twice('[sig-storage] Projected secret should be consumable in multiple volumes in a pod [NodeConformance] [Conformance]', async () => {
    const name = await secret();
    return (volume) => ({ ...projected([{ secret: { name } }]), name: volume });
  });
  twice('[sig-storage] Secrets should be consumable in multiple volumes in a pod [NodeConformance] [Conformance]', async () => {
    const secretName = await secret();
    return (volume) => ({ name: volume, secret: { secretName } });
  });

  test('[sig-storage] Secrets should be able to mount in a volume regardless of a different secret existing with same name in different namespace [NodeConformance] [Conformance]', async () => {
    const other = newName('elsewhere');
    await create('Namespace', other, {});
    const secretName = await secret();
    await create('Secret', secretName, { stringData: { 'data-1': 'another' } }, other);
    assert.equal(await output({ run: one, volumes: [{ name: 'v', secret: { secretName } }], mounts }), 'value-1');
  });

  test('[sig-storage] Projected combined should project all components that make up the projection API [Projection][NodeConformance] [Conformance]', async () => {
    const volume = projected([
      { downwardAPI: { items: [{ path: 'podname', fieldRef: { fieldPath: 'metadata.name' } }] } },
      { secret: { name: await secret(), items: [{ key: 'data-1', path: 'secret-data' }] } },
      { configMap: { name: await configMap(), items: [{ key: 'data-2', path: 'configmap-data' }] } },
    ]);
    const printed = await output({ run: `cd ${mountPath}; ls; cat podname; echo; cat secret-data configmap-data`, volumes: [volume], mounts });
    assert.match(printed, /^configmap-data\npodname\nsecret-data\npod-\d+\nvalue-1value-2$/);
  });
});

describe('the downward API in files', { concurrency: 6 }, () => {
  const resources = { limits: { cpu: '1250m', memory: '64Mi' }, requests: { cpu: '250m', memory: '32Mi' } };
  const resource = (name: string): object => ({ path: 'value', resourceFieldRef: { containerName: 'main', resource: name } });
  const podName = { path: 'value', fieldRef: { fieldPath: 'metadata.name' } };
  const plain = (...items: readonly object[]): object => ({ name: 'v', downwardAPI: { items } });
  const inProjection = (...items: readonly object[]): object => projected([{ downwardAPI: { items } }]);
  const printed = (volume: object, own?: object): Promise<string> =>
    output({ run: `cat ${mountPath}/value`, volumes: [volume], mounts, ...(own && { resources: own }) });
  const shows = (name: string, volume: object, wanted: string): void => {
    test(name, async () => assert.equal(await printed(volume, resources), wanted));
  };
  const allocatable = (what: string): Promise<string> => cluster.kubectl(['get', 'nodes', '-o', `jsonpath={.items[0].status.allocatable.${what}}`]);
  const memoryBytes = async (): Promise<string> => {
    const text = await allocatable('memory');
    assert.match(text, /^\d+Ki$/);
    return String(Number.parseInt(text, 10) * 1024);
  };

  shows("[sig-storage] Downward API volume should provide container's cpu limit [NodeConformance] [Conformance]", plain(resource('limits.cpu')), '2');
  shows(
    "[sig-storage] Downward API volume should provide container's cpu request [NodeConformance] [Conformance]",
    plain(resource('requests.cpu')),
    '1',
  );
  shows(
    "[sig-storage] Downward API volume should provide container's memory limit [NodeConformance] [Conformance]",
    plain(resource('limits.memory')),
    '67108864',
  );
  shows(
    "[sig-storage] Downward API volume should provide container's memory request [NodeConformance] [Conformance]",
    plain(resource('requests.memory')),
    '33554432',
  );
  shows(
    "[sig-storage] Projected downwardAPI should provide container's cpu limit [NodeConformance] [Conformance]",
    inProjection(resource('limits.cpu')),
    '2',
  );
  shows(
    "[sig-storage] Projected downwardAPI should provide container's cpu request [NodeConformance] [Conformance]",
    inProjection(resource('requests.cpu')),
    '1',
  );
  shows(
    "[sig-storage] Projected downwardAPI should provide container's memory limit [NodeConformance] [Conformance]",
    inProjection(resource('limits.memory')),
    '67108864',
  );
  shows(
    "[sig-storage] Projected downwardAPI should provide container's memory request [NodeConformance] [Conformance]",
    inProjection(resource('requests.memory')),
    '33554432',
  );

  test('[sig-storage] Downward API volume should provide node allocatable (cpu) as default cpu limit if the limit is not set [NodeConformance] [Conformance]', async () =>
    assert.equal(await printed(plain(resource('limits.cpu'))), await allocatable('cpu')));
  test('[sig-storage] Downward API volume should provide node allocatable (memory) as default memory limit if the limit is not set [NodeConformance] [Conformance]', async () =>
    assert.equal(await printed(plain(resource('limits.memory'))), await memoryBytes()));
  test('[sig-storage] Projected downwardAPI should provide node allocatable (cpu) as default cpu limit if the limit is not set [NodeConformance] [Conformance]', async () =>
    assert.equal(await printed(inProjection(resource('limits.cpu'))), await allocatable('cpu')));
  test('[sig-storage] Projected downwardAPI should provide node allocatable (memory) as default memory limit if the limit is not set [NodeConformance] [Conformance]', async () =>
    assert.equal(await printed(inProjection(resource('limits.memory'))), await memoryBytes()));

  const named = async (volume: object): Promise<void> => {
    const [hostname, written] = (await output({ run: `hostname; cat ${mountPath}/value`, volumes: [volume], mounts })).split('\n');
    assert.match(hostname ?? '', /^pod-\d+$/);
    assert.equal(written, hostname);
  };
  test('[sig-storage] Downward API volume should provide podname only [NodeConformance] [Conformance]', () => named(plain(podName)));
  test('[sig-storage] Projected downwardAPI should provide podname only [NodeConformance] [Conformance]', () => named(inProjection(podName)));

  test('[sig-storage] Downward API volume should set mode on item file [LinuxOnly] [NodeConformance] [Conformance]', async () => {
    const volume = plain({ ...podName, mode: 0o400 });
    assert.equal(await output({ run: `stat -Lc %a ${mountPath}/value`, volumes: [volume], mounts }), '400\n');
  });

  const follows = (name: string, what: 'labels' | 'annotations', volume: object): void => {
    test(name, async () => {
      const pod = await createPod({ run: 'sleep 1000', volumes: [volume], mounts, [what]: { builder: 'bar' } });
      await untilReady(pod);
      await untilReads(pod, `${mountPath}/value`, /^builder="bar"$/m);
      await cluster.kubectl([what === 'labels' ? 'label' : 'annotate', 'pod', pod, '--overwrite', 'builder=foo']);
      await untilReads(pod, `${mountPath}/value`, /^builder="foo"$/m);
    });
  };
  const field = (what: string): object => ({ path: 'value', fieldRef: { fieldPath: `metadata.${what}` } });
  follows(
    '[sig-storage] Downward API volume should update annotations on modification [NodeConformance] [Conformance]',
    'annotations',
    plain(field('annotations')),
  );
  follows(
    '[sig-storage] Projected downwardAPI should update annotations on modification [NodeConformance] [Conformance]',
    'annotations',
    inProjection(field('annotations')),
  );
  follows(
    '[sig-storage] Projected downwardAPI should update labels on modification [NodeConformance] [Conformance]',
    'labels',
    inProjection(field('labels')),
  );
});

describe('files follow their objects', { concurrency: 4 }, () => {
  test('[sig-storage] Projected configMap updates should be reflected in volume [NodeConformance] [Conformance]', async () => {
    const name = await configMap();
    const pod = await createPod({ run: 'sleep 1000', volumes: [projected([{ configMap: { name } }])], mounts });
    await untilReady(pod);
    await untilReads(pod, `${mountPath}/data-1`, 'value-1');
    await cluster.kubectl(['patch', 'configmap', name, '--type=merge', '-p', '{"data":{"data-1":"value-2"}}']);
    await untilReads(pod, `${mountPath}/data-1`, 'value-2');
  });

  /** One that is deleted, one that is changed, and one that comes later. */
  const optional = (name: string, kind: 'ConfigMap' | 'Secret'): void => {
    test(name, async () => {
      const [source, content] = kind === 'Secret' ? ['secret', 'stringData'] : ['configMap', 'data'];
      const names = { del: newName('del'), upd: newName('upd'), create: newName('create') };
      await create(kind, names.del, { [content]: data });
      await create(kind, names.upd, { [content]: data });
      const volumes = Object.entries(names).map(([volume, object]) => ({
        ...projected([{ [source]: { name: object, optional: true } }]),
        name: volume,
      }));
      const pod = await createPod({
        run: 'sleep 1000',
        volumes,
        mounts: Object.keys(names).map((each) => ({ name: each, mountPath: `/${each}`, readOnly: true })),
      });
      await untilReady(pod);
      await untilReads(pod, '/del/data-1', 'value-1');
      await untilAbsent(pod, '/create/data-1');
      await cluster.kubectl(['delete', kind, names.del]);
      await cluster.kubectl(['patch', kind, names.upd, '--type=merge', '-p', JSON.stringify({ [content]: { 'data-3': 'value-3' } })]);
      await create(kind, names.create, { [content]: data });
      await untilReads(pod, '/create/data-1', 'value-1');
      await untilReads(pod, '/upd/data-3', 'value-3');
      await untilAbsent(pod, '/del/data-1');
    });
  };
  optional('[sig-storage] Projected configMap optional updates should be reflected in volume [NodeConformance] [Conformance]', 'ConfigMap');
  optional('[sig-storage] Projected secret optional updates should be reflected in volume [NodeConformance] [Conformance]', 'Secret');

  /** One file of a volume that is written atomically, mounted over a file of the image. */
  const subPath = (name: string, volume: () => Promise<object>): void => {
    test(name, async () => {
      const pod = await createPod({
        run: 'sleep 1000',
        volumes: [await volume()],
        mounts: [
          { name: 'v', mountPath: '/etc/passwd', subPath: 'data-1' },
          { name: 'v', mountPath: '/whole' },
        ],
      });
      await untilReady(pod);
      await untilReads(pod, '/etc/passwd', 'value-1');
      await untilReads(pod, '/whole/data-2', 'value-2');
      const { code } = await cluster.tryKubectl(['exec', pod, '--', 'sh', '-c', 'echo x > /etc/passwd']);
      assert.notEqual(code, 0, 'what the API provides is read-only');
    });
  };
  subPath('[sig-storage] Subpath Atomic writer volumes should support subpaths with configmap pod [LinuxOnly] [Conformance]', fromConfigMap);
  subPath('[sig-storage] Subpath Atomic writer volumes should support subpaths with projected pod [LinuxOnly] [Conformance]', projectedConfigMap);
  subPath('[sig-storage] Subpath Atomic writer volumes should support subpaths with secret pod [LinuxOnly] [Conformance]', fromSecret);
});

describe('emptyDir', { concurrency: 6 }, () => {
  const volume = (medium: string): object => ({ name: 'v', emptyDir: medium === 'tmpfs' ? { medium: 'Memory' } : {} });
  const writable = [{ name: 'v', mountPath: '/test-volume' }];
  const fileSystem = `grep -q '^tmpfs /test-volume ' /proc/mounts && echo tmpfs || echo default`;
  const supports = (name: string): void => {
    const [, who = '', mode = '', medium = ''] = /\((root|non-root),(0\d+),(\w+)\)/.exec(name) ?? [];
    test(name, async () => {
      const run = `umask 0; cd /test-volume; echo content > f; chmod ${mode} f; stat -c '%u %a' f; cat f; ${fileSystem}`;
      const printed = await output({
        run,
        volumes: [volume(medium)],
        mounts: writable,
        ...(who === 'non-root' && { security: { runAsUser: 1001 } }),
      });
      assert.equal(printed, `${who === 'root' ? 0 : 1001} ${mode.slice(1)}\ncontent\n${medium}\n`);
    });
  };
  supports('[sig-storage] EmptyDir volumes should support (non-root,0644,default) [LinuxOnly] [NodeConformance] [Conformance]');
  supports('[sig-storage] EmptyDir volumes should support (non-root,0644,tmpfs) [LinuxOnly] [NodeConformance] [Conformance]');
  supports('[sig-storage] EmptyDir volumes should support (non-root,0666,default) [LinuxOnly] [NodeConformance] [Conformance]');
  supports('[sig-storage] EmptyDir volumes should support (non-root,0777,default) [LinuxOnly] [NodeConformance] [Conformance]');
  supports('[sig-storage] EmptyDir volumes should support (non-root,0777,tmpfs) [LinuxOnly] [NodeConformance] [Conformance]');
  supports('[sig-storage] EmptyDir volumes should support (root,0644,default) [LinuxOnly] [NodeConformance] [Conformance]');
  supports('[sig-storage] EmptyDir volumes should support (root,0644,tmpfs) [LinuxOnly] [NodeConformance] [Conformance]');
  supports('[sig-storage] EmptyDir volumes should support (root,0666,tmpfs) [LinuxOnly] [NodeConformance] [Conformance]');
  supports('[sig-storage] EmptyDir volumes should support (root,0777,tmpfs) [LinuxOnly] [NodeConformance] [Conformance]');

  const hasMode = (name: string, medium: string): void => {
    test(name, async () => {
      const printed = await output({ run: `stat -c %A /test-volume; ${fileSystem}`, volumes: [volume(medium)], mounts: writable });
      assert.equal(printed, `drwxrwxrwx\n${medium}\n`);
    });
  };
  hasMode(
    '[sig-storage] EmptyDir volumes volume on default medium should have the correct mode [LinuxOnly] [NodeConformance] [Conformance]',
    'default',
  );
  hasMode('[sig-storage] EmptyDir volumes volume on tmpfs should have the correct mode [LinuxOnly] [NodeConformance] [Conformance]', 'tmpfs');

  test('[sig-storage] EmptyDir volumes pod should support shared volumes between containers [Conformance]', async () => {
    const name = newName('shared');
    const main = { image: 'busybox', imagePullPolicy: 'IfNotPresent', volumeMounts: [{ name: 'v', mountPath: '/shared' }] };
    await create('Pod', name, {
      spec: {
        terminationGracePeriodSeconds: 0,
        volumes: [{ name: 'v', emptyDir: {} }],
        containers: [
          { ...main, name: 'reader', command: ['sleep', '1000'] },
          { ...main, name: 'writer', command: ['sh', '-c', 'echo Hello from the writer > /shared/page; sleep 1000'] },
        ],
      },
    });
    await untilReady(name);
    await untilReads(name, '/shared/page', 'Hello from the writer\n');
  });
});
