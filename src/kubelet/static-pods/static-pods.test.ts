import assert from 'node:assert/strict';
import { afterEach, describe, test } from 'node:test';
import type { Pod } from '../../api/kinds.ts';
import { type Rig, closeRigs, condition, main, rig } from '../kubelet-rig.ts';
import { ManifestError, podOfManifest } from './manifest.ts';
import type { Manifests } from './manifest-directory.ts';

afterEach(closeRigs);

const manifest = (image: string, more = ''): string => `
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  terminationGracePeriodSeconds: 5
  containers: [{name: main, image: '${image}'}]
${more}`;

describe('a manifest', () => {
  const read = (text: string): Pod => podOfManifest({ path: '/etc/manifests/web.yaml', text }, 'node-1', '2026-01-01T00:00:00Z');

  test('becomes a pod of this node', () => {
    const pod = read(manifest('nginx:1'));
    assert.equal(pod.metadata.name, 'web-node-1');
    assert.equal(pod.metadata.namespace, 'default');
    assert.match(pod.metadata.uid, /^[0-9a-f]{32}$/);
    assert.equal(pod.metadata.annotations?.['kubernetes.io/config.hash'], pod.metadata.uid);
    assert.equal(pod.metadata.annotations?.['kubernetes.io/config.source'], 'file');
    assert.equal(pod.spec.nodeName, 'node-1');
    assert.equal(pod.spec.restartPolicy, 'Always', 'defaults are filled in');
    assert.deepEqual(pod.spec.tolerations?.at(-1), { operator: 'Exists', effect: 'NoExecute' });
  });

  test('that says the same is the same pod', () => {
    assert.equal(read(manifest('nginx:1')).metadata.uid, read(`# a comment\n${manifest('nginx:1')}`).metadata.uid);
    assert.notEqual(read(manifest('nginx:1')).metadata.uid, read(manifest('nginx:2')).metadata.uid);
  });

  for (const [name, text, message] of [
    ['nothing', '', /holds no object/],
    ['no YAML', '{', /is neither YAML nor JSON/],
    ['another kind', 'apiVersion: apps/v1\nkind: Deployment\n', /holds a apps\/v1 Deployment; only a v1 Pod/],
    ['no containers', 'apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec: {containers: []}', /spec.containers: Required value/],
    ['an unknown field', manifest('nginx:1', '  imagee: x'), /unknown field "spec.imagee"/],
    ['a wrong type', manifest('nginx:1', '  hostNetwork: 7'), /cannot unmarshal/],
    ['an invalid value', manifest('nginx:1', '  restartPolicy: Perhaps'), /spec.restartPolicy: Unsupported value: "Perhaps"/],
    ['no name', 'apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: b}]}', /metadata.name: Required value/],
  ] as const) {
    test(`with ${name} is refused`, () => {
      assert.throws(
        () => read(text),
        (error: unknown) => error instanceof ManifestError && message.test(error.message),
      );
    });
  }
});

