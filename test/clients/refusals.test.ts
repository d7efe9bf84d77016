/** What users read when a kubelet refuses to be connected with: stock kubectl of two ages, over SPDY and WebSocket, against a kubelet that only refuses. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { HttpError, refuseUpgrade } from '../../src/kubelet/server/responses.ts';
import { realWorld } from '../../src/world/real.ts';
import { kubeconfigOf } from '../apiserver/kubeconfig.ts';
import { startTestServer, type TestServer } from '../apiserver/server.ts';
import { debianKubectl } from '../support/debian-packages.ts';
import { run, stockTools } from '../support/stock-tools.ts';

const home = mkdtempSync(join(tmpdir(), 'k8ts-refusals-'));
const kubeconfig = join(home, 'kubeconfig');
let server: TestServer | undefined;
let kubelet: Server | undefined;
let refusal = new HttpError(500, '');

before(async () => {
  const world = realWorld({ level: 'silent' });
  const ca = await createCertificateAuthority(world, 'kubelets');
  const serving = await issueCertificate(world, { ca, commonName: 'system:node:n1', ipAddresses: ['127.0.0.1'], usages: ['server'] });
  const client = await issueCertificate(world, { ca, commonName: 'kube-apiserver-kubelet-client', usages: ['client'] });
  const started = createServer({ cert: serving.certificate, key: serving.key });
  kubelet = started;
  started.on('upgrade', (_request, socket) => {
    socket.on('error', () => undefined);
    refuseUpgrade(socket, refusal);
  });
  await new Promise<void>((resolve) => {
    started.listen(0, '127.0.0.1', resolve);
  });
  // It listens on TCP.
  const { port } = started.address() as AddressInfo;
  const api = await startTestServer({ kubeletClient: { certificate: client.certificate, key: client.key, ca: ca.certificate } });
  server = api;
  const create = async (path: string, body: object): Promise<void> => {
    const reply = await api.send(path, { method: 'POST', body });
    assert.equal(reply.code, 201, reply.text);
  };
  const patch = async (path: string, body: object): Promise<void> => {
    const headers = { 'content-type': 'application/merge-patch+json' };
    const reply = await api.send(`${path}/status`, { method: 'PATCH', body: JSON.stringify(body), headers });
    assert.equal(reply.code, 200, reply.text);
  };
  await create('/api/v1/nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } });
  const addresses = [{ type: 'InternalIP', address: '127.0.0.1' }];
  await patch('/api/v1/nodes/n1', { status: { addresses, daemonEndpoints: { kubeletEndpoint: { Port: port } } } });
  await create('/api/v1/namespaces/default/serviceaccounts', { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } });
  const spec = { nodeName: 'n1', containers: [{ name: 'app', image: 'x' }] };
  await create('/api/v1/namespaces/default/pods', { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'web' }, spec });
  await patch('/api/v1/namespaces/default/pods/web', { status: { phase: 'Running' } });
  writeFileSync(kubeconfig, JSON.stringify(kubeconfigOf(api)));
});

after(async () => {
  await server?.close();
  kubelet?.closeAllConnections();
  kubelet?.close();
  rmSync(home, { recursive: true, force: true });
});

const clients = [
  { version: 'v1.35', kubectl: () => stockTools().kubectl },
  { version: 'v1.20', kubectl: () => debianKubectl('bookworm') },
];
const commands = ['exec web -- true', 'attach web', 'port-forward web :80'];

for (const { version, kubectl } of clients) {
  describe(`kubectl ${version} tells why the kubelet refused`, () => {
    for (const command of commands) {
      for (const message of ['container not found ("app")', 'rpc error: code = Unavailable desc = the runtime: gone']) {
        test(`${command.split(' ')[0]}: ${message}`, async () => {
          refusal = new HttpError(500, message);
          const env = { HOME: home, KUBECONFIG: kubeconfig };
          const { code, stdout, stderr } = await run(await kubectl(), command.split(' '), { env, timeoutMs: 60_000 });
          // Who forwards a port goes on listening after a refusal of the first protocol; it says so, too.
          assert.notEqual(code, 0, stdout + stderr);
          assert.ok(stderr.includes(message), stderr);
        });
      }
    }
  });
}
