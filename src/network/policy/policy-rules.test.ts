import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Namespace, NetworkPolicy, Pod } from '../../api/kinds.ts';
import type { V1LabelSelector, V1NetworkPolicyPeer, V1NetworkPolicyPort, V1NetworkPolicySpec } from '../../api/types.ts';
import { contains, parseCidr, parseIp } from '../../machinery/ip.ts';
import { selectorOf } from '../../machinery/selector.ts';
import type { PolicySnapshot } from './peers.ts';
import { policyRules } from './policy-rules.ts';
import { emptyContent, type TableContent, tableChanges } from './table-content.ts';

const created = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

interface PodDraft {
  readonly namespace?: string;
  readonly labels?: Record<string, string>;
  readonly ip: string;
  readonly nodeName?: string;
  /** Of the container port called `web`. */
  readonly web?: number;
  readonly hostNetwork?: boolean;
  readonly phase?: string;
}

function pod(
  name: string,
  { namespace = 'shop', labels = {}, ip, nodeName = 'here', web = 8080, hostNetwork = false, phase = 'Running' }: PodDraft,
): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels, ...created },
    spec: { nodeName, hostNetwork, containers: [{ name: 'main', image: 'x', ports: [{ name: 'web', containerPort: web, protocol: 'TCP' }] }] },
    status: { phase, podIP: ip, podIPs: [{ ip }] },
  };
}

function namespace(name: string, labels: Record<string, string> = {}): Namespace {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels, ...created }, spec: {}, status: {} };
}

function policy(name: string, spec: V1NetworkPolicySpec, inNamespace = 'shop'): NetworkPolicy {
  return { apiVersion: 'networking.k8s.io/v1', kind: 'NetworkPolicy', metadata: { name, namespace: inNamespace, ...created }, spec };
}

interface Packet {
  readonly from: string;
  readonly to: string;
  readonly protocol: 'tcp' | 'udp';
  readonly port: number;
}

interface Outcome {
  readonly passes: boolean;
  /** Counters that counted it. */
  readonly counted: readonly string[];
}

/** What the kernel would do with the first packet of a connection between two pods. */
function pass(content: TableContent, packet: Packet): Outcome {
  const counted: string[] = [];
  if (content.maps.get('selves-4')?.has(`${packet.from} . ${packet.to}`) === true) return { passes: true, counted };
  const verdicts = [
    ['pods-out-4', packet.from],
    ['pods-in-4', packet.to],
  ].map(([map = '', key = '']) => {
    const verdict = content.maps.get(map)?.get(key);
    return verdict === undefined ? 'accept' : walk(content, verdict.replace('goto ', ''), packet, counted);
  });
  return { passes: verdicts[0] === 'accept' && verdicts[1] === 'accept', counted };
}

function walk(content: TableContent, chain: string, packet: Packet, counted: string[]): string | undefined {
  for (const rule of content.chains.get(chain) ?? assert.fail(`no chain ${chain}`)) {
    if (rule.startsWith('jump ')) {
      const verdict = walk(content, rule.slice(5), packet, counted);
      if (verdict !== undefined) return verdict;
      continue;
    }
    const [, condition = '', counters = '', verdict] = /^(.*?) ?((?:counter name \S+ )+)(accept|drop)$/.exec(rule) ?? assert.fail(rule);
    assert(!(/\bip6? [sd]addr.*\bip6 [sd]addr/.test(condition) && /\bip [sd]addr/.test(condition)), `both families: ${condition}`);
    if (!holds(content, condition, packet)) continue;
    for (const [, name = ''] of counters.matchAll(/counter name (\S+)/g)) {
      assert(content.counters.has(name), name);
      counted.push(name);
    }
    return verdict;
  }
  return undefined;
}

