/** A pod network of somebody else's in place of ours: two nodes wait for it, and their pods get addresses from it. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';

let cluster: ClusterUnderTest;
before(async () => {
  cluster = await startClusterUnderTest('--nodes', '2', '--pod-network', 'none');
});
after(() => cluster.close());

const names = ['node-1', 'node-2'];
const configDir = (name: string): string => join(cluster.dataDir, 'nodes', name, 'cni');

test('nodes come up without a network, say so, and write no configuration', async () => {
  for (const name of names) {
    const message = await cluster.kubectl(['get', 'node', name, '-o', 'jsonpath={.status.conditions[?(@.type=="Ready")].message}']);
    assert.match(message, /container runtime network not ready/);
    assert.equal(existsSync(join(configDir(name), '10-k8ts.conflist')), false);
  }
});

test('with a plugin of somebody else’s they are Ready, and pods get its addresses', async () => {
  for (const [index, name] of names.entries()) {
    mkdirSync(configDir(name), { recursive: true });
    const config = {
      cniVersion: '0.4.0',
      name: 'theirs',
      plugins: [
        {
          type: 'bridge',
          bridge: 'theirs0',
          isGateway: true,
          ipMasq: true,
          ipam: {
            type: 'host-local',
            ranges: [[{ subnet: `10.9.${index}.0/24` }]],
            routes: [{ dst: '0.0.0.0/0' }],
            dataDir: join(cluster.dataDir, 'nodes', name, 'theirs'),
          },
        },
      ],
    };
    writeFileSync(join(configDir(name), '05-theirs.conflist'), JSON.stringify(config));
  }
  await cluster.kubectl('wait node --all --for=condition=Ready --timeout=60s', { timeoutMs: 70_000 });
  await cluster.kubectl('create deployment web --image=k8ts.local/hello:1 --replicas=4');
  await cluster.kubectl('rollout status deployment/web --timeout=60s', { timeoutMs: 70_000 });
  const places = (await cluster.kubectl('get pods -l app=web -o jsonpath={range.items[*]}{.spec.nodeName}={.status.podIP},{end}'))
    .split(',')
    .filter(Boolean);
  assert.equal(places.length, 4);
  for (const place of places) assert.match(place, /^node-1=10\.9\.0\.|^node-2=10\.9\.1\./);
});

test('the Service is answered on the node that has pods of it', async () => {
  await cluster.kubectl('expose deployment web --port=80 --target-port=8080');
  const pod = await cluster.kubectl('get pods -l app=web -o jsonpath={.items[0].metadata.name}');
  const script = `fetch('http://web/', { signal: AbortSignal.timeout(2000) }).then((answer) => answer.text()).then((text) => process.stdout.write(text))`;
  const answer = await eventually('the Service answers', async () => {
    const { code, stdout } = await cluster.tryKubectl(['exec', pod, '--', 'node', '-e', script], { timeoutMs: 20_000 });
    return code === 0 && stdout !== '' ? stdout : undefined;
  });
  assert.match(answer, /^hello from web-/);
});
