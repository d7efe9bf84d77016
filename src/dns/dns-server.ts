/** The cluster's DNS server: UDP and TCP on one port, answering from informers, forwarding the rest. */
import { createSocket } from 'node:dgram';
import { createServer, type Socket } from 'node:net';
import { EndpointSlice, Namespace, Service } from '../api/node-kinds.ts';
import type { Informers } from '../client/informer.ts';
import type { World } from '../world/world.ts';
import { answer } from './answer.ts';
import { lengthPrefix, startForwarder } from './forwarder.ts';
import type { ZoneSource } from './records.ts';

export interface DnsServerOptions {
  readonly world: World;
  readonly informers: Informers;
  readonly host: string;
  /** 0 picks a free one. */
  readonly port: number;
  readonly domain: string;
  /** Outer servers' addresses; none means that outer names fail. */
  readonly upstreams: readonly string[];
}

export interface DnsServer {
  readonly port: number;
  close(): Promise<void>;
}

const idleTcpMs = 10_000;
const mostTcpConnections = 500;

export async function startDnsServer(options: DnsServerOptions): Promise<DnsServer> {
  const { world, informers, host, domain } = options;
  const log = world.log.child('dns');
  const forwarder = startForwarder(world, options.upstreams);
  const source = zoneSource(informers);
  let isReady = false;
  const reply = (query: Buffer, overUdp: boolean): Promise<Buffer | undefined> =>
    answer(query, overUdp, { domain, source, forward: forwarder.ask, isReady: () => isReady }).catch((error: unknown) => {
      log.error('a question could not be answered', { error: String(error) });
      return undefined;
    });

  const connections = new Set<Socket>();
  const tcp = createServer((socket) => {
    connections.add(socket);
    socket.setTimeout(idleTcpMs, () => socket.destroy());
    socket.on('error', () => socket.destroy());
    socket.on('close', () => connections.delete(socket));
    let received = Buffer.alloc(0);
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const length = received.readUInt16BE(0);
        const query = received.subarray(2, 2 + length);
        received = received.subarray(2 + length);
        void reply(query, false).then((response) => response && socket.writable && socket.write(Buffer.concat([lengthPrefix(response), response])));
      }
    });
  });
  tcp.maxConnections = mostTcpConnections;
  await new Promise<void>((resolve, reject) => {
    tcp.once('error', reject);
    tcp.listen(options.port, host, resolve);
  });
  const address = tcp.address();
  const port = typeof address === 'object' && address ? address.port : options.port;

  const udp = createSocket(host.includes(':') ? 'udp6' : 'udp4');
  udp.on('message', (query, from) => {
    void reply(query, true).then((response) => response && udp.send(response, from.port, from.address, () => undefined));
  });
  await new Promise<void>((resolve, reject) => {
    udp.once('error', reject);
    udp.bind(port, host, resolve);
  });
  udp.on('error', (error) => log.error('UDP socket failed', { error: String(error) }));
  await informers.synced();
  isReady = true;

  return {
    port,
    async close() {
      forwarder.close();
      for (const socket of connections) socket.destroy();
      await Promise.all([new Promise<void>((resolve) => udp.close(resolve)), new Promise((resolve) => tcp.close(resolve))]);
    },
  };
}

function zoneSource(informers: Informers): ZoneSource {
  const services = informers.of(Service);
  const slices = informers.of(EndpointSlice);
  const namespaces = informers.of(Namespace);
  services.addIndex('dns-ip', (service) => service.spec.clusterIPs ?? []);
  slices.addIndex('dns-service', (slice) => [`${slice.metadata.namespace}/${slice.metadata.labels?.['kubernetes.io/service-name'] ?? ''}`]);
  slices.addIndex('dns-address', (slice) => (slice.endpoints ?? []).flatMap((endpoint) => endpoint.addresses));
  return {
    service: (namespace, name) => services.get(name, namespace),
    slices: (namespace, service) => slices.byIndex('dns-service', `${namespace}/${service}`),
    hasNamespace: (namespace) => namespaces.get(namespace) !== undefined,
    servicesByIp: (address) => services.byIndex('dns-ip', address),
    slicesByAddress: (address) => slices.byIndex('dns-address', address),
  };
}