function holds(content: TableContent, condition: string, packet: Packet): boolean {
  let rest = condition;
  const take = (pattern: RegExp): string[] | undefined => {
    const match = pattern.exec(rest);
    if (match) rest = rest.slice(match[0].length).trimStart();
    return match ? [...match] : undefined;
  };
  while (rest !== '') {
    let found: string[] | undefined;
    if ((found = take(/^ip daddr \. meta l4proto \. th dport @(\S+)/))) {
      if (content.sets.get(found[1] ?? '')?.elements.has(`${packet.to} . ${packet.protocol} . ${packet.port}`) !== true) return false;
    } else if (take(/^ip6 \S+ (?:\. meta l4proto \. th dport )?(?:@\S+|\{.*?\})/)) return false;
    else if ((found = take(/^ip ([sd]addr) @(\S+)/))) {
      const end = found[1] === 'saddr' ? packet.from : packet.to;
      if (content.sets.get(found[2] ?? '')?.elements.has(end) !== true) return false;
    } else if ((found = take(/^ip ([sd]addr) \{ (.*?) \}/))) {
      const end = parseIp(found[1] === 'saddr' ? packet.from : packet.to).bits;
      if (!within(found[2] ?? '', (text) => parseIp(text).bits, end)) return false;
    } else if ((found = take(/^meta l4proto (\S+)/))) {
      if (found[1] !== packet.protocol) return false;
    } else if ((found = take(/^th dport \{ (.*?) \}/))) {
      if (!within(found[1] ?? '', BigInt, BigInt(packet.port))) return false;
    } else if ((found = take(/^meta nfproto ipv(\d)/))) {
      if (found[1] !== '4') return false;
    } else assert.fail(`unknown condition: ${rest}`);
  }
  return true;
}

function within(ranges: string, parse: (text: string) => bigint, value: bigint): boolean {
  return ranges.split(', ').some((range) => {
    const [first = '', last = first] = range.split('-');
    return parse(first) <= value && value <= parse(last);
  });
}

/** The interface's own words, read one policy, rule, peer and port at a time. */
function allowed({ policies, pods, namespaces }: PolicySnapshot, packet: Packet): boolean {
  if (packet.from === packet.to) return true;
  const known = pods.filter(({ spec, status }) => spec.hostNetwork !== true && status.phase === 'Running');
  const [source, target] = [packet.from, packet.to].map((ip) => known.find(({ status }) => status.podIP === ip));
  const selects = (selector: V1LabelSelector | undefined, labels: Record<string, string> | undefined): boolean =>
    selectorOf(selector).matches(labels);
  const isPeer = (peer: V1NetworkPolicyPeer, by: NetworkPolicy, ip: string, other: Pod | undefined): boolean => {
    if (peer.ipBlock) {
      const isIn = (cidr: string): boolean => contains(parseCidr(cidr), parseIp(ip));
      return isIn(peer.ipBlock.cidr) && !(peer.ipBlock.except ?? []).some(isIn);
    }
    if (!other) return false;
    const home = namespaces.find(({ metadata }) => metadata.name === other.metadata.namespace);
    const inNamespace =
      peer.namespaceSelector === undefined
        ? other.metadata.namespace === by.metadata.namespace
        : home !== undefined && selects(peer.namespaceSelector, home.metadata.labels);
    return inNamespace && (peer.podSelector === undefined || selects(peer.podSelector, other.metadata.labels));
  };
  const isPort = ({ protocol = 'TCP', port, endPort }: V1NetworkPolicyPort): boolean => {
    if (protocol.toLowerCase() !== packet.protocol) return false;
    if (port === undefined) return true;
    if (typeof port === 'number') return port <= packet.port && packet.port <= (endPort ?? port);
    return (
      target?.spec.containers[0]?.ports?.some((one) => one.name === port && one.containerPort === packet.port && one.protocol === protocol) === true
    );
  };
  const side = (own: Pod | undefined, other: Pod | undefined, otherIp: string, type: 'Ingress' | 'Egress'): boolean => {
    if (!own || own.spec.nodeName !== 'here') return true;
    const about = policies.filter(
      ({ metadata, spec }) =>
        metadata.namespace === own.metadata.namespace &&
        spec.policyTypes?.includes(type) === true &&
        selects(spec.podSelector ?? {}, own.metadata.labels),
    );
    if (about.length === 0) return true;
    return about.some((by) => {
      const rules =
        type === 'Ingress'
          ? (by.spec.ingress ?? []).map(({ from = [], ports = [] }) => ({ peers: from, ports }))
          : (by.spec.egress ?? []).map(({ to = [], ports = [] }) => ({ peers: to, ports }));
      return rules.some(
        ({ peers, ports }) =>
          (peers.length === 0 || peers.some((peer) => isPeer(peer, by, otherIp, other))) && (ports.length === 0 || ports.some(isPort)),
      );
    });
  };
  return side(source, target, packet.to, 'Egress') && side(target, source, packet.from, 'Ingress');
}

