/**
 * A sample API server such as people put behind the aggregator: it keeps flunders in memory, believes nobody but the aggregator's certificate about who
 * asks, and asks the cluster whether they may.
 */
import { createServer } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { TLSSocket } from 'node:tls';
import { type CertificatePair, createCertificateAuthority, issueCertificate } from '../../src/kubeadm/certificates.ts';
import type { World } from '../../src/world/world.ts';
import type { Json } from './server.ts';

export const sampleGroup = 'wardle.example.com';
export const sampleVersion = 'v1alpha1';
const root = `/apis/${sampleGroup}/${sampleVersion}`;

export interface SampleUser {
  readonly name: string;
  readonly groups: readonly string[];
  readonly extra: Readonly<Record<string, string>>;
}

export interface SampleServer {
  readonly address: string;
  readonly port: number;
  readonly caBundle: string;
  /** Who asked for flunders, in order. */
  readonly users: SampleUser[];
  /** Whether somebody may; everybody may when absent. */
  mayAccess: ((user: SampleUser, verb: string) => Promise<boolean>) | undefined;
  /** Answers 500 to everything while true. */
  isBroken: boolean;
  close(): Promise<void>;
}

export interface SampleOptions {
  readonly world: World;
  /** PEM: whose certificates' word is believed, as `requestheader-client-ca-file` says. */
  readonly requestHeaderCa: string;
  readonly serviceName: string;
}

const resources = [
  {
    name: 'flunders',
    singularName: 'flunder',
    namespaced: true,
    kind: 'Flunder',
    verbs: ['create', 'delete', 'get', 'list', 'update', 'watch'],
    shortNames: ['fl'],
  },
  { name: 'flunders/swim', singularName: '', namespaced: true, kind: 'Flunder', verbs: ['get'] },
];

const flunder = {
  type: 'object',
  description: 'A flat fish.',
  properties: {
    apiVersion: { type: 'string' },
    kind: { type: 'string' },
    metadata: { type: 'object' },
    spec: { type: 'object', properties: { reference: { type: 'string', description: 'Another fish.' } } },
  },
  'x-kubernetes-group-version-kind': [{ group: sampleGroup, version: sampleVersion, kind: 'Flunder' }],
};

