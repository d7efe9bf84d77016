/**
 * A node with the service proxy, pods and a client outside, each a network namespace, and Services from a list instead of an API server: what packets do can
 * be seen without starting a cluster.
 *
 *     outside 192.0.2.9 ── node 192.0.2.1 ──┬── one  10.244.0.5  fd00:1::5
 *                                           ├── two  10.244.0.6  fd00:1::6
 *                                           └── far  10.244.1.7  fd00:1:1::7  (on another node, as its slices say)
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { EndpointSlice, Node, Service } from '../../src/api/kinds.ts';
import type { V1Endpoint, V1ServiceSpec } from '../../src/api/types.ts';
import { FakeTransport } from '../../src/client/fake-transport.ts';
import { createInformers } from '../../src/client/informers.ts';
import { createClient } from '../../src/client/typed-client.ts';
import { Nftables } from '../../src/nftables/nftables.ts';
import { type Proxy, type ProxyOptions, startProxy } from '../../src/proxy/proxy.ts';
import { realWorld } from '../../src/world/real.ts';
import { type LastWill, lastWill } from './last-will.ts';
import { run } from './stock-tools.ts';

export const addresses = {
  one: ['10.244.0.5', 'fd00:1::5'],
  two: ['10.244.0.6', 'fd00:1::6'],
  far: ['10.244.1.7', 'fd00:1:1::7'],
} as const;
export type PodName = keyof typeof addresses;
type Place = PodName | 'node' | 'outside';

const podNames = ['one', 'two', 'far'] as const;
const created = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

/** Serves HTTP on 8080 and UDP on 5000 of both families: its name, and whom it takes the client to be. */
const serve = (name: string): string => `
  const plain = (address) => address.replace('::ffff:', '');
  require('node:http').createServer((request, response) => response.setHeader('connection', 'close').end('${name} ' + plain(request.socket.remoteAddress))).listen(8080, () => console.log('ready'));
  const udp = require('node:dgram').createSocket('udp6');
  udp.on('message', (text, from) => udp.send('${name} ' + plain(from.address), from.port, from.address)).bind(5000);`;

/** Asks each URL on a connection of its own, \`parallel\` at a time; an answer is what came back, an error code, or \`nothing\`. */
const ask = `
  const { get } = require('node:http');
  const { createSocket } = require('node:dgram');
  const [parallel, localAddress, ...urls] = process.argv.slice(1);
  const http = (url) => new Promise((resolve) => {
    const request = get(url, { agent: false, timeout: 900, ...(localAddress && { localAddress }) }, (response) => {
      let text = '';
      response.on('data', (part) => (text += part)).on('end', () => resolve(text));
    });
    request.on('timeout', () => { resolve('nothing'); request.destroy(); });
    request.on('error', (error) => resolve(error.code ?? error.message));
  });
  const udp = ({ hostname, port }) => new Promise((resolve) => {
    const host = hostname.replace(/[\\[\\]]/g, '');
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    const end = (text) => { resolve(text); clearTimeout(timer); socket.close(); };
    const timer = setTimeout(() => end('nothing'), 900);
    socket.on('message', (text) => end(String(text))).on('error', (error) => end(error.code));
    socket.connect(Number(port), host, () => socket.send('?'));
  });
  const one = (text) => { const url = new URL(text); return url.protocol === 'udp:' ? udp(url) : http(url); };
  (async () => {
    const answers = [];
    for (let at = 0; at < urls.length; at += Number(parallel)) answers.push(...await Promise.all(urls.slice(at, at + Number(parallel)).map(one)));
    console.log(JSON.stringify(answers));
  })();`;

export interface Endpoint {
  readonly pod: PodName;
  readonly more?: Partial<V1Endpoint>;
}

export class ServiceLab {
  readonly #id: string;
  readonly #transport = new FakeTransport();
  readonly #world = realWorld({ level: 'silent' });
  readonly #informers = createInformers(createClient(this.#transport), this.#world);
  readonly #servers: ChildProcess[] = [];
  readonly #services = new Map<string, Service>();
  #proxy: Proxy | undefined;
  #marks = 0;
  #awaited: { readonly text: string; readonly resolve: () => void } | undefined;
  readonly #will: LastWill;

  private constructor(id: string) {
    this.#id = id;
    this.#will = lastWill('for place in one two far node outside; do ip netns delete "$1-$place"; done', id);
  }