describe('pods from files', () => {
  interface Files extends Manifests {
    readonly texts: Map<string, string>;
    changed(): void;
  }

  function files(...texts: [string, string][]): Files {
    let told = (): void => {};
    const made: Files = {
      texts: new Map(texts),
      read: async () => [...made.texts].map(([path, text]) => ({ path, text })),
      watch(onChange) {
        told = onChange;
        return () => (told = () => {});
      },
      changed: () => told(),
    };
    return made;
  }

  const mirror = ({ api }: Rig): Pod | undefined => api.get('Pod', 'web-node-1', 'default') as Pod | undefined;
  const hash = (pod: Pod | undefined): string | undefined => pod?.metadata.annotations?.['kubernetes.io/config.mirror'];
  const started = ({ runtime }: Rig): string[] => runtime.calls.filter((call) => call.startsWith('start ') || call.startsWith('stop '));

  test('run, and show in the API as mirrors', async () => {
    const it = rig(undefined, { manifests: files(['/m/web.yaml', manifest('nginx:1')]) });
    await it.world.advanceUntil(() => condition(mirror(it), 'Ready') === 'True', 5000);
    const pod = mirror(it);
    assert.match(hash(pod) ?? '', /^[0-9a-f]{32}$/);
    assert.deepEqual(
      pod?.metadata.ownerReferences?.map(({ kind, name, controller }) => [kind, name, controller]),
      [['Node', 'node-1', true]],
    );
    assert.equal(main(pod)?.state?.running !== undefined, true);
    assert.deepEqual(started(it), ['start web-node-1/main']);
  });

  test('run without an API, and show once it is there', async () => {
    const { ApiError } = await import('../../machinery/errors.ts');
    const it = rig(undefined, { manifests: files(['/m/web.yaml', manifest('nginx:1')]) });
    it.api.failure = () => new ApiError('ServiceUnavailable', 'not yet');
    await it.world.advanceUntil(() => started(it).length > 0, 10_000);
    assert.equal(mirror(it), undefined);
    it.api.failure = undefined;
    await it.world.advanceUntil(() => condition(mirror(it), 'Ready') === 'True', 60_000);
    assert.deepEqual(started(it), ['start web-node-1/main']);
  });

  test('go on when their mirror is deleted, which comes back', async () => {
    const it = rig(undefined, { manifests: files(['/m/web.yaml', manifest('nginx:1')]) });
    await it.world.advanceUntil(() => condition(mirror(it), 'Ready') === 'True', 5000);
    const { uid } = mirror(it)?.metadata ?? {};
    it.api.remove('Pod', 'web-node-1', 'default', 30);
    await it.world.advanceUntil(
      () => mirror(it) !== undefined && mirror(it)?.metadata.uid !== uid && condition(mirror(it), 'Ready') === 'True',
      5000,
    );
    assert.deepEqual(started(it), ['start web-node-1/main']);
  });

  test('are replaced when the file changes, and end when it goes', async () => {
    const source = files(['/m/web.yaml', manifest('nginx:1')]);
    const it = rig(undefined, { manifests: source });
    await it.world.advanceUntil(() => condition(mirror(it), 'Ready') === 'True', 5000);
    const before = hash(mirror(it));
    source.texts.set('/m/web.yaml', manifest('nginx:2'));
    source.changed();
    await it.world.advanceUntil(
      () => hash(mirror(it)) !== undefined && hash(mirror(it)) !== before && condition(mirror(it), 'Ready') === 'True',
      10_000,
    );
    assert.deepEqual(started(it), ['start web-node-1/main', 'stop web-node-1/main', 'start web-node-1/main']);
    assert.equal(main(mirror(it))?.restartCount, 0);
    source.texts.delete('/m/web.yaml');
    source.changed();
    await it.world.advanceUntil(() => mirror(it) === undefined, 10_000);
    await it.world.advance(0);
    assert.equal((await it.runtime.listContainers()).length, 0);
  });

  test('a file that is spoiled changes nothing; others are read', async () => {
    const source = files(['/m/web.yaml', manifest('nginx:1')], ['/m/x.yaml', 'kind: Nonsense']);
    const it = rig(undefined, { manifests: source });
    await it.world.advanceUntil(() => condition(mirror(it), 'Ready') === 'True', 5000);
    source.texts.set('/m/web.yaml', 'spoiled: {');
    source.texts.set('/m/x.yaml', manifest('nginx:1').replace('name: web', 'name: other'));
    source.changed();
    await it.world.advanceUntil(() => condition(it.api.get('Pod', 'other-node-1', 'default') as Pod | undefined, 'Ready') === 'True', 5000);
    assert.equal(condition(mirror(it), 'Ready'), 'True');
    assert.deepEqual(started(it), ['start web-node-1/main', 'start other-node-1/main']);
  });

  test('outlive the kubelet, which touches neither them nor their mirrors', async () => {
    const it = rig(undefined, { manifests: files(['/m/web.yaml', manifest('nginx:1')]) });
    await it.world.advanceUntil(() => condition(mirror(it), 'Ready') === 'True', 5000);
    const before = mirror(it);
    it.stop();
    it.start();
    await it.world.advance(60_000);
    assert.deepEqual(started(it), ['start web-node-1/main']);
    assert.equal(mirror(it)?.metadata.uid, before?.metadata.uid);
    assert.deepEqual(mirror(it)?.status, before?.status);
  });

  test('whose file went while no kubelet looked are ended, and their mirrors removed', async () => {
    const source = files(['/m/web.yaml', manifest('nginx:1')]);
    const it = rig(undefined, { manifests: source });
    await it.world.advanceUntil(() => condition(mirror(it), 'Ready') === 'True', 5000);
    it.stop();
    source.texts.clear();
    it.start();
    await it.world.advanceUntil(() => mirror(it) === undefined, 5000);
    await it.world.advance(1000);
    assert.equal((await it.runtime.listContainers()).length, 0);
  });
});
