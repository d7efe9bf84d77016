import assert from 'node:assert/strict';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer as createHttpsServer, request as httpsRequest } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { after, before, test } from 'node:test';
import { WebSocket, WebSocketServer } from 'ws';
import { createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { realWorld } from '../../src/world/real.ts';
import { type Json, startTestServer, type TestServer } from './server.ts';

let server: TestServer;
let kubelet: Server;
/** What the kubelet was asked, and by whom. */
let asked: string[] = [];
let finishFollow: (() => void) | undefined;

const pods = '/api/v1/namespaces/default/pods';

before(async () => {
  const world = realWorld({ level: 'silent' });
  const ca = await createCertificateAuthority(world, 'kubelets');
  const serving = await issueCertificate(world, { ca, commonName: 'system:node:n1', ipAddresses: ['127.0.0.1'], usages: ['server'] });
  const client = await issueCertificate(world, {
    ca,
    commonName: 'kube-apiserver-kubelet-client',
    organizations: ['system:masters'],
    usages: ['client'],
  });
  kubelet = startKubelet(serving, ca.certificate);
  const port = await listen(kubelet);
  server = await startTestServer({ kubeletClient: { certificate: client.certificate, key: client.key, ca: ca.certificate } });
  await server.send('/api/v1/nodes', { method: 'POST', body: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1' } } });
  const status = {
    addresses: [
      { type: 'Hostname', address: 'nowhere.invalid' },
      { type: 'InternalIP', address: '127.0.0.1' },
    ],
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
  };
  const patched = await server.send('/api/v1/nodes/n1/status', {
    method: 'PATCH',
    body: JSON.stringify({ status }),
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  assert.equal(patched.code, 200, patched.text);
  await server.send('/api/v1/namespaces/default/serviceaccounts', {
    method: 'POST',
    body: { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'default' } },
  });
  await createPod('one', ['app'], 'n1');
  await createPod('two', ['app', 'side'], 'n1');
  await createPod('unscheduled', ['app']);
});

after(async () => {
  await server.close();
  kubelet.closeAllConnections();
  kubelet.close();
});

async function createPod(name: string, containers: readonly string[], nodeName?: string): Promise<void> {
  const spec = { ...(nodeName && { nodeName }), containers: containers.map((container) => ({ name: container, image: 'x' })) };
  const reply = await server.send(pods, { method: 'POST', body: { apiVersion: 'v1', kind: 'Pod', metadata: { name }, spec } });
  assert.equal(reply.code, 201, reply.text);
}

function startKubelet(serving: { certificate: string; key: string }, ca: string): Server {
  const sockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'v5.channel.k8s.io' });
  const https = createHttpsServer(
    { cert: serving.certificate, key: serving.key, ca, requestCert: true, rejectUnauthorized: true },
    (request, response) => {
      const caller = request.socket instanceof TLSSocket ? String(request.socket.getPeerCertificate().subject.CN) : '';
      asked.push(`${caller} ${request.method ?? ''} ${request.url ?? ''} ${request.headers.authorization ?? '-'}`);
      if (request.url?.includes('/waiting') === true || request.url?.includes('previous=true') === true) {
        response.writeHead(400).end('container "app" in pod "one" is waiting to start: ContainerCreating');
      } else if (request.url?.includes('follow=true') === true) {
        response.write('first\n');
        finishFollow = () => response.end('last\n');
      } else {
        response.writeHead(200, { 'content-type': 'text/plain' }).end(`answer to ${request.url ?? ''}\n`);
      }
    },
  );
  https.on('upgrade', (request, socket: Duplex, head) => {
    asked.push(`${request.method ?? ''} ${request.url ?? ''} ${request.headers.upgrade ?? ''} ${request.headers.authorization ?? '-'}`);
    if (request.headers.upgrade === 'SPDY/3.1') {
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: v4.channel.k8s.io\r\n\r\n',
      );
      socket.on('data', (bytes: Buffer) => socket.write(`echo ${bytes.toString()}`));
      socket.on('error', () => socket.destroy());
      return;
    }
    sockets.handleUpgrade(request, socket, head, (webSocket) => webSocket.on('message', (data: Buffer) => webSocket.send(`echo ${data.toString()}`)));
  });
  return https;
}

async function listen(target: Server): Promise<number> {
  await new Promise<void>((resolve) => {
    target.listen(0, '127.0.0.1', resolve);
  });
  return (target.address() as AddressInfo).port;
}

test("logs come from the kubelet of the pod's node, which sees the server's certificate and never the client's token", async () => {
  asked = [];
  const reply = await server.send(`${pods}/one/log?tailLines=5&timestamps=true&pretty=true`);
  assert.equal(reply.code, 200, reply.text);
  assert.equal(reply.headers['content-type'], 'text/plain');
  assert.equal(reply.text, 'answer to /containerLogs/default/one/app?timestamps=true&tailLines=5\n');
  assert.deepEqual(asked, ['kube-apiserver-kubelet-client GET /containerLogs/default/one/app?timestamps=true&tailLines=5 -']);
});

test('options that make no sense of a log are refused before any kubelet is asked', async () => {
  asked = [];
  for (const [query, code, message] of [
    ['tailLines=-1', 422, 'PodLogOptions "one" is invalid: tailLines: Invalid value: -1: must be greater than or equal to 0'],
    ['stream=Both', 422, 'PodLogOptions "one" is invalid: stream: Unsupported value: "Both": supported values: "All", "Stderr", "Stdout"'],
    ['tailLines=x', 400, 'tailLines: "x" is no whole number'],
  ] as const) {
    const reply = await server.send(`${pods}/one/log?${query}`);
    assert.deepEqual([reply.code, (JSON.parse(reply.text) as { message: string }).message], [code, message]);
  }
  assert.deepEqual(asked, []);
});

test('followed logs flow as they are written', async () => {
  const { admin, ca, port } = server;
  const text = await new Promise<string>((resolve, reject) => {
    httpsRequest(
      { host: '127.0.0.1', port, path: `${pods}/one/log?follow=true`, ca: ca.certificate, cert: admin.certificate, key: admin.key, agent: false },
      (response) => {
        let received = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          received += chunk;
          if (received === 'first\n') finishFollow?.();
        });
        response.on('end', () => resolve(received));
      },
    )
      .on('error', reject)
      .end();
  });
  assert.equal(text, 'first\nlast\n');
});

