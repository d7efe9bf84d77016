/** Probes over the real network: HTTP, TCP and gRPC's health protocol. Messages read as Go's network errors, which people search for. */
import { connect } from 'node:net';
import { http, https } from '../world/http-modules.ts';
import type { Clock } from '../world/world.ts';
import type { GrpcProbeRequest, HttpProbeRequest, ProbeNetwork, TcpProbeRequest } from './runtime/probe-network.ts';

const maxBodyBytes = 10 * 1024;
const maxRedirects = 10;

export function realProbeNetwork(clock: Clock): ProbeNetwork {
  return {
    http: (request) => getFollowing(clock, request, urlOf(request), maxRedirects),
    tcp: (request) => dial(clock, request),
    grpc: (request) => checkHealth(clock, request),
  };
}

function urlOf({ scheme, host, port, path }: HttpProbeRequest): URL {
  const address = host.includes(':') ? `[${host}]` : host;
  return new URL(path.startsWith('/') ? path : `/${path}`, `${scheme.toLowerCase()}://${address}:${port}`);
}

async function getFollowing(clock: Clock, request: HttpProbeRequest, url: URL, left: number): Promise<{ status: number; body: string }> {
  const answer = await get(clock, request, url);
  if (answer.status < 300 || answer.status >= 400 || answer.location === undefined || left === 0) return answer;
  const next = new URL(answer.location, url);
  // Leading elsewhere, the container has said what it is: alive.
  if (next.hostname !== url.hostname) return answer;
  return getFollowing(clock, request, next, left - 1);
}

function get(
  clock: Clock,
  { headers, timeoutMs, host, port }: HttpProbeRequest,
  url: URL,
): Promise<{ status: number; body: string; location: string | undefined }> {
  return new Promise((resolve, reject) => {
    const { request: send } = url.protocol === 'https:' ? https() : http();
    const given = new Map(headers.map(([name, value]) => [name.toLowerCase(), value]));
    if (!given.has('user-agent')) given.set('user-agent', 'kube-probe/1.36');
    if (!given.has('accept')) given.set('accept', '*/*');
    // A probe speaks for the node, not for a client that checks names: certificates are not verified, as upstream's are not.
    const request = send(url, { method: 'GET', agent: false, headers: Object.fromEntries(given), rejectUnauthorized: false });
    const fail = (why: string): void => {
      timer.cancel();
      request.destroy();
      reject(new Error(`Get "${asGoPrints(url)}": ${why}`));
    };
    const timer = clock.after(timeoutMs, () => fail('context deadline exceeded (Client.Timeout exceeded while awaiting headers)'));
    request.on('error', (error) => fail(dialError(host, port, error)));
    request.on('response', (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => {
        if (body.length < maxBodyBytes) body += text;
      });
      const done = (): void => {
        timer.cancel();
        resolve({ status: response.statusCode ?? 0, body: body.slice(0, maxBodyBytes), location: response.headers.location });
      };
      response.on('end', done);
      response.on('error', done);
    });
    request.end();
  });
}

/** With its port, also where the scheme implies it. */
function asGoPrints(url: URL): string {
  if (url.port !== '') return url.href;
  return `${url.protocol}//${url.hostname}:${url.protocol === 'https:' ? 443 : 80}${url.pathname}${url.search}`;
}

function dial(clock: Clock, { host, port, timeoutMs }: TcpProbeRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const end = (why?: string): void => {
      timer.cancel();
      socket.destroy();
      if (why === undefined) resolve();
      else reject(new Error(why));
    };
    const timer = clock.after(timeoutMs, () => end(`dial tcp ${host}:${port}: i/o timeout`));
    socket.on('connect', () => end());
    socket.on('error', (error) => end(dialError(host, port, error)));
  });
}

function dialError(host: string, port: number, error: Error): string {
  const code = 'code' in error ? error.code : undefined;
  if (code === 'ECONNREFUSED') return `dial tcp ${host}:${port}: connect: connection refused`;
  if (code === 'EHOSTUNREACH') return `dial tcp ${host}:${port}: connect: no route to host`;
  if (code === 'ECONNRESET') return 'EOF';
  return `dial tcp ${host}:${port}: ${error.message}`;
}

const servingStatuses = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];

/** Field 1, a string; its length in as many bytes of seven bits as it takes. */
function healthCheckRequest(service: string): Buffer {
  const text = Buffer.from(service);
  if (text.length === 0) return text;
  const head = [0x0a];
  let left = text.length;
  for (; left > 127; left >>>= 7) head.push((left & 0x7f) | 0x80);
  return Buffer.concat([Buffer.from([...head, left]), text]);
}

/** grpc.health.v1.Health/Check. Its two messages have one field each, so they are written and read by hand. */
async function checkHealth(clock: Clock, { host, port, timeoutMs, service }: GrpcProbeRequest): Promise<string> {
  const { Client, credentials, status: grpcStatus } = await import('@grpc/grpc-js');
  return new Promise((resolve, reject) => {
    const client = new Client(host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`, credentials.createInsecure());
    const deadline = clock.now() + timeoutMs;
    client.makeUnaryRequest(
      '/grpc.health.v1.Health/Check',
      healthCheckRequest,
      (bytes: Buffer) => servingStatuses[bytes[0] === 0x08 ? (bytes[1] ?? 0) : 0] ?? 'UNKNOWN',
      service,
      { deadline },
      (error, answer) => {
        client.close();
        if (!error) resolve(answer ?? 'UNKNOWN');
        else if (error.code === grpcStatus.UNIMPLEMENTED)
          reject(new Error('error: this server does not implement the grpc health protocol (grpc.health.v1.Health)'));
        else if (error.code === grpcStatus.DEADLINE_EXCEEDED)
          reject(new Error(`timeout: failed to connect service "${host}:${port}" within ${timeoutMs / 1000}s`));
        else reject(new Error(`error: health rpc probe failed: ${error.details}`));
      },
    );
  });
}