const web = pod('web', { labels: { app: 'web' }, ip: '10.244.0.5' });
const client = pod('client', { labels: { app: 'client' }, ip: '10.244.0.6' });
const stranger = pod('stranger', { namespace: 'other', labels: { app: 'client' }, ip: '10.244.1.7', nodeName: 'there' });
const world = { nodeName: 'here', pods: [web, client, stranger], namespaces: [namespace('shop', { team: 'a' }), namespace('other', { team: 'b' })] };
const toWeb = (from: Pod, port = 80): Packet => ({ from: from.status.podIP ?? '', to: '10.244.0.5', protocol: 'tcp', port });
const forWeb = { podSelector: { matchLabels: { app: 'web' } } };

test('without a policy there is nothing to look up', () => {
  const content = policyRules({ ...world, policies: [] });
  assert.deepEqual([...content.maps.keys(), ...content.chains.keys(), ...content.sets.keys()], []);
});

test('a policy isolates the pods it selects, and counts what it denies', () => {
  const content = policyRules({ ...world, policies: [policy('closed', { ...forWeb, policyTypes: ['Ingress'] })] });
  assert.deepEqual(pass(content, toWeb(client)), { passes: false, counted: ['denied-in/shop/closed'] });
  assert.deepEqual(pass(content, { ...toWeb(web), to: '10.244.0.6' }), { passes: true, counted: [] });
});

test('of several policies one that allows is enough, and it is named', () => {
  const policies = [
    policy('closed', { podSelector: {}, policyTypes: ['Ingress'] }),
    policy('clients', { ...forWeb, policyTypes: ['Ingress'], ingress: [{ from: [{ podSelector: { matchLabels: { app: 'client' } } }] }] }),
  ];
  const content = policyRules({ ...world, policies });
  assert.deepEqual(pass(content, toWeb(client)), { passes: true, counted: ['allowed-in/shop/clients'] });
  assert.deepEqual(pass(content, toWeb(stranger)), { passes: false, counted: ['denied-in/shop/clients', 'denied-in/shop/closed'] });
});

test('pods of the host network are left alone, and so are ended ones whose address may be another’s', () => {
  const policies = [policy('closed', { podSelector: {}, policyTypes: ['Ingress', 'Egress'] })];
  const pods = [pod('node', { ip: '192.0.2.1', hostNetwork: true }), pod('ended', { ip: '10.244.0.9', phase: 'Succeeded' })];
  assert.equal(policyRules({ ...world, pods, policies }).maps.size, 0);
});

test('a named port is the number it has on the pod that is asked', () => {
  const other = pod('web-2', { labels: { app: 'web' }, ip: '10.244.0.8', web: 9090 });
  const policies = [policy('by-name', { ...forWeb, policyTypes: ['Ingress'], ingress: [{ ports: [{ port: 'web', protocol: 'TCP' }] }] })];
  const content = policyRules({ ...world, pods: [...world.pods, other], policies });
  assert.equal(pass(content, toWeb(client, 8080)).passes, true);
  assert.equal(pass(content, toWeb(client, 9090)).passes, false);
  assert.equal(pass(content, { ...toWeb(client, 9090), to: '10.244.0.8' }).passes, true);
});

test('ports with names and ranges, peers of all kinds: either end of a range counts, and beyond it nothing', () => {
  const ports = [{ port: 8000, endPort: 8010 }, { port: 8011 }, { protocol: 'UDP' }];
  const policies = [policy('ranges', { ...forWeb, policyTypes: ['Ingress'], ingress: [{ ports }] })];
  const content = policyRules({ ...world, policies });
  const open = [7999, 8000, 8010, 8011, 8012].filter((port) => pass(content, toWeb(client, port)).passes);
  assert.deepEqual(open, [8000, 8010, 8011]);
  assert.equal(pass(content, { ...toWeb(client, 5), protocol: 'udp' }).passes, true);
});