test("what is wrong with a log request is said in upstream's words", async () => {
  const cases: readonly (readonly [string, number, string])[] = [
    [`${pods}/two/log`, 400, 'a container name must be specified for pod two, choose one of: [app side]'],
    [`${pods}/two/log?container=nope`, 400, 'container nope is not valid for pod two'],
    [`${pods}/missing/log`, 404, 'pods "missing" not found'],
    [`${pods}/one/log?previous=true`, 400, 'container "app" in pod "one" is waiting to start: ContainerCreating'],
  ];
  for (const [path, code, message] of cases) {
    const reply = await server.send(path);
    assert.equal(reply.code, code);
    assert.equal(reply.json.message, message);
  }
  const unscheduled = await server.send(`${pods}/unscheduled/log`);
  assert.equal(unscheduled.code, 200);
  assert.equal(unscheduled.text, '');
});

test('logs come over WebSockets too, as bytes or as text', async () => {
  const { admin, ca, port } = server;
  const messages = (path: string, protocols: string[]): Promise<string[]> =>
    new Promise((resolve, reject) => {
      const all: string[] = [];
      const socket = new WebSocket(`wss://127.0.0.1:${port}${pods}${path}`, protocols, {
        ca: ca.certificate,
        cert: admin.certificate,
        key: admin.key,
      });
      socket.on('message', (data: Buffer, isBinary) => {
        all.push(`${isBinary ? 'binary' : 'text'} ${data.toString()}`);
        if (data.toString() === 'first\n') finishFollow?.();
      });
      socket.on('close', () => resolve(all));
      socket.on('error', reject);
    });
  const answer = 'answer to /containerLogs/default/one/app?tailLines=5\n';
  assert.deepEqual(await messages('/one/log?tailLines=5', ['binary.k8s.io']), ['binary ', `binary ${answer}`]);
  assert.deepEqual(await messages('/one/log?tailLines=5', []), ['binary ', `binary ${answer}`]);
  assert.deepEqual(await messages('/one/log?tailLines=5', ['other', 'base64.binary.k8s.io']), [
    'binary ',
    `text ${Buffer.from(answer).toString('base64')}`,
  ]);
  assert.deepEqual(await messages('/one/log?follow=true', ['binary.k8s.io']), ['binary ', 'binary first\n', 'binary last\n']);
  assert.deepEqual(await messages('/unscheduled/log', ['binary.k8s.io']), ['binary ']);
  await assert.rejects(messages('/one/log', ['channel.k8s.io']), /400/);
  await assert.rejects(messages('/one/log?previous=true', ['binary.k8s.io']), /400/);
  await assert.rejects(messages('/missing/log', ['binary.k8s.io']), /404/);
});

