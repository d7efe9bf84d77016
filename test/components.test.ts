/** The components run alone, each in a process of its own under its upstream name, from certificates and kubeconfigs as kubeadm would make them. */
import assert from 'node:assert/strict';
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { renderKubeconfig } from '../src/client/kubeconfig.ts';
import { type CertificatePair, createCertificateAuthority, createSigningKey, issueCertificate } from '../src/kubeadm/certificates.ts';
import { realWorld } from '../src/world/real.ts';
import { eventually } from './support/cluster-under-test.ts';
import { lastWill } from './support/last-will.ts';
import { launcher, run, start, stockTools } from './support/stock-tools.ts';

const world = realWorld({ level: 'silent' });
const directory = mkdtempSync(join(tmpdir(), 'k8ts-components-'));
const file = (name: string): string => join(directory, name);
const env = { HOME: directory, KUBECONFIG: file('admin.conf') };
const serviceRange = '10.251.0.0/16';
/** A busy machine must not cost anybody the lead; who is stopped gives it back at once. */
const patience = { leaderElectLeaseDuration: '30s', leaderElectRenewDeadline: '20s', leaderElectRetryPeriod: '200ms' };

type Flags = Readonly<Record<string, string | number>>;

interface Component {
  readonly name: string;
  /** SIGTERM; the exit code and everything it logged. */
  stop(): Promise<{ code: number | null; log: string }>;
}

const running = new Set<Component>();
let apiServerPort = 0;
let kubeletPort = 0;
let managerPort = 0;
let schedulerPort = 0;