export async function startSampleServer({ world, requestHeaderCa, serviceName }: SampleOptions): Promise<SampleServer> {
  const ca: CertificatePair = await createCertificateAuthority(world, 'sample-ca');
  const pair = await issueCertificate(world, { ca, commonName: serviceName, dnsNames: [`${serviceName}.svc`], usages: ['server'] });
  const objects = new Map<string, Json>();
  const watchers = new Set<ServerResponse>();
  let revision = 1;

  const tell = (type: string, object: Json): void => {
    for (const watcher of watchers) watcher.write(`${JSON.stringify({ type, object })}\n`);
  };
  const answer = (response: ServerResponse, code: number, body: object): void => {
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(JSON.stringify(body));
  };
  const refuse = (response: ServerResponse, code: number, reason: string, message: string): void =>
    answer(response, code, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Failure', message, reason, code });

  const serve = async (request: IncomingMessage, response: ServerResponse, user: SampleUser, body: string): Promise<void> => {
    const url = new URL(request.url ?? '/', 'https://sample');
    const match = /^\/namespaces\/([^/]+)\/flunders(?:\/([^/]+))?$/.exec(url.pathname.slice(root.length));
    const namespace = match?.[1] ?? '';
    const name = match?.[2];
    if (match === null && url.pathname !== `${root}/flunders`) return refuse(response, 404, 'NotFound', 'not found');
    sample.users.push(user);
    const verb = { GET: name === undefined ? 'list' : 'get', POST: 'create', PUT: 'update', DELETE: 'delete' }[request.method ?? ''] ?? 'other';
    if ((await sample.mayAccess?.(user, verb)) === false) {
      return refuse(response, 403, 'Forbidden', `flunders.${sampleGroup} is forbidden: User "${user.name}" cannot ${verb} resource "flunders"`);
    }
    const key = `${namespace}/${name ?? ''}`;
    switch (verb) {
      case 'list': {
        if (url.searchParams.get('watch') === 'true' || url.searchParams.get('watch') === '1') {
          response.writeHead(200, { 'content-type': 'application/json' });
          response.flushHeaders();
          for (const object of objects.values()) response.write(`${JSON.stringify({ type: 'ADDED', object })}\n`);
          watchers.add(response);
          response.on('close', () => watchers.delete(response));
          return undefined;
        }
        const items = [...objects.entries()].filter(([path]) => namespace === '' || path.startsWith(`${namespace}/`)).map(([, object]) => object);
        return answer(response, 200, {
          kind: 'FlunderList',
          apiVersion: `${sampleGroup}/${sampleVersion}`,
          metadata: { resourceVersion: String(revision) },
          items,
        });
      }
      case 'create': {
        const object = JSON.parse(body);
        revision++;
        object.metadata = {
          ...object.metadata,
          namespace,
          uid: `uid-${revision}`,
          resourceVersion: String(revision),
          creationTimestamp: '2026-01-01T00:00:00Z',
        };
        objects.set(`${namespace}/${object.metadata.name}`, object);
        tell('ADDED', object);
        return answer(response, 201, object);
      }
      case 'get': {
        const object = objects.get(key);
        return object === undefined
          ? refuse(response, 404, 'NotFound', `flunders.${sampleGroup} "${name}" not found`)
          : answer(response, 200, object);
      }
      default: {
        const object = objects.get(key);
        objects.delete(key);
        tell('DELETED', object);
        return answer(response, 200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' });
      }
    }
  };

  const documents: Readonly<Record<string, object>> = {
    [root]: { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${sampleGroup}/${sampleVersion}`, resources },
    '/openapi/v2': {
      swagger: '2.0',
      info: { title: 'sample', version: '0' },
      paths: { [`${root}/`]: {}, '/elsewhere': {} },
      definitions: { 'com.example.wardle.v1alpha1.Flunder': flunder, 'io.k8s.api.core.v1.Pod': { type: 'string' } },
    },
    [`/openapi/v3${root}`]: {
      openapi: '3.0.0',
      info: { title: 'sample', version: '0' },
      paths: {
        [`${root}/namespaces/{namespace}/flunders`]: {
          get: { 'x-kubernetes-action': 'list', 'x-kubernetes-group-version-kind': { group: sampleGroup, version: sampleVersion, kind: 'Flunder' } },
        },
      },
      components: { schemas: { 'com.example.wardle.v1alpha1.Flunder': flunder } },
    },
  };

  const server = createServer(
    // The aggregator may come without a certificate to look whether anybody is there; it is believed nothing then.
    { cert: pair.certificate, key: pair.key, ca: requestHeaderCa, requestCert: true, rejectUnauthorized: false },
    (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        if (sample.isBroken) return refuse(response, 500, 'InternalError', 'broken');
        const user = userOf(request);
        if (user === undefined) return refuse(response, 401, 'Unauthorized', 'Unauthorized');
        const document = documents[(request.url ?? '').split('?')[0] ?? ''];
        if (document !== undefined) return answer(response, 200, document);
        serve(request, response, user, Buffer.concat(chunks).toString()).catch((error: unknown) =>
          refuse(response, 500, 'InternalError', String(error)),
        );
        return undefined;
      });
    },
  );
  // Speaks a protocol of its own: whatever is said comes back, after the name of who says it.
  server.on('upgrade', (request: IncomingMessage, socket) => {
    const user = userOf(request);
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: swim\r\n\r\n');
    socket.write(`${user?.name ?? ''}:`);
    socket.on('error', () => socket.destroy());
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '0.0.0.0', resolve);
  });
  const sample: SampleServer = {
    address: ownAddress(),
    port: (server.address() as AddressInfo).port,
    caBundle: Buffer.from(ca.certificate).toString('base64'),
    users: [],
    mayAccess: undefined,
    isBroken: false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return sample;
}

/** Whom the aggregator says the request is from; undefined when it is not the aggregator who says so. */
function userOf(request: IncomingMessage): SampleUser | undefined {
  const socket = request.socket as TLSSocket;
  if (!socket.authorized || socket.getPeerCertificate().subject.CN !== 'front-proxy-client') return undefined;
  const name = request.headers['x-remote-user'];
  if (typeof name !== 'string') return undefined;
  const groups: string[] = [];
  const extra: Record<string, string> = {};
  for (let i = 0; i + 1 < request.rawHeaders.length; i += 2) {
    const header = (request.rawHeaders[i] ?? '').toLowerCase();
    const value = request.rawHeaders[i + 1] ?? '';
    if (header === 'x-remote-group') groups.push(value);
    if (header.startsWith('x-remote-extra-')) extra[decodeURIComponent(header.slice('x-remote-extra-'.length))] = value;
  }
  return { name, groups, extra };
}

/** An address of this host that a Service's endpoints may have: not the loopback's. */
function ownAddress(): string {
  for (const addresses of Object.values(networkInterfaces())) {
    for (const { address, family, internal } of addresses ?? [])
      if (family === 'IPv4' && !internal && !address.startsWith('169.254.')) return address;
  }
  throw new Error('this host has no address besides the loopback');
}
