/** The components run alone, each in a process of its own under its upstream name, from certificates and kubeconfigs as kubeadm would make them. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { renderKubeconfig } from '../src/client/kubeconfig.ts';
import { type CertificatePair, createCertificateAuthority, createSigningKey, issueCertificate } from '../src/kubeadm/certificates.ts';
import { realWorld } from '../src/world/real.ts';
import { eventually } from './support/cluster-under-test.ts';
import { launcher, run, start, stockTools } from './support/stock-tools.ts';

const world = realWorld({ level: 'silent' });
const directory = mkdtempSync(join(tmpdir(), 'k8ts-components-'));
const file = (name: string): string => join(directory, name);
const env = { HOME: directory, KUBECONFIG: file('admin.conf') };
const serviceRange = '10.251.0.0/16';
const patience = { leaderElectLeaseDuration: '3s', leaderElectRenewDeadline: '2s', leaderElectRetryPeriod: '200ms' };

type Flags = Readonly<Record<string, string | number>>;

interface Component {
  readonly name: string;
  /** SIGTERM; the exit code and everything it logged. */
  stop(): Promise<{ code: number | null; log: string }>;
}

const running = new Set<Component>();
let apiServerPort = 0;
let kubeletPort = 0;

function args(flags: Flags): string[] {
  return Object.entries(flags).map(([name, value]) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${value}`);
}

/** Resolves when the component says that it started; fails with its own words when it ends first. */
async function begin(name: string, flags: Flags): Promise<Component> {
  const child: ChildProcess = start(launcher, [name, ...args(flags)], { env, timeoutMs: 300_000 });
  const lines: string[] = [];
  const started = Promise.withResolvers<void>();
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      started.reject(new Error(`${name} ended with ${code}:\n${lines.join('\n')}`));
      resolve(code);
    });
  });
  assert.ok(child.stderr);
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    if (line.includes('"msg":"started"')) started.resolve();
  });
  const component: Component = {
    name,
    async stop() {
      running.delete(component);
      child.kill('SIGTERM');
      return { code: await ended, log: lines.join('\n') };
    },
  };
  running.add(component);
  await started.promise;
  return component;
}

async function freePort(): Promise<number> {
  const server = createServer();
  const port = await new Promise<number>((resolve) => {
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : 0);
    });
  });
  await new Promise((resolve) => server.close(resolve));
  return port;
}

async function kubectl(...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await run(stockTools().kubectl, words, { env });
  assert.equal(code, 0, `kubectl ${words.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

function writePair(name: string, pair: CertificatePair): void {
  writeFileSync(file(`${name}.crt`), pair.certificate);
  writeFileSync(file(`${name}.key`), pair.key);
}

before(async () => {
  apiServerPort = await freePort();
  kubeletPort = await freePort();
  const ca = await createCertificateAuthority(world, 'kubernetes');
  writePair('ca', ca);
  writePair('apiserver', await issueCertificate(world, { ca, commonName: 'kube-apiserver', usages: ['server'], ipAddresses: ['127.0.0.1'] }));
  writePair('kubelet', await issueCertificate(world, { ca, commonName: 'lone', usages: ['server'], ipAddresses: ['127.0.0.1'] }));
  writePair(
    'kubelet-client',
    await issueCertificate(world, { ca, commonName: 'kube-apiserver-kubelet-client', organizations: ['system:masters'], usages: ['client'] }),
  );
  writeFileSync(file('sa.key'), await createSigningKey());
  const identities: readonly (readonly [file: string, user: string, groups: readonly string[]])[] = [
    ['admin', 'kubernetes-admin', ['system:masters']],
    ['controller-manager', 'system:kube-controller-manager', []],
    ['scheduler', 'system:kube-scheduler', []],
    ['node', 'system:node:lone', ['system:nodes']],
    ['proxy', 'system:kube-proxy', ['system:node-proxier']],
  ];
  for (const [name, commonName, organizations] of identities) {
    const pair = await issueCertificate(world, { ca, commonName, organizations, usages: ['client'] });
    const entry = { name: 'kubernetes', server: `https://127.0.0.1:${apiServerPort}`, ca: ca.certificate, ...pair };
    writeFileSync(file(`${name}.conf`), renderKubeconfig(entry));
  }
  await begin('kube-apiserver', apiServerFlags());
});

after(async () => {
  for (const component of [...running].reverse()) await component.stop();
  await run(launcher, ['kube-proxy', '--cleanup'], { env });
  rmSync(directory, { recursive: true, force: true });
});

function apiServerFlags(): Flags {
  return {
    tlsCertFile: file('apiserver.crt'),
    tlsPrivateKeyFile: file('apiserver.key'),
    clientCaFile: file('ca.crt'),
    serviceAccountSigningKeyFile: file('sa.key'),
    serviceAccountKeyFile: file('sa.key'),
    serviceClusterIpRange: serviceRange,
    securePort: apiServerPort,
    bindAddress: '127.0.0.1',
    advertiseAddress: '192.0.2.1',
    kubeletClientCertificate: file('kubelet-client.crt'),
    kubeletClientKey: file('kubelet-client.key'),
    kubeletCertificateAuthority: file('ca.crt'),
    storage: file('store'),
  };
}

const controllerManagerFlags = { kubeconfig: file('controller-manager.conf'), rootCaFile: file('ca.crt'), ...patience };
const schedulerFlags = { kubeconfig: file('scheduler.conf'), ...patience };
const leader = (lease: string): Promise<string> => kubectl('-n', 'kube-system', 'get', 'lease', lease, '-o', 'jsonpath={.spec.holderIdentity}');

test('a deployment becomes available with every component in a process of its own', async () => {
  await Promise.all([
    begin('kube-controller-manager', controllerManagerFlags),
    begin('kube-scheduler', schedulerFlags),
    begin('kubelet', {
      kubeconfig: file('node.conf'),
      hostnameOverride: 'lone',
      nodeIp: '127.0.0.1',
      nodeLabels: 'tier=lone',
      runtime: 'simulated',
      rootDir: file('kubelet-root'),
      clusterDns: '10.251.0.10',
      address: '127.0.0.1',
      port: kubeletPort,
      tlsCertFile: file('kubelet.crt'),
      tlsPrivateKeyFile: file('kubelet.key'),
      clientCaFile: file('ca.crt'),
    }),
  ]);
  await kubectl('create', 'deployment', 'web', '--image=nginx', '--replicas=2');
  await kubectl('rollout', 'status', 'deployment/web', '--timeout=50s');
  assert.equal(await kubectl('get', 'nodes', '-l', 'tier=lone', '-o', 'name'), 'node/lone\n');
  assert.equal(await kubectl('get', '--raw', '/api/v1/nodes/lone/proxy/healthz'), 'ok', 'the API server reaches the kubelet');
});

test('each controller acts as a service account of its own, which the manager made', async () => {
  const accounts = await kubectl('-n', 'kube-system', 'get', 'serviceaccounts', '-o', 'name');
  for (const name of ['deployment-controller', 'replicaset-controller', 'node-controller']) {
    assert.ok(accounts.includes(`serviceaccount/${name}\n`), `${name} is missing in ${accounts}`);
  }
});

test('when the leader is stopped another takes over at once', async () => {
  const [manager, scheduler] = ['kube-controller-manager', 'kube-scheduler'].map((name) => [...running].find((one) => one.name === name));
  assert.ok(manager && scheduler);
  const before = await Promise.all([leader('kube-controller-manager'), leader('kube-scheduler')]);
  await Promise.all([begin('kube-controller-manager', controllerManagerFlags), begin('kube-scheduler', schedulerFlags)]);
  assert.deepEqual(await Promise.all([leader('kube-controller-manager'), leader('kube-scheduler')]), before, 'those who came later wait');
  for (const { code, log } of await Promise.all([manager.stop(), scheduler.stop()])) assert.equal(code, 0, log);
  await kubectl('scale', 'deployment/web', '--replicas=3');
  await kubectl('rollout', 'status', 'deployment/web', '--timeout=50s');
  const now = await Promise.all([leader('kube-controller-manager'), leader('kube-scheduler')]);
  for (const [index, identity] of now.entries()) assert.notEqual(identity, before[index]);
});

test('the proxy alone writes a Service into nftables, and --cleanup takes it out again', async () => {
  await kubectl('expose', 'deployment', 'web', '--port=80');
  const proxy = await begin('kube-proxy', { kubeconfig: file('proxy.conf'), clusterCidr: '10.244.0.0/16', hostnameOverride: 'lone' });
  const address = await kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
  await eventually('the rules name the Service', async () => {
    const { stdout } = await run('nft', ['list', 'table', 'ip', 'k8ts-services']);
    return stdout.includes(address) ? true : undefined;
  });
  assert.equal((await proxy.stop()).code, 0);
  assert.equal((await run(launcher, ['kube-proxy', '--cleanup'], { env })).code, 0);
  assert.notEqual((await run('nft', ['list', 'table', 'ip', 'k8ts-services'])).code, 0);
});

test('what is wrong with flags and files is said plainly', async () => {
  writeFileSync(file('broken.pem'), 'no certificate\n');
  const cases: readonly (readonly [name: string, component: string, flags: Flags, words: RegExp])[] = [
    ['a missing file', 'kube-apiserver', { ...apiServerFlags(), tlsCertFile: file('nowhere') }, /--tls-cert-file .*nowhere: there is no such file/],
    [
      'a file of something else',
      'kube-apiserver',
      { ...apiServerFlags(), clientCaFile: file('broken.pem') },
      /broken\.pem: holds no PEM certificate/,
    ],
    ['a foreign key', 'kube-apiserver', { ...apiServerFlags(), tlsPrivateKeyFile: file('kubelet.key') }, /is not the key of the certificate/],
    [
      'an address nobody reaches',
      'kube-apiserver',
      { ...apiServerFlags(), advertiseAddress: '127.0.0.1' },
      /--advertise-address 127\.0\.0\.1: others cannot/,
    ],
    ['etcd', 'kube-apiserver', { ...apiServerFlags(), etcdServers: 'https://127.0.0.1:2379' }, /--etcd-servers is not there yet/],
    [
      'a port in use',
      'kube-apiserver',
      { ...apiServerFlags(), storage: file('other-store') },
      /port \d+ is in use by another program.*--secure-port/,
    ],
    ['data in use', 'kube-apiserver', { ...apiServerFlags(), securePort: 1 }, /is in use by .*stop it first/],
    ['no such kubeconfig', 'kube-scheduler', { kubeconfig: file('nowhere.conf') }, /the kubeconfig .*nowhere\.conf does not exist/],
    ['no kubeconfig', 'kube-scheduler', {}, /required option '--kubeconfig <file>' not specified/],
    ['a bad duration', 'kube-scheduler', { ...schedulerFlags, leaderElectRetryPeriod: 'soon' }, /a duration is a number with a unit/],
    ['times that contradict', 'kube-scheduler', { ...schedulerFlags, leaderElectLeaseDuration: '1s' }, /must be longer than --leader-elect-renew/],
    ['an unknown controller', 'kube-controller-manager', { ...controllerManagerFlags, controllers: 'nobody' }, /"nobody" is not in the list/],
    ['no runtime', 'kubelet', { kubeconfig: file('node.conf'), clientCaFile: file('ca.crt') }, /--container-runtime-endpoint is missing/],
  ];
  const outcomes = await Promise.all(cases.map(([, name, flags]) => run(launcher, [name, ...args(flags)], { env })));
  for (const [index, { code, stderr }] of outcomes.entries()) {
    const [name, , , words] = cases[index] ?? ['', '', {}, /never/];
    assert.match(stderr, words, name);
    assert.doesNotMatch(stderr, /^\s+at /m, `${name}: no stack`);
    assert.equal(code, 1, name);
  }
});

test('every component ends cleanly when asked to, and the store keeps what was written', async () => {
  for (const component of [...running].reverse()) {
    const { code, log } = await component.stop();
    assert.equal(code, 0, `${component.name}\n${log}`);
    assert.match(log, /"msg":"ended"/);
  }
  await begin('kube-apiserver', apiServerFlags());
  assert.equal(await kubectl('get', 'deployment', 'web', '-o', 'jsonpath={.spec.replicas}'), '3');
});
