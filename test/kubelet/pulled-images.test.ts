/** Images that are really pulled: from a small registry on loopback, with containerd as the one who pulls. */
import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ProviderSettings } from '../../src/kubelet/image-pull/providers/provider-configuration.ts';
import { realWorld } from '../../src/world/real.ts';
import { buildBusyboxImage } from '../images/debian-image.ts';
import { type TestRegistry, registryUser, startRegistry } from '../images/registry.ts';
import { type RealKubelet, realKubelet } from './real-kubelet.ts';

const world = realWorld({ level: process.env.KUBELET_LOG ?? 'silent' });

describe('images from a registry', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let it: RealKubelet;
  let registry: TestRegistry;
  let directory: string;
  const provider = (): ProviderSettings => ({
    name: 'door-keeper',
    matchImages: [`${registry.host}/private/provided`],
    defaultCacheMs: 60_000,
    apiVersion: 'credentialprovider.kubelet.k8s.io/v1',
    args: [],
    env: [],
  });

  before(async () => {
    registry = await startRegistry(await buildBusyboxImage());
    directory = await mkdtemp(join(tmpdir(), 'k8ts-providers-'));
    it = await realKubelet(world, '10.201.13', () => ({ imageCredentials: { directory, providers: [provider()] } }));
  });
  after(async () => {
    await registry.close();
    await it.close();
    await rm(directory, { recursive: true });
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

  test('that were pulled with a secret are not for those who have none', async () => {
    const image = `${registry.host}/private/secret:1`;
    const asked = registry.requests.length;
    it.put('another-reader', { image }, { imagePullSecrets: [{ name: 'registry' }] });
    await it.until(() => it.isReady('another-reader'));
    assert.equal(registry.requests.length, asked, 'whoever has the secret need not ask again');
    it.put('thief', { image });
    it.put('patient-thief', { image, imagePullPolicy: 'Never' });
    await it.until(() => it.main('thief')?.state?.waiting?.reason === 'ImagePullBackOff');
    await it.until(() => it.main('patient-thief')?.state?.waiting?.reason === 'ErrImageNeverPull');
    it.stop();
    it.start();
    await it.kubelet.started;
    it.put('late-thief', { image });
    await it.until(() => /^Err|BackOff$/.test(it.main('late-thief')?.state?.waiting?.reason ?? ''));
    for (const name of ['thief', 'patient-thief', 'late-thief']) it.api.remove('Pod', name, 'default', 1);
  });

  test('or with those that a program on the node knows', async () => {
    const auth = { [registry.host]: registryUser };
    const answer = { kind: 'CredentialProviderResponse', apiVersion: provider().apiVersion, cacheKeyType: 'Registry', auth };
    const program = join(directory, provider().name);
    await writeFile(program, `#!/bin/sh\ncat >> ${directory}/asked\necho '${JSON.stringify(answer)}'\n`);
    await chmod(program, 0o755);
    it.put('provided', { image: `${registry.host}/private/provided/one:1` });
    await it.until(() => it.isReady('provided'));
    it.put('provided-too', { image: `${registry.host}/private/provided/two:1` });
    await it.until(() => it.isReady('provided-too'));
    const request = { kind: 'CredentialProviderRequest', apiVersion: provider().apiVersion, image: `${registry.host}/private/provided/one` };
    assert.deepEqual(JSON.parse(await readFile(join(directory, 'asked'), 'utf8')), request, 'it was asked once');
    // They are the node's: any pod on it may have the image.
    const requests = registry.requests.length;
    it.put('provided-again', { image: `${registry.host}/private/provided/one:1` });
    await it.until(() => it.isReady('provided-again'));
    assert.equal(registry.requests.length, requests);
  });

  test('that take long are told of while they come', async () => {
    const image = `${registry.host}/half/busybox:1`;
    const progress = () => it.host.runtime.pullProgress?.(image);
    it.put('patient', { image });
    try {
      await it.until(() => it.events().some((event) => /^Pulling: Pulling image ".*half.*": \d+% \([\d.]+ of 7\.0 MiB\)$/.test(event)));
      const halfway = await progress();
      assert.ok(halfway && halfway.doneBytes > 0 && halfway.doneBytes < halfway.totalBytes, JSON.stringify(halfway));
      assert.equal(await it.host.runtime.pullProgress?.(`${registry.host}/public/other:1`), undefined);
    } finally {
      const keepLettingGo = world.clock.every(50, () => registry.letGo());
      await it.until(() => it.isReady('patient')).finally(() => keepLettingGo.cancel());
    }
    assert.equal(await progress(), undefined, 'it is over');
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
