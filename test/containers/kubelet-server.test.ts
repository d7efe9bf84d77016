/** The kubelet's own server in front of Debian's containerd, spoken to as the API server's callers do: SPDY and WebSocket byte for byte. */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Duplex, Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import type { Pod } from '../../src/api/kinds.ts';
import { loadImages } from '../../src/cluster/images/load.ts';
import { type CertificatePair, createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import { type KubeletServer, startKubeletServer } from '../../src/kubelet/server/kubelet-server.ts';
import { simulatedHost } from '../../src/kubelet/host.ts';
import { KubeletCounters } from '../../src/kubelet/stats/kubelet-counters.ts';
import { defaultPages } from '../../src/kubelet/server/served-pages.ts';
import type { ServedPods } from '../../src/kubelet/server/served-pods.ts';
import { encodeFrame } from '../../src/kubelet/server/spdy-frames.ts';
import { SpdySession, type SpdyStream } from '../../src/kubelet/server/spdy-session.ts';
import { realWorld } from '../../src/world/real.ts';
import { buildBusyboxImage, buildNginxImage } from '../images/debian-image.ts';
import { type PrivateContainerd, privateContainerd } from './private-containerd.ts';

const world = realWorld({ level: 'silent' });

interface RunningPod {
  readonly sandboxId: string;
  readonly containerId: string;
  readonly logPath: string;
}

describe("the kubelet's server", { skip: process.getuid?.() !== 0 && 'needs root' }, () => {
  const running = new Map<string, RunningPod>();
  let host: PrivateContainerd;
  let server: KubeletServer;
  let ca: CertificatePair;
  let apiServer: CertificatePair;
  let stranger: CertificatePair;
  let nodeLogs: string;

  before(async () => {
    nodeLogs = await mkdtemp(join(tmpdir(), 'k8ts-node-logs-'));
    await mkdir(join(nodeLogs, 'deep'));
    await writeFile(join(nodeLogs, 'agent.log'), 'first\nsecond\n');
    await writeFile(join(nodeLogs, 'deep/down.log'), 'down\n');
    host = await privateContainerd(world, '10.201.5');
    const { socket } = host.containerd;
    await loadImages({ socket, path: await buildBusyboxImage() });
    await loadImages({ socket, path: await buildNginxImage() });
    running.set('shell', await host.run('shell', host.container('busybox', { command: ['sh', '-c', 'echo started; exec sleep 1000'] })));
    running.set('web', await host.run('web', host.container('nginx')));
    running.set('cat', await host.run('cat', host.container('busybox', { command: ['cat'], stdin: true })));
    ca = await createCertificateAuthority(world, 'test-ca');
    const serving = await issueCertificate(world, { ca, commonName: 'system:node:test', ipAddresses: ['127.0.0.1'], usages: ['server'] });
    apiServer = await issueCertificate(world, { ca, commonName: 'kube-apiserver-kubelet-client', usages: ['client'] });
    stranger = await issueCertificate(world, { ca, commonName: 'jane', organizations: ['developers', 'people'], usages: ['client'] });
    const { runtime } = host;
    server = await startKubeletServer({
      world,
      pods: servedPods(running),
      runtime,
      // These pods have no cgroup of a kubelet's making: what they use is asked of the runtime.
      stats: {
        host: simulatedHost(),
        counters: new KubeletCounters(),
        places: { cgroupOf: (pod) => `/none/${pod.metadata.uid}`, rootDir: tmpdir(), logRoot: tmpdir() },
      },
      host: '127.0.0.1',
      port: 0,
      ...serving,
      clientCa: ca.certificate,
      pages: { ...defaultPages, systemLogQuery: true },
      nodeLogs,
    });
  });
  after(async () => {
    await server.close();
    await host.close();
    await rm(nodeLogs, { recursive: true });
  });

  function connection(as: CertificatePair | undefined): { host: string; port: number; ca: string; cert?: string; key?: string } {
    const { port } = server;
    return { host: '127.0.0.1', port, ca: ca.certificate, ...(as === undefined ? {} : { cert: as.certificate, key: as.key }) };
  }

  function get(path: string, as: CertificatePair | undefined = apiServer): Promise<{ code: number; body: string }> {
    return new Promise((resolve, reject) => {
      const request = httpsRequest({ ...connection(as), path, agent: false }, (response) => {
        text(response).then((body) => resolve({ code: response.statusCode ?? 0, body }), reject);
      });
      request.once('error', reject);
      request.end();
    });
  }

  function ask(
    method: string,
    path: string,
    headers: OutgoingHttpHeaders = {},
  ): Promise<{ code: number; headers: IncomingHttpHeaders; body: string }> {
    return new Promise((resolve, reject) => {
      const request = httpsRequest({ ...connection(apiServer), method, path, headers, agent: false }, (response) => {
        text(response).then((body) => resolve({ code: response.statusCode ?? 0, headers: response.headers, body }), reject);
      });
      request.once('error', reject);
      request.end();
    });
  }

  /** What `kubectl` does where WebSockets are not to be had. */
  async function spdy(path: string, protocol: string): Promise<SpdySession> {
    const headers = { Connection: 'Upgrade', Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': protocol };
    const socket = await new Promise<Duplex>((resolve, reject) => {
      const request = httpsRequest({ ...connection(apiServer), path, method: 'POST', headers, agent: false });
      request.once('upgrade', (response, upgraded) => {
        assert.equal(response.headers['x-stream-protocol-version'], protocol);
        resolve(upgraded);
      });
      request.once('response', (response) => void text(response).then((body) => reject(new Error(`${response.statusCode} ${body}`))));
      request.once('error', reject);
      request.end();
    });
    return new SpdySession(socket, { role: 'client' });
  }

  /** Sends input, then collects each channel's output until the server closes. */
  async function webSocket(path: string, protocol: string, input: readonly (Buffer | string)[] = []): Promise<Map<number, string>> {
    const { host: address, port, ca: trusted, ...as } = connection(apiServer);
    const socket = new WebSocket(`wss://${address}:${port}${path}`, [protocol], { ca: trusted, ...as });
    const output = new Map<number, string>();
    socket.on('message', (message: Buffer, isBinary) => {
      const channel = isBinary ? (message[0] ?? 0) : Number(message.toString('latin1', 0, 1));
      const data = isBinary ? message.subarray(1).toString() : Buffer.from(message.toString('latin1', 1), 'base64').toString();
      output.set(channel, (output.get(channel) ?? '') + data);
    });
    await new Promise((resolve, reject) => {
      socket.once('open', resolve);
      socket.once('error', reject);
    });
    assert.equal(socket.protocol, protocol);
    const closed = new Promise((resolve) => socket.once('close', resolve));
    for (const message of input) socket.send(message);
    await closed;
    return output;
  }

  test('knows its callers by their certificates', async () => {
    assert.deepEqual(await get('/healthz'), { code: 200, body: 'ok' });
    assert.equal((await get('/healthz', undefined)).code, 200, 'the default parameter is the API server');
    const anonymous = await new Promise<number>((resolve, reject) => {
      const request = httpsRequest({ ...connection(undefined), path: '/pods', agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode ?? 0);
      });
      request.once('error', reject);
      request.end();
    });
    assert.equal(anonymous, 401);
    const refused = await get('/pods', stranger);
    assert.deepEqual([refused.code, refused.body], [403, 'Forbidden (user=jane, verb=get, resource=nodes, subresource(s)=[pods proxy])\n']);
  });

  test('lists its pods, and answers 404 to what it does not know', async () => {
    const { body } = await get('/pods');
    assert.deepEqual(
      (JSON.parse(body) as { items: Pod[] }).items.map(({ metadata }) => metadata.name),
      ['shell', 'web', 'cat'],
    );
    for (const path of ['/nosuch', '/containerLogs/default/nosuch/main', '/containerLogs/default/shell/nosuch', '/stats/nosuch']) {
      assert.equal((await get(path)).code, 404, path);
    }
    await assert.rejects(spdy('/exec/default/nosuch/main?command=ls&output=1', 'v4.channel.k8s.io'), /404 pod "nosuch" does not exist/);
    await assert.rejects(spdy('/exec/default/shell/main?command=ls', 'v4.channel.k8s.io'), /400 you must specify at least 1 of/);
  });

  test('tells what the runtime runs, whoever wants it', async () => {
    const stray = await host.run('stray', host.container('busybox', { command: ['sleep', '1000'] }));
    const { body } = await get('/runningpods/');
    const { kind, items } = JSON.parse(body) as { kind: string; items: Pod[] };
    assert.equal(kind, 'PodList');
    assert.deepEqual(items.map(({ metadata }) => metadata.name).sort(), ['cat', 'shell', 'stray', 'web']);
    const pod = items.find(({ metadata }) => metadata.name === 'stray');
    assert.equal(pod?.metadata.uid, 'uid-stray');
    assert.deepEqual(
      pod?.spec.containers.map(({ name, image }) => [name, image?.includes('busybox')]),
      [['main', true]],
    );
    await host.runtime.stopPodSandbox(stray.sandboxId);
    await host.runtime.removePodSandbox(stray.sandboxId);
  });

  test('is well in all parts, and says so in metrics', async () => {
    assert.equal((await get('/healthz?verbose')).body, '[+]ping ok\n[+]log ok\n[+]syncloop ok\nhealthz check passed\n');
    assert.deepEqual(await get('/healthz/syncloop'), { code: 200, body: 'ok' });
    assert.equal((await get('/healthz/nosuch')).code, 404);
    assert.match((await get('/metrics/slis')).body, /^kubernetes_healthcheck\{name="syncloop",type="healthz"\} 1$/m);
  });

  test('takes only the methods that a page is for', async () => {
    for (const [method, path, allowed] of [
      ['POST', '/pods', 'GET'],
      ['DELETE', '/containerLogs/default/shell/main', 'GET'],
      ['GET', '/run/default/shell/main?cmd=id', 'POST'],
      ['GET', '/checkpoint/default/shell/main', 'POST'],
    ] as const) {
      const answer = await ask(method, path);
      assert.deepEqual([answer.code, answer.headers.allow], [405, allowed], path);
    }
    assert.equal((await ask('POST', '/run/default/shell/main?cmd=echo%20well')).body, 'well\n');
    const checkpoint = await ask('POST', '/checkpoint/default/shell/main');
    assert.deepEqual(
      [checkpoint.code, checkpoint.body.startsWith('checkpointing of default/shell/main failed (rpc error: code = Unimplemented')],
      [500, true],
    );
  });

  test("gives the node's own log files, whole and in parts, and nothing beside them", async () => {
    const listing = await get('/logs/');
    assert.match(listing.body, /^<a href="agent.log">agent.log<\/a>\n<a href="deep\/">deep\/<\/a>$/m);
    assert.deepEqual(await get('/logs/agent.log'), { code: 200, body: 'first\nsecond\n' });
    assert.deepEqual(await get('/logs/deep/down.log'), { code: 200, body: 'down\n' });
    const part = await ask('GET', '/logs/agent.log', { Range: 'bytes=6-' });
    assert.deepEqual([part.code, part.headers['content-range'], part.body], [206, 'bytes 6-12/13', 'second\n']);
    for (const path of ['/logs/nosuch', '/logs/agent.log/more', '/logs/..%2f..%2fetc%2fpasswd', '/logs/%2e%2e/etc/passwd']) {
      assert.equal((await get(path)).code, 404, path);
    }
  });

  test('answers questions about services on the node, where that is on', async () => {
    assert.equal((await get('/logs/?query=agent')).body, 'first\nsecond\n');
    assert.equal((await get('/logs/?query=down&query=nosuch')).body, '\nlog not found for down\n\nlog not found for nosuch\n');
    assert.equal((await get('/logs/?query=/deep/down.log')).body, 'down\n');
    const refused = await get('/logs/?query=a%3Bb&tailLines=-1');
    assert.deepEqual(
      [refused.code, refused.body],
      [
        406,
        '[query: Invalid value: "a;b": input contains unsupported characters, tailLines: Invalid value: -1: must be between 0 and 100000, inclusive]\n',
      ],
    );
    assert.equal((await get('/logs/deep/?query=agent')).code, 406);
  });

  test('gives logs, also while they are written', async () => {
    assert.deepEqual(await get('/containerLogs/default/shell/main?tailLines=5'), { code: 200, body: 'started\n' });
    assert.equal((await get('/containerLogs/default/shell/main?tailLines=x')).code, 400);
    const previous = await get('/containerLogs/default/shell/main?previous=true');
    assert.deepEqual(previous, { code: 400, body: 'previous terminated container "main" in pod "shell" not found\n' });
    const script = 'echo first; usleep 200000; echo second; usleep 200000; echo last';
    running.set('talker', await host.run('talker', host.container('busybox', { command: ['sh', '-c', script] })));
    const followed = await get('/containerLogs/default/talker/main?follow=true');
    assert.equal(followed.body, 'first\nsecond\nlast\n');
    running.delete('talker');
  });

  test('runs commands over SPDY: input ends, output is apart, the exit code arrives', async () => {
    const session = await spdy(exec('shell', 'cat; echo oops >&2; exit 7', 'input=1&output=1&error=1'), 'v4.channel.k8s.io');
    const open = (streamtype: string): Promise<SpdyStream> => session.openStream({ streamtype });
    const [error, stdin, stdout, stderr] = [await open('error'), await open('stdin'), await open('stdout'), await open('stderr')];
    stdin.end('typed');
    const [out, err, status = ''] = await Promise.all(
      [leftOpen(stdout), leftOpen(stderr), leftOpen(error)].map((stream) => text(Readable.from(stream))),
    );
    assert.deepEqual([out, err, exitCodeOf(status)], ['typed', 'oops\n', 7]);
    session.destroy();
  });

  test('runs commands over WebSocket, where version 5 can end the input', async () => {
    const input = [Buffer.from('\0typed'), Buffer.from([255, 0])];
    const output = await webSocket(exec('shell', 'cat; echo oops >&2; exit 7', 'input=1&output=1&error=1'), 'v5.channel.k8s.io', input);
    assert.deepEqual([output.get(1), output.get(2), exitCodeOf(output.get(3) ?? '')], ['typed', 'oops\n', 7]);
  });

  for (const protocol of ['v4.channel.k8s.io', 'v4.base64.channel.k8s.io']) {
    test(`runs commands over ${protocol}`, async () => {
      const output = await webSocket(exec('shell', 'echo fine', 'output=1&error=1'), protocol);
      assert.deepEqual([output.get(1), (JSON.parse(output.get(3) ?? '{}') as { status: string }).status], ['fine\n', 'Success']);
    });
  }

  for (const protocol of ['channel.k8s.io', 'base64.channel.k8s.io']) {
    test(`tells of a failed command in plain words over ${protocol}`, async () => {
      const output = await webSocket(exec('shell', 'echo fine; exit 2', 'output=1&error=1'), protocol);
      assert.equal(output.get(1), 'fine\n');
      assert.match(output.get(3) ?? '', /exit code 2|exit status 2/);
    });
  }

  test('gives a terminal of the size the client has', async () => {
    const size = Buffer.concat([Buffer.from([4]), Buffer.from('{"Width":91,"Height":33}')]);
    const output = await webSocket(
      exec('shell', 'while ! stty size 2>/dev/null | grep "33 91"; do usleep 1000; done', 'input=1&output=1&tty=1'),
      'v5.channel.k8s.io',
      [size],
    );
    assert.equal(output.get(1), '33 91\r\n');
  });

  test('attaches to a running container', async () => {
    const { port } = server;
    const path = `wss://127.0.0.1:${port}/attach/default/cat/main?input=1&output=1`;
    const socket = new WebSocket(path, ['v5.channel.k8s.io'], { ca: ca.certificate, cert: apiServer.certificate, key: apiServer.key });
    const echoed = new Promise<string>((resolve) => {
      socket.on('message', (message: Buffer) => {
        if (message.length > 1) resolve(message.subarray(1).toString());
      });
    });
    socket.once('open', () => socket.send(Buffer.from('\0hello\n')));
    assert.equal(await echoed, 'hello\n');
    socket.close();
  });

  test('forwards ports over SPDY, and says what went wrong with one', async () => {
    const session = await spdy('/portForward/default/web', 'portforward.k8s.io');
    const page = await forwarded(session, '80', '0', 'GET / HTTP/1.0\r\n\r\n');
    assert.match(page.data, /Welcome to nginx!/);
    assert.equal(page.error, '');
    const nothing = await forwarded(session, '81', '1', '');
    assert.match(nothing.error, /error forwarding port 81 to pod web, .*connection refused/);
    session.destroy();
  });

  test('forwards ports over SPDY inside a WebSocket, as kubectl does', async () => {
    // The library does not let a client offer a name with a slash, as kubectl does: so by hand, one ping inside one message.
    const headers = {
      Connection: 'Upgrade',
      Upgrade: 'websocket',
      'Sec-WebSocket-Version': '13',
      'Sec-WebSocket-Key': Buffer.alloc(16).toString('base64'),
      'Sec-WebSocket-Protocol': 'v4.unknown, SPDY/3.1+portforward.k8s.io',
    };
    const request = httpsRequest({ ...connection(apiServer), path: '/portForward/default/web', headers, agent: false });
    request.end();
    const [response, socket] = (await once(request, 'upgrade')) as [IncomingMessage, Duplex];
    assert.equal(response.headers['sec-websocket-protocol'], 'SPDY/3.1+portforward.k8s.io');
    const ping = encodeFrame({ type: 'ping', id: 1 });
    const [binaryMessage, masked, noMask] = [0x82, 0x80, [0, 0, 0, 0]] as const;
    socket.write(Buffer.from([binaryMessage, masked | ping.length, ...noMask, ...ping]));
    const [answer] = (await once(socket, 'data')) as [Buffer];
    assert.deepEqual(answer, Buffer.from([binaryMessage, ping.length, ...ping]));
    socket.destroy();
  });

  test('presents a renewed certificate to new callers, and old ones talk on', async () => {
    const serial = (socket: TLSSocket): string => socket.getPeerCertificate().serialNumber;
    const agent = new Agent({ ...connection(apiServer), keepAlive: true, maxSockets: 1, maxCachedSessions: 0 });
    const serialSeen = async (through: Agent): Promise<string> => {
      const request = httpsRequest({ ...connection(apiServer), agent: through, path: '/healthz' });
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      assert.equal(await text(response), 'ok');
      return serial(request.socket as TLSSocket);
    };
    const before = await serialSeen(agent);
    const renewed = await issueCertificate(world, { ca, commonName: 'system:node:test', ipAddresses: ['127.0.0.1'], usages: ['server'] });
    server.present(renewed);
    assert.equal(await serialSeen(agent), before);
    const fresh = new Agent({ ...connection(apiServer), maxCachedSessions: 0 });
    assert.equal(await serialSeen(fresh), new X509Certificate(renewed.certificate).serialNumber);
    agent.destroy();
    fresh.destroy();
  });

  test('knows a caller whose TLS session is resumed', async () => {
    const agent = new Agent({ ...connection(apiServer), maxCachedSessions: 10 });
    const codes: string[] = [];
    for (let i = 0; i < 3; i++) {
      const request = httpsRequest({ ...connection(apiServer), agent, path: '/healthz', headers: { Connection: 'close' } });
      request.end();
      const [response] = (await once(request, 'response')) as [IncomingMessage];
      codes.push(`${response.statusCode} ${await text(response)} ${(response.socket as TLSSocket).isSessionReused()}`);
    }
    agent.destroy();
    assert.deepEqual(codes, ['200 ok false', '200 ok true', '200 ok true']);
  });

  test('forwards ports over WebSocket channels', async () => {
    // The client may speak as soon as it knows the port; nginx closes, the client's socket does not by itself.
    const { port } = server;
    const socket = new WebSocket(`wss://127.0.0.1:${port}/portForward/default/web?port=80`, ['v4.channel.k8s.io'], {
      ca: ca.certificate,
      cert: apiServer.certificate,
      key: apiServer.key,
    });
    const messages: Buffer[] = [];
    const page = new Promise<void>((resolve) => {
      socket.on('message', (message: Buffer) => {
        messages.push(message);
        if (message.includes('</html>')) resolve();
      });
    });
    socket.once('open', () => socket.send(Buffer.from('\0GET / HTTP/1.0\r\n\r\n')));
    await page;
    assert.deepEqual(messages.slice(0, 2), [Buffer.from([0, 80, 0]), Buffer.from([1, 80, 0])]);
    socket.close();
  });

  test('counts what containers use', async () => {
    const summary = JSON.parse((await get('/stats/summary')).body) as {
      node: { memory: { workingSetBytes: number } };
      pods: { containers: object[] }[];
    };
    assert.ok(summary.node.memory.workingSetBytes > 0);
    assert.ok(summary.pods.flatMap(({ containers }) => containers).length >= 3);
    assert.match((await get('/metrics/resource')).body, /^container_memory_working_set_bytes\{.*\} \d+ \d+$/m);
    assert.match((await get('/metrics')).body, /^kubelet_running_pods \d+$/m);
  });

  test('never loses the last word, however many commands run at once', async () => {
    const codes = await Promise.all(
      Array.from({ length: 40 }, async (_, code) => {
        const output = await webSocket(exec('shell', `echo ${code}; exit ${code + 1}`, 'output=1&error=1'), 'v5.channel.k8s.io');
        assert.equal(output.get(1), `${code}\n`);
        return exitCodeOf(output.get(3) ?? '');
      }),
    );
    assert.deepEqual(
      codes,
      Array.from({ length: 40 }, (_, code) => code + 1),
    );
  });

  test('holds out under clients that break off', async () => {
    for (let i = 0; i < 5; i++) {
      const session = await spdy(exec('shell', 'cat', 'input=1&output=1'), 'v4.channel.k8s.io');
      await session.openStream({ streamtype: 'error' });
      session.destroy();
    }
    // Each is noticed in its own time; the server goes on meanwhile.
    await sleep(50);
    assert.equal((await get('/healthz')).code, 200);
  });
});

function exec(pod: string, script: string, streams: string): string {
  const command = ['sh', '-c', script].map((word) => `command=${encodeURIComponent(word)}`).join('&');
  return `/exec/default/${pod}/main?${command}&${streams}`;
}

/** Iterating a stream resets it at the end, which kubectl does not do: the runtime could then lose its last word. */
function leftOpen(stream: SpdyStream): AsyncIterable<Buffer> {
  return stream.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
}

function exitCodeOf(status: string): number {
  const { details } = JSON.parse(status) as { details?: { causes?: { reason: string; message: string }[] } };
  return Number(details?.causes?.find(({ reason }) => reason === 'ExitCode')?.message ?? Number.NaN);
}

async function forwarded(session: SpdySession, port: string, requestid: string, request: string): Promise<{ data: string; error: string }> {
  const errors = await session.openStream({ streamtype: 'error', port, requestid });
  errors.end();
  const data = await session.openStream({ streamtype: 'data', port, requestid });
  if (request !== '') data.write(request);
  const [answer, error] = await Promise.all([text(data), text(errors)]);
  return { data: answer, error };
}

function servedPods(running: ReadonlyMap<string, RunningPod>): ServedPods {
  const podOf = (name: string): Pod => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: { containers: [{ name: 'main', image: 'busybox' }] },
    status: {},
  });
  return {
    pods: () => [...running.keys()].map(podOf),
    find: (_namespace, name) => (running.has(name) ? podOf(name) : undefined),
    sandboxId: (_namespace, name) => running.get(name)?.sandboxId,
    container(_namespace, name) {
      const pod = running.get(name);
      return (
        pod && {
          id: pod.containerId,
          running: true,
          logPath: pod.logPath,
          previousId: undefined,
          previousLogPath: undefined,
          tty: false,
          stdin: name === 'cat',
        }
      );
    },
  };
}
