/**
 * Services on real containers, beyond what scenarios say: balancers' addresses from a pool, whom they let in, health check ports, external IPs, UDP flows
 * whose endpoint goes, and the cluster's names asked from the host.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { Service } from '../src/api/kinds.ts';
import type { V1ServiceSpec } from '../src/api/types.ts';
import { isReady, type RealPods, shell, startRealPods } from './conformance/real-pods.ts';
import { eventually } from './support/cluster-under-test.ts';
import { run } from './support/stock-tools.ts';

const image = 'k8ts.local/hello:1';
const pool = '198.51.100.0/28';
let pods: RealPods;
let nodeIp: string;
let id: string;

before(async () => {
  pods = await startRealPods('--load-balancer-pool', pool);
  nodeIp = await pods.cluster.kubectl(['get', 'nodes', '-o', 'jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}']);
  id = /"id": "(\w+)"/.exec(readFileSync(`${pods.cluster.dataDir}/cluster.json`, 'utf8'))?.[1] ?? '';
  await pods.create('web', { containers: [shell('mkdir /tmp/w; cd /tmp/w; hostname > index.html; httpd -f -p 8000')] });
  await pods.create('client', { containers: [shell('sleep 10000')] });
  for (const name of ['web', 'client']) await pods.until(name, 'is ready', isReady);
});

after(async () => {
  await pods.close();
  const { stdout } = await run('ip', ['-brief', 'link']);
  assert.doesNotMatch(stdout, new RegExp(`k8ts${id}`), 'the device of the addresses is gone');
});

async function balancer(name: string, spec: Partial<V1ServiceSpec> = {}): Promise<{ ip: string; service: Service }> {
  const ports = [{ port: 80, targetPort: 8000, protocol: 'TCP' }];
  await pods.of(Service).create({ metadata: { name }, spec: { type: 'LoadBalancer', selector: { name: 'web' }, ports, ...spec } });
  const service = await eventually(`${name} has an address`, async () => {
    const latest = await pods.of(Service).get(name);
    return latest.status.loadBalancer?.ingress?.[0]?.ip === undefined ? undefined : latest;
  });
  return { ip: service.status.loadBalancer?.ingress?.[0]?.ip ?? '', service };
}

/** From the host; undefined when nothing comes back. */
async function page(url: string): Promise<string | undefined> {
  const { code, stdout } = await run('curl', ['-s', '-m', '2', url]);
  return code === 0 ? stdout.trim() : undefined;
}

test('a balancer’s address from the pool is held by the node, answers the host and pods, and goes with the Service', async () => {
  const { ip } = await balancer('pooled');
  assert.match(ip, /^198\.51\.100\./);
  await eventually('the host is answered', async () => ((await page(`http://${ip}/`)) === 'web' ? true : undefined));
  assert.match(await pods.inside('client', `timeout 3 wget -qO- http://${ip}/`), /^web$/m);
  await eventually('the node holds it', async () => ((await run('ip', ['address'])).stdout.includes(`${ip}/32`) ? true : undefined));
  await pods.of(Service).delete('pooled');
  await eventually('nobody holds it', async () => ((await run('ip', ['address'])).stdout.includes(`${ip}/32`) ? undefined : true));
});

test('loadBalancerSourceRanges keep others out, by the balancer’s address only', async () => {
  const clientIp = await pods.cluster.kubectl(['get', 'pod', 'client', '-o', 'jsonpath={.status.podIP}']);
  const { ip, service } = await balancer('guarded', { loadBalancerSourceRanges: [`${clientIp}/32`] });
  await eventually('who is named is let in', async () =>
    (await pods.inside('client', `timeout 3 wget -qO- http://${ip}/`)).includes('web') ? true : undefined,
  );
  assert.equal(await page(`http://${ip}/`), undefined);
  assert.equal(await page(`http://${nodeIp}:${service.spec.ports?.[0]?.nodePort}/`), 'web');
  await pods.of(Service).patch('guarded', { spec: { loadBalancerSourceRanges: null } });
  await eventually('everyone is let in', async () => ((await page(`http://${ip}/`)) === 'web' ? true : undefined));
});

test('the health check port says how many endpoints are here, and closes with the policy', async () => {
  const { service } = await balancer('local', { externalTrafficPolicy: 'Local' });
  const url = `http://${nodeIp}:${service.spec.healthCheckNodePort}/`;
  const asked = async (): Promise<{ status: number; body: unknown; weight: string | null }> => {
    const response = await fetch(url, { headers: { connection: 'close' } });
    return { status: response.status, weight: response.headers.get('x-load-balancing-endpoint-weight'), body: await response.json() };
  };
  const expected = { service: { namespace: 'default', name: 'local' }, localEndpoints: 1, serviceProxyHealthy: true };
  await eventually('one endpoint', async () => ((await asked()).status === 200 ? true : undefined));
  assert.deepEqual(await asked(), { status: 200, weight: '1', body: expected });
  await pods.of(Service).patch('local', { spec: { selector: { name: 'nobody' } } });
  await eventually('no endpoint', async () => ((await asked()).status === 503 ? true : undefined));
  assert.deepEqual((await asked()).body, { ...expected, localEndpoints: 0 });
  await pods.of(Service).patch('local', { spec: { externalTrafficPolicy: 'Cluster' } });
  await eventually('the port is closed', () =>
    asked().then(
      () => undefined,
      () => true,
    ),
  );
});

