/** Ingresses on real containers: hosts and paths, certificates from secrets, statuses, a port that somebody else has, and pods that come and go. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createCertificateAuthority, issueCertificate } from '../src/kubeadm/certificates.ts';
import { realWorld } from '../src/world/real.ts';
import { type ClusterUnderTest, eventually, startClusterUnderTest } from './support/cluster-under-test.ts';
import { run } from './support/stock-tools.ts';

async function freePort(): Promise<number> {
  const server = createServer().listen(0);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

describe('an Ingress', () => {
  let cluster: ClusterUnderTest;
  let [httpPort, httpsPort] = [0, 0];
  before(async () => {
    [httpPort, httpsPort] = await Promise.all([freePort(), freePort()]);
    cluster = await startClusterUnderTest('--ingress-http-port', String(httpPort), '--ingress-https-port', String(httpsPort));
    for (const version of [1, 2]) {
      await cluster.kubectl(`create deployment hello-${version} --image=k8ts.local/hello:${version}`);
      await cluster.kubectl(`expose deployment hello-${version} --port=80 --target-port=8080`);
    }
    for (const version of [1, 2]) await cluster.kubectl(`rollout status deployment/hello-${version} --timeout=60s`, { timeoutMs: 70_000 });
  });
  after(() => cluster.close());

  /** `code body`, as curl got it. */
  async function ask(host: string, path = '/', ...args: string[]): Promise<string> {
    const { stdout } = await run('curl', [
      '-s',
      '--max-time',
      '10',
      '-w',
      ' %{http_code}',
      ...args,
      '-H',
      `Host: ${host}`,
      `http://127.0.0.1:${httpPort}${path}`,
    ]);
    return stdout.replace(/\n/g, '');
  }

  test('takes no port before there is one', async () => {
    assert.equal((await run('curl', ['-s', '--max-time', '5', `http://127.0.0.1:${httpPort}/`])).code, 7);
    assert.match(await cluster.kubectl('get ingressclass'), /^k8ts +k8ts\.io\/ingress/m);
  });

  test('leads hosts and paths to Services', async () => {
    await cluster.kubectl([
      ...'create ingress web'.split(' '),
      '--rule=hello.example.com/*=hello-1:80',
      '--rule=hello.example.com/two*=hello-2:80',
      '--rule=*.any.example.com/=hello-2:80',
    ]);
    await eventually('it is served', async () => ((await ask('hello.example.com')).endsWith(' 200') ? true : undefined));
    assert.match(await ask('hello.example.com'), /version 1 200$/);
    assert.match(await ask('one.any.example.com'), /version 2 200$/);
    assert.match(await ask('hello.example.com', '/two'), /not found 404$/, 'from the pod, which has no such page');
    assert.match(await ask('hello.example.com', '/healthz'), /^ok 200$/);
    assert.match(await ask('other.example.com'), /no ingress rule.* 404$/);
  });

  test('says where it can be reached', async () => {
    const node = await cluster.kubectl('get nodes -o jsonpath={.items[0].status.addresses[0].address}');
    const status = await eventually('the status is written', async () => {
      const text = await cluster.kubectl('get ingress web -o jsonpath={.status.loadBalancer.ingress}');
      return text === '' ? undefined : (JSON.parse(text) as object);
    });
    assert.deepEqual(status, [
      {
        ip: node,
        ports: [
          { port: httpPort, protocol: 'TCP' },
          { port: httpsPort, protocol: 'TCP' },
        ],
      },
    ]);
    assert.match(await cluster.kubectl('get ingress web'), new RegExp(`^web +k8ts +hello\\.example\\.com,\\S+ +${node} +80 `, 'm'));
  });

  test('serves certificates from secrets, and new ones when those change', async () => {
    const world = realWorld();
    const ca = await createCertificateAuthority(world, 'test');
    const caFile = join(cluster.dataDir, 'test-ca.pem');
    writeFileSync(caFile, ca.certificate);
    const host = 'secure.example.com';
    const putSecret = async (): Promise<void> => {
      const { certificate, key } = await issueCertificate(world, { ca, commonName: host, dnsNames: [host], usages: ['server'] });
      const data = { 'tls.crt': Buffer.from(certificate).toString('base64'), 'tls.key': Buffer.from(key).toString('base64') };
      const file = join(cluster.dataDir, 'tls.json');
      writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'Secret', metadata: { name: 'tls' }, type: 'kubernetes.io/tls', data }));
      await cluster.kubectl(['apply', '-f', file]);
    };
    const serial = async (): Promise<string> => {
      const { stdout } = await run('sh', [
        '-c',
        `openssl s_client -connect 127.0.0.1:${httpsPort} -servername ${host} </dev/null 2>/dev/null | openssl x509 -noout -serial`,
      ]);
      return stdout.trim();
    };
    const secure = (...args: string[]): ReturnType<typeof run> =>
      run('curl', [
        '-s',
        '--max-time',
        '10',
        '-w',
        ' %{http_code} %{http_version}',
        '--resolve',
        `${host}:${httpsPort}:127.0.0.1`,
        ...args,
        `https://${host}:${httpsPort}/`,
      ]);
    await putSecret();
    await cluster.kubectl(['create', 'ingress', 'secure', `--rule=${host}/*=hello-1:80,tls=tls`]);
    await eventually('its certificate is believed', async () => ((await secure('--cacert', caFile)).stdout.includes(' 200') ? true : undefined));
    assert.match((await secure('--cacert', caFile)).stdout, /version 1\n 200 2$/, 'by HTTP/2');
    assert.match((await secure('--cacert', caFile, '--http1.1')).stdout, /version 1\n 200 1\.1$/);
    const before_ = await serial();
    await putSecret();
    await eventually('the new one is served', async () => ((await serial()) === before_ ? undefined : true));
    assert.equal(
      (await run('curl', ['-s', '--max-time', '10', `https://127.0.0.1:${httpsPort}/`])).code,
      60,
      'nobody need believe the one for other names',
    );
  });

  test('loses no request while pods are replaced', async () => {
    await cluster.kubectl([
      'patch',
      'deployment',
      'hello-1',
      '--type=json',
      '-p',
      JSON.stringify([
        {
          op: 'add',
          path: '/spec/template/spec/containers/0/readinessProbe',
          value: { httpGet: { path: '/healthz', port: 8080 }, periodSeconds: 1 },
        },
        { op: 'add', path: '/spec/template/spec/containers/0/lifecycle', value: { preStop: { sleep: { seconds: 2 } } } },
      ]),
    ]);
    await cluster.kubectl('rollout status deployment/hello-1 --timeout=60s', { timeoutMs: 70_000 });
    let rolling = true;
    const rollout = cluster
      .kubectl('set image deployment/hello-1 hello=k8ts.local/hello:2')
      .then(() => cluster.kubectl('rollout status deployment/hello-1 --timeout=60s', { timeoutMs: 70_000 }))
      .finally(() => (rolling = false));
    const answers: string[] = [];
    while (rolling) answers.push(await ask('hello.example.com'));
    await rollout;
    assert.deepEqual(
      answers.filter((answer) => !answer.endsWith(' 200')),
      [],
    );
    assert.match(await ask('hello.example.com'), /version 2 200$/);
  });

  test('says that nothing is ready, or there', async () => {
    await cluster.kubectl('scale deployment hello-2 --replicas=0');
    await eventually('nothing is behind it', async () => ((await ask('one.any.example.com')).endsWith(' 503') ? true : undefined));
    await cluster.kubectl('delete ingress web');
    await eventually('its rules are gone', async () => ((await ask('hello.example.com')).endsWith(' 404') ? true : undefined));
  });
});

test('a cluster whose ports somebody else has works all the same, and says so where one looks', async () => {
  const holder = createServer().listen(0);
  await once(holder, 'listening');
  const { port } = holder.address() as AddressInfo;
  const cluster = await startClusterUnderTest('--ingress-http-port', String(port), '--ingress-https-port', String(await freePort()));
  try {
    await cluster.kubectl(['create', 'ingress', 'web', '--rule=hello.example.com/*=hello:80']);
    const events = await eventually('the event is there', async () => {
      const text = await cluster.kubectl('describe ingress web');
      return text.includes('PortUnavailable') ? text : undefined;
    });
    assert.match(events, new RegExp(`port ${port} of node \\S+ cannot be had \\(another program listens there\\)`));
    await new Promise((resolve) => holder.close(resolve));
    await eventually('the port is taken when it is free', async () => {
      const { stdout } = await run('curl', ['-s', '--max-time', '5', '-o', '/dev/null', '-w', '%{http_code}', `http://127.0.0.1:${port}/`]);
      return stdout === '404' ? true : undefined;
    });
  } finally {
    holder.close();
    await cluster.close();
  }
});