test('the name server, which is no pod, is reached by those who may ask it as a pod', () => {
  const nameServer = { address: '10.96.0.10', port: 53, namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } };
  const namespaces = [...world.namespaces, namespace('kube-system', { 'kubernetes.io/metadata.name': 'kube-system' })];
  const asks = (egress: V1NetworkPolicySpec['egress']): string[] => {
    const policies = [policy('names', { ...forWeb, policyTypes: ['Egress'], ...(egress && { egress }) })];
    return [
      ...(policyRules({ ...world, namespaces, policies, nameServer })
        .maps.get('name-server-clients')
        ?.keys() ?? []),
    ];
  };
  const kubeDns = {
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'kube-system' } },
    podSelector: { matchLabels: { 'k8s-app': 'kube-dns' } },
  };
  assert.deepEqual(asks([{ to: [kubeDns], ports: [{ port: 53, protocol: 'UDP' }] }]), ['10.244.0.5 . udp']);
  assert.deepEqual(
    asks([
      {
        ports: [
          { port: 53, protocol: 'TCP' },
          { port: 'dns', protocol: 'UDP' },
        ],
      },
    ]),
    ['10.244.0.5 . tcp', '10.244.0.5 . udp'],
  );
  assert.deepEqual(asks([{ to: [{ ipBlock: { cidr: '10.96.0.0/16' } }] }]), ['10.244.0.5 . tcp', '10.244.0.5 . udp']);
  assert.deepEqual(asks([{ to: [{ ipBlock: { cidr: '10.96.0.0/16', except: ['10.96.0.8/29'] } }] }]), []);
  assert.deepEqual(asks([{ to: [{ podSelector: {} }] }]), []);
  assert.deepEqual(asks(undefined), []);
});

test('names as long as they may be stay apart and within nft’s', () => {
  const long = 'n'.repeat(240);
  const policies = ['a', 'b'].map((end) => policy(long + end, { podSelector: {}, policyTypes: ['Ingress'] }));
  const content = policyRules({ ...world, policies });
  assert.equal(content.counters.size, 4);
  for (const name of [...content.counters, ...content.chains.keys()]) assert(name.length <= 127, name);
});

const label = fc.constantFrom('x', 'y');
const selector = fc.oneof(
  fc.constant({}),
  label.map((app) => ({ matchLabels: { app } })),
);
const peer: fc.Arbitrary<V1NetworkPolicyPeer> = fc.oneof(
  selector.map((podSelector) => ({ podSelector })),
  selector.map((namespaceSelector) => ({ namespaceSelector })),
  fc.record({ namespaceSelector: selector, podSelector: selector }),
  fc.record({
    ipBlock: fc.record({
      cidr: fc.constantFrom('0.0.0.0/0', '10.0.0.0/29', '10.0.0.4/30'),
      except: fc.subarray(['10.0.0.4/31', '10.0.0.5/32', '10.0.0.6/31']),
    }),
  }),
);
const port: fc.Arbitrary<V1NetworkPolicyPort> = fc.oneof(
  fc.record({ protocol: fc.constantFrom('TCP', 'UDP') }),
  fc.record({ protocol: fc.constantFrom('TCP', 'UDP'), port: fc.constantFrom(1, 2, 3, 'web') }),
  fc.constantFrom({ port: 1, endPort: 2 }, { port: 2, endPort: 3 }),
);
const rule = fc.record({ peers: fc.array(peer, { maxLength: 2 }), ports: fc.array(port, { maxLength: 2 }) });
const somePolicy = fc.record({
  home: fc.constantFrom('a', 'b'),
  podSelector: selector,
  types: fc.subarray(['Ingress', 'Egress'], { minLength: 1 }),
  ingress: fc.array(rule, { maxLength: 2 }),
  egress: fc.array(rule, { maxLength: 2 }),
});
const somePod = fc.record({
  home: fc.constantFrom('a', 'b'),
  app: label,
  nodeName: fc.constantFrom('here', 'here', 'there'),
  web: fc.constantFrom(1, 2, 3),
});
const someWorld = fc
  .record({ policies: fc.array(somePolicy, { maxLength: 3 }), pods: fc.array(somePod, { minLength: 1, maxLength: 5 }), appOfB: label })
  .map(({ policies, pods, appOfB }): PolicySnapshot => ({
    nodeName: 'here',
    namespaces: [namespace('a', { app: 'x' }), namespace('b', { app: appOfB })],
    pods: pods.map(({ home, app, nodeName, web: number }, index) =>
      pod(`p${index}`, { namespace: home, labels: { app }, ip: `10.0.0.${index + 2}`, nodeName, web: number }),
    ),
    policies: policies.map(({ home, podSelector, types, ingress, egress }, index) => {
      const spec = {
        podSelector,
        policyTypes: types,
        ingress: ingress.map(({ peers, ports }) => ({ from: peers, ports })),
        egress: egress.map(({ peers, ports }) => ({ to: peers, ports })),
      };
      return policy(`q${index}`, spec, home);
    }),
  }));

