/** Images that are really pulled: from a small registry on loopback, with containerd as the one who pulls. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { realWorld } from '../../src/world/real.ts';
import { buildBusyboxImage } from '../images/debian-image.ts';
import { type TestRegistry, registryUser, startRegistry } from '../images/registry.ts';
import { type RealKubelet, realKubelet } from './real-kubelet.ts';

const world = realWorld({ level: process.env.KUBELET_LOG ?? 'silent' });

describe('images from a registry', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let it: RealKubelet;
  let registry: TestRegistry;

  before(async () => {
    registry = await startRegistry(await buildBusyboxImage());
    it = await realKubelet(world, '10.201.13');
  });
  after(async () => {
    await registry.close();
    await it.close();
  });

  const dockerConfig = (): string =>
    JSON.stringify({ auths: { [registry.host]: { auth: Buffer.from(`${registryUser.username}:${registryUser.password}`).toString('base64') } } });

  test('are pulled, and told of with how long it took and how large they are', async () => {
    const image = `${registry.host}/public/busybox:1`;
    it.put('pulled', { image });
    await it.until(() => it.isReady('pulled'));
    assert.ok(it.events().includes(`Pulling: Pulling image "${image}"`));
    const pulled = it.events().find((event) => event.startsWith(`Pulled: Successfully pulled image "${image}"`));
    assert.match(pulled ?? '', /in [\d.]+m?s \([\d.]+m?s including waiting\)\. Image size: \d+ bytes\.$/);
    assert.match(it.main('pulled')?.imageID ?? '', /\/public\/busybox@sha256:[0-9a-f]{64}$/);
    // It is asked for again only where the policy says so.
    const asked = registry.requests.length;
    it.put('present', { image, imagePullPolicy: 'IfNotPresent' });
    await it.until(() => it.isReady('present'));
    assert.equal(registry.requests.length, asked);
    it.put('always', { image, imagePullPolicy: 'Always' });
    await it.until(() => it.isReady('always'));
    assert.ok(registry.requests.length > asked);
  });

  test('that need credentials are refused without, and pulled with those of a secret', async () => {
    const image = `${registry.host}/private/secret:1`;
    it.put('stranger', { image });
    await it.until(() => it.main('stranger')?.state?.waiting?.reason === 'ImagePullBackOff');
    assert.match(
      it.main('stranger')?.state?.waiting?.message ?? '',
      /^Back-off pulling image ".*": ErrImagePull: .*(401|authorization|no basic auth)/,
    );
    const data = { '.dockerconfigjson': Buffer.from(dockerConfig()).toString('base64') };
    it.api.put({ kind: 'Secret', type: 'kubernetes.io/dockerconfigjson', metadata: { name: 'registry', namespace: 'default' }, data });
    it.put('reader', { image }, { imagePullSecrets: [{ name: 'registry' }] });
    await it.until(() => it.isReady('reader'));
  });

  test("or with the node's own", async () => {
    await writeFile(join(it.host.directory, 'kubelet/config.json'), dockerConfig());
    it.put('trusted', { image: `${registry.host}/private/nodes:1` });
    await it.until(() => it.isReady('trusted'));
  });

  test('come from the mirror that is configured for their registry', async () => {
    const directory = join(it.host.directory, 'containerd/certs.d/registry.example.com');
    await mkdir(directory, { recursive: true });
    await writeFile(
      join(directory, 'hosts.toml'),
      `server = "https://registry.example.com"\n[host."http://${registry.host}"]\n  capabilities = ["pull", "resolve"]\n`,
    );
    it.put('mirrored', { image: 'registry.example.com/public/mirrored:1' });
    await it.until(() => it.isReady('mirrored'));
    assert.ok(registry.requests.some((request) => request.includes('/v2/public/mirrored/manifests/')));
    assert.equal(it.main('mirrored')?.image, 'registry.example.com/public/mirrored:1');
  });

  for (const [behaviour, reason] of [
    ['garbage', 'answers nonsense'],
    ['truncated', 'breaks off'],
    ['missing', 'has no such image'],
    ['away', 'is overloaded'],
  ] as const) {
    test(`of a registry that ${reason} are told of, and tried again`, async () => {
      it.put(behaviour, { image: `${registry.host}/${behaviour}/busybox:1` });
      await it.until(() => it.main(behaviour)?.state?.waiting?.reason === 'ImagePullBackOff', 60_000);
      assert.match(it.main(behaviour)?.state?.waiting?.message ?? '', /^Back-off pulling image "[^"]+": ErrImagePull: .*failed to /);
      assert.ok(it.events().some((event) => event.startsWith(`Failed: Failed to pull image "${registry.host}/${behaviour}/busybox:1": `)));
      it.api.remove('Pod', behaviour, 'default', 1);
    });
  }

  test('of one that is slow hold up nobody else, and a pod deleted meanwhile goes at once', async () => {
    const slow = (name: string) => it.put(name, { image: `${registry.host}/slow/${name}:1` });
    slow('waits');
    slow('given-up');
    it.put('quick', { image: `${registry.host}/public/quick:1` });
    await it.until(() => it.isReady('quick'));
    await it.until(() => registry.held() > 0);
    assert.equal(it.main('waits')?.state?.waiting?.reason, 'ContainerCreating');
    it.api.remove('Pod', 'given-up', 'default', 30);
    await it.until(() => it.pod('given-up') === undefined, 10_000);
    const keepLettingGo = world.clock.every(50, () => registry.letGo());
    await it.until(() => it.isReady('waits')).finally(() => keepLettingGo.cancel());
  });

  test('that are no names are told apart', async () => {
    it.put('misnamed', { image: 'Not A Name' });
    await it.until(() => it.main('misnamed')?.state?.waiting?.reason === 'InvalidImageName');
    it.put('never', { image: `${registry.host}/public/never:1`, imagePullPolicy: 'Never' });
    await it.until(() => it.main('never')?.state?.waiting?.reason === 'ErrImageNeverPull');
  });
});