function webSocketTo(path: string, options: { token?: string } = {}): WebSocket {
  const { admin, ca, port } = server;
  const proof = options.token === undefined ? { cert: admin.certificate, key: admin.key } : { headers: { authorization: `Bearer ${options.token}` } };
  return new WebSocket(`wss://127.0.0.1:${port}${path}`, ['v5.channel.k8s.io'], { ca: ca.certificate, ...proof });
}

test('exec over WebSocket is a tunnel to the kubelet', async () => {
  asked = [];
  const socket = webSocketTo(`${pods}/two/exec?container=side&command=sh&command=-c&command=date&stdin=true&stdout=true&tty=false`);
  const echoed = await new Promise<string>((resolve, reject) => {
    socket.on('open', () => socket.send('hi'));
    socket.on('message', (data: Buffer) => resolve(data.toString()));
    socket.on('error', reject);
  });
  socket.close();
  assert.equal(echoed, 'echo hi');
  assert.equal(socket.protocol, 'v5.channel.k8s.io');
  assert.deepEqual(asked, ['GET /exec/default/two/side?command=sh&command=-c&command=date&input=1&output=1 websocket -']);
});

test('port-forward over SPDY is a tunnel to the kubelet', async () => {
  asked = [];
  const { admin, ca, port } = server;
  const received = await new Promise<string>((resolve, reject) => {
    const request = httpsRequest({
      host: '127.0.0.1',
      port,
      path: `${pods}/one/portforward`,
      method: 'POST',
      headers: { connection: 'Upgrade', upgrade: 'SPDY/3.1', 'x-stream-protocol-version': 'portforward.k8s.io' },
      ca: ca.certificate,
      cert: admin.certificate,
      key: admin.key,
      agent: false,
    });
    request.on('upgrade', (response, socket) => {
      assert.equal(response.headers['x-stream-protocol-version'], 'v4.channel.k8s.io');
      socket.on('data', (bytes: Buffer) => {
        socket.destroy();
        resolve(bytes.toString());
      });
      socket.write('frames');
    });
    request.on('error', reject);
    request.end();
  });
  assert.equal(received, 'echo frames');
  assert.deepEqual(asked, ['POST /portForward/default/one SPDY/3.1 -']);
});

/** The status of a refused upgrade. */
function refusal(socket: WebSocket): Promise<Json> {
  return new Promise((resolve, reject) => {
    socket.on('open', () => reject(new Error('the upgrade was not refused')));
    socket.on('error', () => undefined);
    socket.on('unexpected-response', (_request, response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(JSON.parse(text)));
    });
  });
}

