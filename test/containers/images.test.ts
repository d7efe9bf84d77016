/** The built-in images run, and images of every usual form are brought in. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { helloImages } from '../../src/cluster/images/hello.ts';
import { listImages, loadBuiltImages, loadImages } from '../../src/cluster/images/load.ts';
import { pauseExecutable } from '../../src/cluster/images/pause.ts';
import { tarArchive, type TarEntry } from '../../src/cluster/images/tar.ts';
import { realWorld } from '../../src/world/real.ts';
import { buildBusyboxImage } from '../images/debian-image.ts';
import { type PrivateContainerd, privateContainerd } from './private-containerd.ts';
import { execFileSync } from 'node:child_process';

const world = realWorld({ level: 'silent' });
const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';

describe('images', { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  let host: PrivateContainerd;

  before(async () => {
    host = await privateContainerd(world, '10.201.6');
  });
  after(() => host.close());

  test('hello is loaded once, says its version, can be made to fail, and ends in good order', async () => {
    const loaded = await loadBuiltImages(host.containerd, await helloImages(architecture));
    assert.deepEqual(loaded.toSorted(), ['k8ts.local/hello:1', 'k8ts.local/hello:2']);
    assert.deepEqual(await loadBuiltImages(host.containerd, await helloImages(architecture)), []);
    for (const version of ['1', '2']) {
      const name = `hello-${version}`;
      const env = [{ key: 'PORT', value: '80' }];
      const { sandboxId, containerId } = await host.run(name, host.container(`k8ts.local/hello:${version}`, { env }));
      const { ips } = await host.runtime.podSandboxStatus(sandboxId);
      const call = (path: string, method = 'GET'): Promise<Response> => untilAnswered(`http://${ips[0]}${path}`, method);
      assert.equal(await (await call('/')).text(), `hello from ${name}, version ${version}\n`);
      assert.equal((await call('/healthz')).status, 200);
      assert.equal((await call('/burn?ms=20')).status, 200);
      assert.equal((await call('/fail', 'POST')).status, 200);
      assert.equal((await call('/healthz')).status, 500);
      if (version === '1') await host.runtime.stopContainer(containerId, 10);
      else await call('/exit?code=4');
      while ((await host.runtime.containerStatus(containerId)).state === 'running') await world.clock.sleep(5);
      assert.equal((await host.runtime.containerStatus(containerId)).exitCode, version === '1' ? 0 : 4);
    }
  });

  test('an OCI layout directory is loaded', async () => {
    const layout = join(host.directory, 'layout');
    await mkdir(layout);
    execFileSync('tar', ['-x', '-f', await buildBusyboxImage(), '-C', layout]);
    assert.deepEqual(await loadImages({ socket: host.containerd.socket, path: layout }), ['docker.io/library/busybox:latest']);
    assert.ok((await host.runtime.imageStatus('busybox')) !== undefined);
  });

  test('an image with a tag but no name is called after its file', async () => {
    const layout = join(host.directory, 'my-tool');
    await mkdir(layout);
    execFileSync('tar', ['-x', '-f', await buildBusyboxImage(), '-C', layout]);
    const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: { annotations?: object }[] };
    for (const manifest of index.manifests) manifest.annotations = { 'org.opencontainers.image.ref.name': 'v3' };
    await writeFile(join(layout, 'index.json'), JSON.stringify(index));
    assert.deepEqual(await loadImages({ socket: host.containerd.socket, path: layout }), ['docker.io/library/my-tool:v3']);
    assert.ok((await listImages(host.containerd)).every(({ name }) => !name.startsWith('import-')));
  });

  test('what docker save writes is loaded', async () => {
    const path = join(host.directory, 'saved.tar');
    const layer = await bytesOf([{ path: 'pause', type: 'file', mode: 0o755, content: pauseExecutable(architecture) }]);
    const diffId = `sha256:${createHash('sha256').update(layer).digest('hex')}`;
    const config = { architecture, os: 'linux', config: { Entrypoint: ['/pause'] }, rootfs: { type: 'layers', diff_ids: [diffId] } };
    const manifest = [{ Config: 'config.json', RepoTags: ['example.com/saved:v1'], Layers: ['abc/layer.tar'] }];
    const files: readonly (readonly [string, Buffer])[] = [
      ['abc/layer.tar', layer],
      ['config.json', Buffer.from(JSON.stringify(config))],
      ['manifest.json', Buffer.from(JSON.stringify(manifest))],
    ];
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, await bytesOf(files.map(([name, content]): TarEntry => ({ path: name, type: 'file', mode: 0o644, content }))));
    assert.deepEqual(await loadImages({ socket: host.containerd.socket, path }), ['example.com/saved:v1']);
    const { containerId } = await host.run('saved', host.container('example.com/saved:v1'));
    assert.equal((await host.runtime.containerStatus(containerId)).state, 'running');
    assert.ok((await listImages(host.containerd)).some(({ name }) => name === 'example.com/saved:v1'));
  });

  test('what is no image is refused with a reason', async () => {
    const path = join(host.directory, 'nonsense.tar');
    await writeFile(path, 'this is not a tar archive');
    await assert.rejects(loadImages({ socket: host.containerd.socket, path }), /ctr images import/);
    await assert.rejects(loadImages({ socket: host.containerd.socket, path: join(host.directory, 'nosuch.tar') }), /ENOENT/);
  });
});

/** The program takes a moment to listen. */
async function untilAnswered(url: string, method: string): Promise<Response> {
  for (let tries = 0; ; tries++) {
    try {
      return await fetch(url, { method });
    } catch (error) {
      if (tries > 500) throw error;
      await world.clock.sleep(10);
    }
  }
}

async function bytesOf(entries: Iterable<TarEntry>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of tarArchive(entries)) chunks.push(chunk);
  return Buffer.concat(chunks);
}