function args(flags: Flags): string[] {
  return Object.entries(flags).map(([name, value]) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${value}`);
}

/** Resolves when the component says that it started; fails with its own words when it ends first. */
async function begin(name: string, flags: Flags): Promise<Component> {
  const child: ChildProcess = start(launcher, [name, ...args(flags)], { env, timeoutMs: 300_000 });
  const lines: string[] = [];
  const will = lastWill('kill "$1"', String(child.pid));
  const started = Promise.withResolvers<void>();
  const ended = new Promise<number | null>((resolve) => {
    child.on('close', (code) => {
      will.withdraw();
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

/** The port's certificate is signed by itself. */
function get(port: number, path: string, token?: string): Promise<{ code: number; body: string }> {
  return new Promise((resolve, reject) => {
    const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
    const asked = request({ host: '127.0.0.1', port, path, headers, rejectUnauthorized: false, agent: false }, (response) => {
      let body = '';
      response.setEncoding('utf8');
      response.on('data', (piece: string) => (body += piece));
      response.on('end', () => resolve({ code: response.statusCode ?? 0, body }));
    });
    asked.on('error', reject);
    asked.end();
  });
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
  managerPort = await freePort();
  schedulerPort = await freePort();
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

const controllerManagerFlags = {
  kubeconfig: file('controller-manager.conf'),
  rootCaFile: file('ca.crt'),
  serviceAccountPrivateKeyFile: file('sa.key'),
  securePort: 0,
  ...patience,
};
const schedulerFlags = { kubeconfig: file('scheduler.conf'), securePort: 0, ...patience };
const leader = (lease: string): Promise<string> => kubectl('-n', 'kube-system', 'get', 'lease', lease, '-o', 'jsonpath={.spec.holderIdentity}');

test('a deployment becomes available with every component in a process of its own', async () => {
  await Promise.all([
    begin('kube-controller-manager', {
      ...controllerManagerFlags,
      securePort: managerPort,
      bindAddress: '127.0.0.1',
      controllers: '*,-ttl',
      nodeEvictionRate: 0.5,
      concurrentDeploymentSyncs: 1,
      nodeMonitorPeriod: '7s',
      maxEndpointsPerSlice: 50,
    }),
    begin('kube-scheduler', { ...schedulerFlags, securePort: schedulerPort, bindAddress: '127.0.0.1' }),
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

test('the API server says in a Lease that it lives, and since when it looks which tokens are used', async () => {
  const selector = 'apiserver.kubernetes.io/identity=kube-apiserver';
  const leases = await kubectl(
    '-n',
    'kube-system',
    'get',
    'leases',
    '-l',
    selector,
    '-o',
    'jsonpath={.items[*].metadata.name} {.items[*].spec.leaseDurationSeconds}',
  );
  assert.match(leases, /^apiserver-[a-z2-7]{26} 3600$/);
  const tracking = 'kube-apiserver-legacy-service-account-token-tracking';
  assert.match(await kubectl('-n', 'kube-system', 'get', 'configmap', tracking, '-o', 'jsonpath={.data.since}'), /^\d{4}-\d\d-\d\d$/);
});

test('each controller acts as a service account of its own, which the manager made', async () => {
  const accounts = await kubectl('-n', 'kube-system', 'get', 'serviceaccounts', '-o', 'name');
  for (const name of ['deployment-controller', 'replicaset-controller', 'node-controller']) {
    assert.ok(accounts.includes(`serviceaccount/${name}\n`), `${name} is missing in ${accounts}`);
  }
});

test('the manager serves health to anybody, and metrics to whom the cluster lets see them', async () => {
  const ask = async (path: string, token?: string): Promise<{ code: number; body: string }> => {
    const { code, body } = await get(managerPort, path, token);
    return { code, body };
  };
  assert.deepEqual(await ask('/healthz'), { code: 200, body: 'ok' });
  assert.match((await ask('/healthz?verbose')).body, /\[\+\]leaderElection ok\n[^]*healthz check passed/);
  assert.equal((await ask('/livez')).code, 200);
  assert.equal((await ask('/healthz/job-controller')).code, 403, 'only /healthz itself is open');
  const refused = await ask('/metrics');
  assert.equal(refused.code, 403);
  assert.match(refused.body, /User \\"system:anonymous\\" cannot get path \\"\/metrics\\"/);
  assert.equal((await ask('/metrics', 'nonsense')).code, 401);

  await kubectl('create', 'serviceaccount', 'reader');
  const token = (await kubectl('create', 'token', 'reader')).trim();
  assert.equal((await ask('/metrics', token)).code, 403);
  await kubectl('create', 'clusterrole', 'sees-metrics', '--verb=get', '--non-resource-url=/metrics', '--non-resource-url=/healthz/*');
  await kubectl('create', 'clusterrolebinding', 'reader-sees', '--clusterrole=sees-metrics', '--serviceaccount=default:another');
  await kubectl('create', 'serviceaccount', 'another');
  const other = (await kubectl('create', 'token', 'another')).trim();
  const { code, body } = await ask('/metrics', other);
  assert.equal(code, 200);
  assert.match(body, /^leader_election_master_status\{name="kube-controller-manager"\} 1$/m);
  assert.match(body, /^workqueue_adds_total\{name="replicaset"\} [1-9]/m);
  assert.match(body, /^workqueue_depth\{name="deployment"\} 0$/m);
  assert.match(body, /^workqueue_work_duration_seconds_count\{name="deployment"\} [1-9]/m);
  assert.match(body, /^running_managed_controllers\{manager="kube-controller-manager",name="job-controller"\} 1$/m);
  assert.equal((await ask('/healthz/job-controller', other)).code, 200);
  assert.equal((await ask('/healthz/ttl-controller', other)).code, 404, 'a controller that was left out has no health');
});

test('the scheduler serves health to anybody, and metrics and explanations to whom the cluster lets see them', async () => {
  const ask = (path: string, token?: string): Promise<{ code: number; body: string }> => get(schedulerPort, path, token);
  for (const path of ['/healthz', '/livez', '/readyz']) assert.deepEqual(await ask(path), { code: 200, body: 'ok' });
  assert.equal((await ask('/metrics')).code, 403);

  const explanations = '/apis/k8ts.io/v1/namespaces/*';
  await kubectl('create', 'serviceaccount', 'watcher');
  await kubectl('create', 'clusterrole', 'sees-scheduler', '--verb=get', '--non-resource-url=/metrics', `--non-resource-url=${explanations}`);
  await kubectl('create', 'clusterrolebinding', 'watcher-sees', '--clusterrole=sees-scheduler', '--serviceaccount=default:watcher');
  const token = (await kubectl('create', 'token', 'watcher')).trim();
  const { code, body } = await ask('/metrics', token);
  assert.equal(code, 200);
  assert.match(body, /^leader_election_master_status\{name="kube-scheduler"\} 1$/m);
  assert.match(body, /^scheduler_schedule_attempts_total\{profile="default-scheduler",result="scheduled"\} [1-9]/m);
  assert.match(body, /^scheduler_pending_pods\{queue="active"\} 0$/m);
  assert.match(
    body,
    /^scheduler_framework_extension_point_duration_seconds_count\{extension_point="Bind",profile="default-scheduler",status="Success"\} [1-9]/m,
  );

  const [pod = ''] = (await kubectl('get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].metadata.name}')).split(' ');
  const place = `/apis/k8ts.io/v1/namespaces/default/pods/${pod}/scheduling`;
  assert.equal((await ask(place)).code, 403);
  const explained = await ask(place, token);
  assert.equal(explained.code, 200, explained.body);
  assert.match(explained.body, /"kind":"PodScheduling".*"assignedNode":"lone"/);
  for (const nowhere of [`${place}/more`, '/apis/k8ts.io/v1/namespaces/default/pods/nobody/scheduling', '/apis/k8ts.io/v1/namespaces/default/pods']) {
    assert.equal((await ask(nowhere, token)).code, 404, nowhere);
  }
});

test('a Secret of a service account gets a token that opens the API', async () => {
  const manifest = file('token.json');
  writeFileSync(
    manifest,
    JSON.stringify({
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/service-account-token',
      metadata: { name: 'reader-token', annotations: { 'kubernetes.io/service-account.name': 'reader' } },
    }),
  );
  await kubectl('apply', '-f', manifest);
  const token = await eventually('the Secret has a token', async () => {
    const text = await kubectl('get', 'secret', 'reader-token', '-o', 'jsonpath={.data.token}');
    return text === '' ? undefined : Buffer.from(text, 'base64').toString();
  });
  // The administrator's certificate must not speak for it.
  const kubeconfig = file('nobody.conf');
  writeFileSync(kubeconfig, '');
  const server = `https://127.0.0.1:${apiServerPort}`;
  const words = ['auth', 'whoami', '--kubeconfig', kubeconfig, '--server', server, '--certificate-authority', file('ca.crt'), '--token', token];
  assert.match(await kubectl(...words), /system:serviceaccount:default:reader/);
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
  const pages = { healthzBindAddress: '127.0.0.1:10356', metricsBindAddress: '127.0.0.1:10349' };
  const proxy = await begin('kube-proxy', { kubeconfig: file('proxy.conf'), clusterCidr: '10.244.0.0/16', hostnameOverride: 'lone', ...pages });
  const address = await kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
  await eventually('the rules name the Service', async () => {
    const { stdout } = await run('nft', ['list', 'table', 'ip', 'k8ts-services']);
    return stdout.includes(address) ? true : undefined;
  });
  const health = await fetch('http://127.0.0.1:10356/healthz');
  assert.equal(health.status, 200);
  assert.match(await health.text(), /^{"lastUpdated":"[^"]+","currentTime":"[^"]+","nodeEligible":true}$/);
  assert.equal(await (await fetch('http://127.0.0.1:10349/proxyMode')).text(), 'nftables');
  assert.match(await (await fetch('http://127.0.0.1:10349/metrics')).text(), /^kubeproxy_sync_proxy_rules_duration_seconds_count [1-9]/m);
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
    ['a port that is none', 'kube-controller-manager', { ...controllerManagerFlags, securePort: 70_000 }, /a port is a whole number/],
    [
      'half a pair',
      'kube-controller-manager',
      { ...controllerManagerFlags, securePort: 1, tlsCertFile: file('ca.crt') },
      /--tls-cert-file and --tls-private/,
    ],
    ['a share that is none', 'kube-controller-manager', { ...controllerManagerFlags, unhealthyZoneThreshold: 1.1 }, /must be from 0 to 1, not 1\.1/],
    [
      'slices of nothing',
      'kube-controller-manager',
      { ...controllerManagerFlags, maxEndpointsPerSlice: 0 },
      /--max-endpoints-per-slice must be from 1/,
    ],
    ['a rate that is none', 'kube-controller-manager', { ...controllerManagerFlags, nodeEvictionRate: 'fast' }, /it is a number from 0 up/],
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