  static async start(name: string, options: Pick<ProxyOptions, 'nodePortAddresses'> & { readonly zone?: string } = {}): Promise<ServiceLab> {
    const lab = new ServiceLab(`k8ts-${name}-${process.pid}`);
    try {
      await lab.#layOut();
      await Promise.all(podNames.map((pod) => lab.#serve(pod)));
      await lab.#startProxy(options);
    } catch (error) {
      await lab.close();
      throw error;
    }
    return lab;
  }

  get proxy(): Proxy {
    return this.#proxy ?? assert.fail('it has not started');
  }

  async close(): Promise<void> {
    await this.#proxy?.close();
    this.#informers.close();
    for (const server of this.#servers) server.kill();
    for (const place of [...podNames, 'node', 'outside'] as const) await run('ip', ['netns', 'delete', this.#name(place)]);
    this.#will.withdraw();
  }

  /** Answers what the command printed. */
  async inside(place: Place, command: string, ...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await run('nsenter', [`--net=/run/netns/${this.#name(place)}`, command, ...words]);
    assert.equal(code, 0, `${command} ${words.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** Runs until it is killed, as whatever stands in the place. */
  start(place: Place, command: string, ...words: readonly string[]): ChildProcess {
    const child = spawn('nsenter', [`--net=/run/netns/${this.#name(place)}`, command, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#servers.push(child);
    return child;
  }

  /** What comes back from each URL (`http://…` or `udp://…`), each asked on a connection of its own. */
  async ask(place: Place, urls: readonly string[], { parallel = 8, from = '' } = {}): Promise<string[]> {
    return JSON.parse(await this.inside(place, process.execPath, '-e', ask, String(parallel), from, ...urls)) as string[];
  }

  /** A Service and its endpoints; resolves when the rules hold. */
  async set(name: string, spec: V1ServiceSpec, endpoints: readonly Endpoint[], ...ingress: readonly string[]): Promise<void> {
    const service: Service = {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace: 'shop', ...created },
      spec: { type: 'ClusterIP', ports: [{ name: 'http', port: 80, protocol: 'TCP' }], ...spec },
      status: { loadBalancer: { ingress: ingress.map((ip) => ({ ip })) } },
    };
    await this.#change(() => {
      for (const [index, family] of (['IPv4', 'IPv6'] as const).entries()) this.#setSlice(name, family, endpoints, index);
      this.#setService(service);
    });
  }

  /** The Service as it is, with these labels and no others. */
  async label(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
    const service = this.#services.get(name) ?? assert.fail(name);
    await this.#change(() => this.#setService({ ...service, metadata: { ...service.metadata, labels } }));
  }

  async remove(name: string): Promise<void> {
    await this.#change(() => this.#transport.delete(`/api/v1/namespaces/shop/services/${name}`));
  }

  #setService(service: Service): void {
    this.#services.set(service.metadata.name, service);
    this.#transport.set(`/api/v1/namespaces/shop/services/${service.metadata.name}`, service);
  }

  #setSlice(service: string, addressType: 'IPv4' | 'IPv6', endpoints: readonly Endpoint[], index: number): void {
    const slice: EndpointSlice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { name: `${service}-${index}`, namespace: 'shop', labels: { 'kubernetes.io/service-name': service }, ...created },
      addressType,
      ports: [
        { name: 'http', port: 8080, protocol: 'TCP' },
        { name: 'udp', port: 5000, protocol: 'UDP' },
        { name: 'sctp', port: 5000, protocol: 'SCTP' },
      ],
      endpoints: endpoints.map(({ pod, more }) => ({
        addresses: [addresses[pod][index] ?? ''],
        conditions: { ready: true },
        nodeName: pod === 'far' ? 'there' : 'here',
        ...more,
      })),
    };
    this.#transport.set(`/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/${slice.metadata.name}`, slice);
  }

  /** Services and slices come one after the other, each in its order: with the last of both, all that was said before holds. */
  async #change(make: () => void): Promise<void> {
    make();
    const mark = ++this.#marks;
    const holds = new Promise<void>((resolve) => (this.#awaited = { text: `10.96.255.${mark} . 80 . 0 : 10.244.255.${mark} . 8080`, resolve }));
    const metadata = { name: 'mark', namespace: 'shop', ...created };
    const ports = [{ name: 'http', port: 80, protocol: 'TCP' }];
    const clusterIP = `10.96.255.${mark}`;
    const service: Service = { apiVersion: 'v1', kind: 'Service', metadata, spec: { clusterIP, clusterIPs: [clusterIP], ports }, status: {} };
    const slice: EndpointSlice = {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'mark' } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints: [{ addresses: [`10.244.255.${mark}`] }],
    };
    this.#transport.set('/api/v1/namespaces/shop/services/mark', service);
    this.#transport.set('/apis/discovery.k8s.io/v1/namespaces/shop/endpointslices/mark', slice);
    await holds;
  }

  async #startProxy({ zone, nodePortAddresses = [] }: { readonly zone?: string; readonly nodePortAddresses?: readonly string[] }): Promise<void> {
    const node: Node = {
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name: 'here', labels: zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone }, ...created },
      spec: {},
      status: {},
    };
    this.#transport.set('/api/v1/nodes/here', node);
    const kernel = new Nftables(['nsenter', `--net=/run/netns/${this.#name('node')}`, 'nft']);
    const apply = async (script: string): Promise<void> => {
      await kernel.apply(script);
      if (this.#awaited !== undefined && script.includes(this.#awaited.text)) this.#awaited.resolve();
    };
    this.#proxy = startProxy({
      world: this.#world,
      informers: this.#informers,
      table: 'services',
      nodeName: 'here',
      clusterCidr: '10.244.0.0/16,fd00:1::/32',
      nodePortAddresses,
      nftables: { apply, close: () => kernel.close() },
      forget: () => Promise.resolve(),
      list: () => Promise.resolve([]),
    });
    await this.#proxy.ready;
  }

  async #serve(pod: PodName): Promise<void> {
    const { stdout } = this.start(pod, process.execPath, '-e', serve(pod));
    assert(stdout);
    await once(stdout, 'data');
  }

  #name(place: Place): string {
    return `${this.#id}-${place}`;
  }

  async #layOut(): Promise<void> {
    for (const place of ['node', 'outside', ...podNames] as const) assert.equal((await run('ip', ['netns', 'add', this.#name(place)])).code, 0);
    const ip = (place: Place, words: string): Promise<string> => this.inside(place, 'ip', ...words.split(' '));
    const forward = 'for f in ipv4/ip_forward ipv6/conf/all/forwarding; do echo 1 > /proc/sys/net/$f; done';
    // A host tells each client only so often that it is refused.
    const tell = 'for f in ipv4/icmp_ratelimit ipv6/icmp/ratelimit; do echo 0 > /proc/sys/net/$f; done';
    await this.inside('node', 'sh', '-c', `${forward}; ${tell}`);
    for (const place of ['node', 'outside', ...podNames] as const) {
      await ip(place, 'link set lo up');
      // Nobody else has the addresses: links are there at once.
      await this.inside(place, 'sh', '-c', 'for f in all default; do echo 0 > /proc/sys/net/ipv6/conf/$f/accept_dad; done');
    }
    for (const pod of podNames) {
      const [four, six] = addresses[pod];
      await ip('node', `link add ${pod} type veth peer name eth0 netns ${this.#name(pod)}`);
      for (const [place, device] of [['node', pod] as const, [pod, 'eth0'] as const]) await ip(place, `link set ${device} up`);
      await ip('node', `address add 10.244.0.1/32 dev ${pod}`);
      await ip('node', `address add fd00:1::1/128 dev ${pod} nodad`);
      await ip('node', `route add ${four}/32 dev ${pod}`);
      await ip('node', `-6 route add ${six}/128 dev ${pod}`);
      await ip(pod, `address add ${four}/32 dev eth0`);
      await ip(pod, `address add ${six}/128 dev eth0 nodad`);
      for (const [family, gateway] of [['-4', '10.244.0.1'] as const, ['-6', 'fd00:1::1'] as const]) {
        await ip(pod, `${family} route add ${gateway} dev eth0`);
        await ip(pod, `${family} route add default via ${gateway} dev eth0`);
      }
    }
    await ip('node', `link add outside type veth peer name eth0 netns ${this.#name('outside')}`);
    await ip('node', 'address add 192.0.2.1/24 dev outside');
    await ip('node', 'address add fd00:2::1/64 dev outside nodad');
    for (const last of [9, 10]) {
      await ip('outside', `address add 192.0.2.${last}/24 dev eth0`);
      await ip('outside', `address add fd00:2::${last}/64 dev eth0 nodad`);
    }
    await ip('node', 'link set outside up');
    await ip('outside', 'link set eth0 up');
    // As a machine has it: a packet to a Service without endpoints has somewhere to go, too.
    await ip('node', 'route add default via 192.0.2.9');
    await ip('node', '-6 route add default via fd00:2::9');
    await ip('outside', 'route add default via 192.0.2.1');
    await ip('outside', '-6 route add default via fd00:2::1');
  }
}