test('the rules decide as the policies say, for any policies, pods and packets', () => {
  const packet = fc.record({
    from: fc.integer({ min: 2, max: 7 }),
    to: fc.integer({ min: 2, max: 7 }),
    protocol: fc.constantFrom('tcp' as const, 'udp' as const),
    port: fc.integer({ min: 1, max: 4 }),
  });
  fc.assert(
    fc.property(someWorld, fc.array(packet, { minLength: 1, maxLength: 12 }), (snapshot, packets) => {
      const content = policyRules(snapshot);
      for (const { from, to, protocol, port: number } of packets) {
        const one: Packet = { from: `10.0.0.${from}`, to: `10.0.0.${to}`, protocol, port: number };
        assert.equal(pass(content, one).passes, allowed(snapshot, one), JSON.stringify(one));
      }
    }),
    { numRuns: 300 },
  );
});

test('whatever was in force, the changes lead to what should be', () => {
  fc.assert(
    fc.property(fc.array(someWorld, { minLength: 2, maxLength: 4 }), (snapshots) => {
      const kernel = new FakeTable();
      let from = emptyContent;
      for (const snapshot of snapshots) {
        const to = policyRules(snapshot);
        kernel.run(tableChanges('inet t', from, to));
        kernel.assertHolds(to);
        assert.equal(tableChanges('inet t', to, policyRules(snapshot)), '');
        from = to;
      }
    }),
    { numRuns: 100 },
  );
});

/** As much of nftables as the scripts use, with its complaints. */
class FakeTable {
  readonly #counters = new Set<string>();
  readonly #chains = new Map<string, string[]>();
  readonly #elements = new Map<string, Map<string, string>>();

  run(script: string): void {
    for (const line of script.split('\n').filter((text) => text !== '')) this.#line(line);
  }

  assertHolds(content: TableContent): void {
    assert.deepEqual(this.#chains, content.chains);
    assert.deepEqual(this.#counters, content.counters);
    for (const [name, { elements }] of content.sets) assert.deepEqual(new Set(this.#elements.get(name)?.keys()), elements, name);
    for (const [name, elements] of content.maps) assert.deepEqual(this.#elements.get(name), elements, name);
  }

  #line(line: string): void {
    const [, verb = '', object = '', name = '', rest = ''] = /^(add|delete|flush) (\w+) inet t (\S+) ?(.*)$/.exec(line) ?? assert.fail(line);
    switch (`${verb} ${object}`) {
      case 'add counter':
        this.#counters.add(name);
        break;
      case 'delete counter':
        assert(!this.#mentions(`counter name ${name} `) && this.#counters.delete(name), line);
        break;
      case 'add set':
        assert(!this.#elements.has(name), line);
        this.#elements.set(name, new Map());
        break;
      case 'delete set':
        assert(!this.#mentions(`@${name} `) && this.#elements.delete(name), line);
        break;
      case 'add chain':
        assert(!this.#chains.has(name), line);
        this.#chains.set(name, []);
        break;
      case 'flush chain':
        (this.#chains.get(name) ?? assert.fail(line)).length = 0;
        break;
      case 'delete chain':
        assert(!this.#mentions(`jump ${name} `) && !this.#mentions(`goto ${name} `) && this.#chains.delete(name), line);
        break;
      case 'add rule':
        for (const [, target = ''] of rest.matchAll(/(?:jump|goto) (\S+)/g)) assert(this.#chains.has(target), line);
        for (const [, set = ''] of rest.matchAll(/@(\S+)/g)) assert(this.#elements.has(set), line);
        (this.#chains.get(name) ?? assert.fail(line)).push(rest);
        break;
      default:
        this.#change(verb, name, rest.slice(2, -2).split(', '), line);
    }
  }

  #change(verb: string, name: string, list: readonly string[], line: string): void {
    const elements = this.#elements.get(name) ?? new Map<string, string>();
    this.#elements.set(name, elements);
    for (const text of list) {
      const [key = '', verdict = ''] = text.split(' : ');
      if (verb === 'add') assert(!elements.has(key), line);
      else assert(elements.has(key), line);
      if (verb === 'add') elements.set(key, verdict);
      else elements.delete(key);
    }
  }

  #mentions(text: string): boolean {
    const all = [...[...this.#chains.values()].flat(), ...[...this.#elements.values()].flatMap((elements) => [...elements.values()])];
    return all.some((rule) => `${rule} `.includes(text));
  }
}