test('an external IP leads to the Service', async () => {
  const ports = [{ port: 8081, targetPort: 8000, protocol: 'TCP' }];
  await pods.of(Service).create({ metadata: { name: 'external' }, spec: { selector: { name: 'web' }, externalIPs: ['203.0.113.77'], ports } });
  await eventually('the host is answered', async () => ((await page('http://203.0.113.77:8081/')) === 'web' ? true : undefined));
  assert.match(await pods.inside('client', 'timeout 3 wget -qO- http://203.0.113.77:8081/'), /^web$/m);
});

const echo = (name: string): string =>
  `const s = require('node:dgram').createSocket('udp4'); s.on('message', (text, from) => s.send('${name}', from.port, from.address)); s.bind(5000)`;

test('a UDP flow whose endpoint goes is led to the next, though its packets never pause', async () => {
  const container = (name: string): object => ({ name: 'main', image, command: ['node', '-e', echo(name)] });
  const ports = [{ port: 500, targetPort: 5000, protocol: 'UDP' }];
  const { spec } = await pods.of(Service).create({ metadata: { name: 'echo' }, spec: { type: 'NodePort', selector: { app: 'echo' }, ports } });
  const asking = `
    const s = require('node:dgram').createSocket('udp4');
    const last = {};
    s.on('message', (text, from) => { last[from.port] = String(text); require('node:fs').writeFileSync('/tmp/last', JSON.stringify(last)); });
    s.bind(4321);
    setInterval(() => { s.send('?', 500, '${spec.clusterIP}'); s.send('?', ${spec.ports?.[0]?.nodePort}, '${nodeIp}'); }, 100);`;
  // It asks before there is anybody to answer, too.
  await pods.create('asking', { containers: [{ name: 'main', image, command: ['node', '-e', asking] }] });
  await pods.until('asking', 'is ready', isReady);
  const answeredBy = (name: string): Promise<unknown> =>
    eventually(`${name} answers by both addresses`, async () => {
      const last = Object.values(
        JSON.parse(
          await pods.cluster.kubectl(['exec', 'asking', '--', 'node', '-p', "require('node:fs').readFileSync('/tmp/last', 'utf8')"]),
        ) as Record<string, string>,
      );
      return last.length === 2 && last.every((who) => who === name) ? true : undefined;
    });
  await pods.cluster.kubectl('create -f -', { input: JSON.stringify(podWith('one', container('one'))) });
  await pods.until('one', 'is ready', isReady);
  await answeredBy('one');
  await pods.cluster.kubectl('create -f -', { input: JSON.stringify(podWith('two', container('two'))) });
  await pods.until('two', 'is ready', isReady);
  await pods.cluster.kubectl('delete pod one --wait=false');
  await answeredBy('two');
});

function podWith(name: string, container: object): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, labels: { app: 'echo' } },
    spec: { terminationGracePeriodSeconds: 0, containers: [container] },
  };
}

test('names are resolved from the host: by asking the name server, and by everything on the host when it is told so', async () => {
  const kubernetes = (await pods.of(Service).get('kubernetes')).spec.clusterIP ?? '';
  const server = (await pods.cluster.kubectl(['get', 'service', 'kube-dns', '-n', 'kube-system', '-o', 'jsonpath={.spec.clusterIP}'])).trim();
  const asked = `const { Resolver } = require('node:dns').promises; const r = new Resolver(); r.setServers(['${server}']); r.resolve4('kubernetes.default.svc.cluster.local').then(console.log)`;
  assert.match((await run(process.execPath, ['-e', asked])).stdout, new RegExp(kubernetes));
  const before = readFileSync('/etc/resolv.conf', 'utf8');
  const state = (word: string): Promise<{ code: number | null }> => pods.cluster.k8ts(['host-dns', word, '--data-dir', pods.cluster.dataDir]);
  assert.equal((await state('on')).code, 0);
  try {
    const { stdout } = await run('getent', ['hosts', 'kubernetes.default.svc.cluster.local']);
    assert.match(stdout, new RegExp(`^${kubernetes} `));
  } finally {
    assert.equal((await state('off')).code, 0);
  }
  assert.equal(readFileSync('/etc/resolv.conf', 'utf8'), before);
});