test('streams are refused before the kubelet hears of them', async () => {
  asked = [];
  assert.equal(
    (await refusal(webSocketTo(`${pods}/two/exec?command=date&stdout=true`))).message,
    'a container name must be specified for pod two, choose one of: [app side]',
  );
  assert.equal((await refusal(webSocketTo(`${pods}/one/exec?command=date`))).message, 'you must specify at least 1 of stdin, stdout, stderr');
  assert.equal((await refusal(webSocketTo(`${pods}/missing/exec?command=date&stdout=true`))).code, 404);
  assert.equal(
    (await refusal(webSocketTo(`${pods}/unscheduled/exec?command=date&stdout=true`))).message,
    'pod unscheduled does not have a host assigned',
  );
  assert.equal((await refusal(webSocketTo(`${pods}/one/exec?command=date&stdout=true`, { token: 'sesame' }))).code, 403);
  assert.equal((await refusal(webSocketTo(`${pods}/one/exec?command=date&stdout=true`, { token: 'wrong' }))).code, 401);
  const plain = await server.send(`${pods}/one/exec?command=date&stdout=true`, { method: 'POST' });
  assert.equal(plain.json.message, 'Upgrade request required');
  assert.deepEqual(asked, []);
});

test('who may only read pods may not run commands in them, by whatever method a WebSocket begins', async () => {
  const rbac = '/apis/rbac.authorization.k8s.io/v1/namespaces/default';
  const apiVersion = 'rbac.authorization.k8s.io/v1';
  await server.send(`${rbac}/roles`, {
    method: 'POST',
    body: { apiVersion, kind: 'Role', metadata: { name: 'looker' }, rules: [{ apiGroups: [''], resources: ['pods', 'pods/exec'], verbs: ['get'] }] },
  });
  await server.send(`${rbac}/rolebindings`, {
    method: 'POST',
    body: {
      apiVersion,
      kind: 'RoleBinding',
      metadata: { name: 'looker' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'looker' },
      subjects: [{ kind: 'User', apiGroup: 'rbac.authorization.k8s.io', name: 'ali' }],
    },
  });
  const refused = await refusal(webSocketTo(`${pods}/one/exec?command=date&stdout=true`, { token: 'sesame' }));
  assert.match(refused.message, /cannot create resource "pods\/exec"/);
});

test('the proxy of a node leads to its kubelet', async () => {
  assert.equal((await server.send('/api/v1/nodes/n1/proxy/metrics?x=1')).text, 'answer to /metrics?x=1\n');
  const redirect = await server.send('/api/v1/nodes/n1/proxy');
  assert.equal(redirect.code, 301);
  assert.equal(redirect.headers.location, '/api/v1/nodes/n1/proxy/');
});

test('a kubelet that does not answer is a 503', async () => {
  const status = { addresses: [{ type: 'InternalIP', address: '127.0.0.1' }], daemonEndpoints: { kubeletEndpoint: { Port: 1 } } };
  await server.send('/api/v1/nodes', { method: 'POST', body: { apiVersion: 'v1', kind: 'Node', metadata: { name: 'down' } } });
  await server.send('/api/v1/nodes/down/status', {
    method: 'PATCH',
    body: JSON.stringify({ status }),
    headers: { 'content-type': 'application/merge-patch+json' },
  });
  await createPod('lost', ['app'], 'down');
  const log = await server.send(`${pods}/lost/log`);
  assert.equal(log.code, 503);
  assert.equal((await refusal(webSocketTo(`${pods}/lost/attach?stdout=true`))).code, 503);
});

test("the proxy of a pod reaches its port, but never the server's own loopback", async () => {
  const backend = createHttpServer((request, response) => response.end(`${request.method ?? ''} ${request.url ?? ''}`));
  const port = await listen(backend);
  try {
    await server.send(`${pods}/one/status`, {
      method: 'PATCH',
      body: JSON.stringify({ status: { podIP: '127.0.0.1', podIPs: [{ ip: '127.0.0.1' }] } }),
      headers: { 'content-type': 'application/merge-patch+json' },
    });
    const reply = await server.send(`${pods}/one:${port}/proxy/x`);
    assert.equal(reply.code, 400);
    assert.equal(reply.json.message, 'address not allowed');
  } finally {
    backend.close();
  }
});
