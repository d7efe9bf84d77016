import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EndpointSlice, Service } from '../api/kinds.ts';
import type { V1Endpoint, V1ServiceSpec } from '../api/types.ts';
import { showBackend } from './backends.ts';
import { noRules, ruleChanges, Shares } from './rule-changes.ts';
import { type ServiceRules, serviceRules } from './service-rules.ts';
import { sharedRules } from './shared-chains.ts';
import { staleAtStart, staleFlows } from './stale-flows.ts';

const created = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const place = { nodeName: 'here', clusterCidr: '10.244.0.0/16' };
const table = { family: 'ip', table: 't', podCidr: '10.244.0.0/16' } as const;

function service(spec: V1ServiceSpec): Service {
  const defaults = { type: 'ClusterIP', clusterIP: '10.96.0.7', clusterIPs: ['10.96.0.7'], ports: [{ port: 80, protocol: 'TCP' }] };
  return { apiVersion: 'v1', kind: 'Service', metadata: { name: 'web', namespace: 'shop', ...created }, spec: { ...defaults, ...spec }, status: {} };
}

function slice(endpoints: V1Endpoint[], name = ''): EndpointSlice {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: 'web-1', namespace: 'shop', ...created },
    addressType: 'IPv4',
    ports: [{ name, port: 8080, protocol: 'TCP' }],
    endpoints,
  };
}

const ready = (address: string, nodeName = 'here'): V1Endpoint => ({ addresses: [address], conditions: { ready: true }, nodeName });
const leaving = (address: string): V1Endpoint => ({
  addresses: [address],
  conditions: { ready: false, serving: true, terminating: true },
  nodeName: 'here',
});

/** Where new connections may end up, by following verdicts from the maps. */
function reachable(rules: ServiceRules, map: 'service-ips' | 'node-ports', key: string): string[] {
  const found = new Set<string>();
  const listed = rules.elements[map === 'service-ips' ? 'endpoints-tcp' : 'node-port-endpoints-tcp'] ?? new Map<string, string>();
  const add = (address: string, port: string): unknown => found.add(showBackend({ address, port: Number(port) }));
  const follow = (verdict: string | undefined): void => {
    const chain = verdict?.startsWith('goto ') === true ? verdict.slice(5) : '';
    if (rules.shared.has(chain)) {
      const indices = Array.from(
        { length: Number(chain.split('-').at(-1)) },
        (_, index) => listed.get(`${key.replace('tcp . ', '')} . ${index}`) ?? assert.fail(chain),
      );
      for (const endpoint of indices) add(...(endpoint.split(' . ') as [string, string]));
    }
    for (const rule of rules.chains.get(chain) ?? []) {
      const target = /dnat to ([^n\s]\S*)/.exec(rule)?.[1];
      if (target !== undefined) found.add(target);
      for (const [, address = '', port = ''] of rule.matchAll(/\d+ : (\S+) \. (\d+)/g)) add(address, port);
      if (!rule.startsWith('ip saddr 10.') && !rule.startsWith('fib')) for (const match of rule.matchAll(/goto [^\s,}]+/g)) follow(match[0]);
    }
  };
  follow(rules.elements[map]?.get(key));
  return [...found];
}

test('a Service leads to its ready endpoints', () => {
  const rules = serviceRules(
    service({}),
    [slice([ready('10.244.0.5'), ready('10.244.1.6', 'there'), { addresses: ['10.244.0.9'], conditions: { ready: false } }])],
    place,
  );
  assert.deepEqual(reachable(rules, 'service-ips', '10.96.0.7 . tcp . 80'), ['10.244.0.5:8080', '10.244.1.6:8080']);
  assert.deepEqual(rules.clusterIps, ['10.96.0.7']);
});

test('endpoints that leave still serve when there is no other', () => {
  assert.deepEqual(reachable(serviceRules(service({}), [slice([leaving('10.244.0.5')])], place), 'service-ips', '10.96.0.7 . tcp . 80'), [
    '10.244.0.5:8080',
  ]);
  const rules = serviceRules(service({}), [slice([leaving('10.244.0.5'), ready('10.244.0.6')])], place);
  assert.deepEqual(reachable(rules, 'service-ips', '10.96.0.7 . tcp . 80'), ['10.244.0.6:8080']);
});

test('without endpoints the client is refused at once', () => {
  const rules = serviceRules(service({ type: 'NodePort', ports: [{ port: 80, nodePort: 30080, protocol: 'TCP' }] }), [], place);
  assert.equal(rules.elements['no-endpoint-ips']?.get('10.96.0.7 . tcp . 80'), 'goto refuse');
  assert.equal(rules.elements['no-endpoint-node-ports']?.get('tcp . 30080'), 'goto refuse');
  assert.equal(rules.elements['service-ips']?.size ?? 0, 0);
});

test('a node port leads to all endpoints and hides the client behind the node', () => {
  const rules = serviceRules(
    service({ type: 'NodePort', ports: [{ port: 80, nodePort: 30080, protocol: 'TCP' }] }),
    [slice([ready('10.244.0.5'), ready('10.244.1.6', 'there')])],
    place,
  );
  assert.deepEqual(reachable(rules, 'node-ports', 'tcp . 30080'), ['10.244.0.5:8080', '10.244.1.6:8080']);
  const chain = rules.elements['node-ports']?.get('tcp . 30080')?.slice(5) ?? '';
  assert.equal(chain, 'node-port-tcp-2');
  assert.match(sharedRules(chain, table)[0] ?? '', /^meta mark set/);
});

test('externalTrafficPolicy Local keeps to this node and the client its address', () => {
  const spec = { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ port: 80, nodePort: 30080, protocol: 'TCP' }] };
  const rules = serviceRules(service(spec), [slice([ready('10.244.0.5'), ready('10.244.1.6', 'there')])], place);
  assert.deepEqual(reachable(rules, 'node-ports', 'tcp . 30080'), ['10.244.0.5:8080']);
  const elsewhere = serviceRules(service(spec), [slice([ready('10.244.1.6', 'there')])], place);
  const chain = elsewhere.elements['node-ports']?.get('tcp . 30080')?.slice(5) ?? '';
  assert.equal(elsewhere.chains.get(chain)?.at(-1), 'drop');
});

test('internalTrafficPolicy Local drops what this node cannot serve', () => {
  const rules = serviceRules(service({ internalTrafficPolicy: 'Local' }), [slice([ready('10.244.1.6', 'there')])], place);
  assert.equal(rules.elements['no-endpoint-ips']?.get('10.96.0.7 . tcp . 80'), 'drop');
});

test('session affinity remembers clients for its time', () => {
  const rules = serviceRules(
    service({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 90 } } }),
    [slice([ready('10.244.0.5'), ready('10.244.0.6')])],
    place,
  );
  assert.equal(rules.sets.size, 2);
  for (const definition of rules.sets.values()) assert.match(definition, /timeout 90s/);
  const chain = rules.chains.get(rules.elements['service-ips']?.get('10.96.0.7 . tcp . 80')?.slice(5) ?? '') ?? [];
  assert.equal(chain.filter((rule) => rule.startsWith('ip saddr @clients-')).length, 2);
  assert.match(chain.at(-1) ?? '', /numgen random mod 2/);
});

test('with another timeout the sets are others, so that nothing in use is taken away', () => {
  const of = (timeoutSeconds: number): ServiceRules =>
    serviceRules(
      service({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds } } }),
      [slice([ready('10.244.0.5')])],
      place,
    );
  assert.deepEqual(
    [...of(60).sets.keys()].filter((name) => of(90).sets.has(name)),
    [],
  );
});

test('Local falls back to what leaves this node, though others are ready elsewhere', () => {
  const spec = { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ port: 80, nodePort: 30080, protocol: 'TCP' }] };
  const rules = serviceRules(service(spec), [slice([leaving('10.244.0.5'), ready('10.244.1.6', 'there')])], place);
  assert.deepEqual(reachable(rules, 'node-ports', 'tcp . 30080'), ['10.244.0.5:8080']);
  assert.deepEqual(reachable(rules, 'service-ips', '10.96.0.7 . tcp . 80'), ['10.244.1.6:8080']);
});

test('hints keep traffic on the node, or else in the zone, when every endpoint has one and some is meant for here', () => {
  const hinted = (address: string, zone: string, node: string): V1Endpoint => ({
    ...ready(address, node),
    hints: { forZones: [{ name: zone }], forNodes: [{ name: node }] },
  });
  const [here, near, far] = [hinted('10.244.0.5', 'a', 'here'), hinted('10.244.1.6', 'a', 'there'), hinted('10.244.2.7', 'b', 'far')];
  const reached = (endpoints: V1Endpoint[], zone?: string): string[] =>
    reachable(
      serviceRules(service({}), [slice(endpoints)], { ...place, ...(zone !== undefined && { zone }) }),
      'service-ips',
      '10.96.0.7 . tcp . 80',
    );
  assert.deepEqual(reached([here, near, far], 'a'), ['10.244.0.5:8080']);
  assert.deepEqual(reached([near, far], 'a'), ['10.244.1.6:8080']);
  assert.deepEqual(reached([near, far], 'c'), ['10.244.1.6:8080', '10.244.2.7:8080']);
  assert.deepEqual(reached([near, far]), ['10.244.1.6:8080', '10.244.2.7:8080']);
  assert.deepEqual(reached([near, far, ready('10.244.2.8', 'far')], 'a').length, 3);
});

const balanced = (spec: V1ServiceSpec, ...ingress: { ip: string; ipMode?: string }[]): Service => ({
  ...service({ type: 'LoadBalancer', ports: [{ port: 80, protocol: 'TCP' }], ...spec }),
  status: { loadBalancer: { ingress } },
});

test('loadBalancerSourceRanges stand before the balancer’s address and nothing else', () => {
  const ranges = ['198.51.100.0/24', ' 198.51.100.128/25', '203.0.113.7/32', '2001:db8::/32'];
  const spec = { loadBalancerSourceRanges: ranges, externalIPs: ['192.0.2.50'] };
  const rules = serviceRules(balanced(spec, { ip: '192.0.2.9' }), [slice([ready('10.244.0.5')])], place);
  const guard = rules.elements['service-ips']?.get('192.0.2.9 . tcp . 80')?.slice(5) ?? '';
  assert.equal(rules.chains.get(guard)?.[0], 'ip saddr != { 198.51.100.0-198.51.100.255, 203.0.113.7 } drop');
  assert.deepEqual(reachable(rules, 'service-ips', '192.0.2.9 . tcp . 80'), ['10.244.0.5:8080']);
  assert.match(rules.elements['service-ips']?.get('192.0.2.50 . tcp . 80') ?? '', /goto external-/);
  const onlyV6 = serviceRules(balanced({ loadBalancerSourceRanges: ['2001:db8::/32'] }, { ip: '192.0.2.9' }), [slice([ready('10.244.0.5')])], place);
  assert.equal(onlyV6.chains.get(onlyV6.elements['service-ips']?.get('192.0.2.9 . tcp . 80')?.slice(5) ?? '')?.[0], 'drop');
  const all = serviceRules(balanced({ loadBalancerSourceRanges: ['0.0.0.0/0'] }, { ip: '192.0.2.9' }), [slice([ready('10.244.0.5')])], place);
  assert.match(all.elements['service-ips']?.get('192.0.2.9 . tcp . 80') ?? '', /goto external-/);
});

test('an address of a balancer that is a proxy is the proxy’s', () => {
  const rules = serviceRules(balanced({}, { ip: '192.0.2.9', ipMode: 'Proxy' }), [slice([ready('10.244.0.5')])], place);
  assert.equal(rules.elements['service-ips']?.has('192.0.2.9 . tcp . 80') ?? false, false);
});

test('an endpoint that names no node may be on this one, and its own client', () => {
  const written = slice([{ addresses: ['10.244.0.5'] }, { addresses: ['10.244.1.6'], nodeName: 'elsewhere' }]);
  assert.deepEqual(serviceRules(service({ clusterIPs: ['10.96.0.7'], ports: [{ port: 80 }] }), [written], place).hairpins, ['10.244.0.5']);
});

test('both families of a Service have rules of their own', () => {
  const spec = { type: 'NodePort', clusterIPs: ['10.96.0.7', 'fd00::7'], ipFamilies: ['IPv4', 'IPv6'], ports: [{ port: 80, nodePort: 30080 }] };
  const slices = [slice([ready('10.244.0.5')]), { ...slice([ready('fd00:1::5'), ready('fd00:1::6')]), addressType: 'IPv6' }];
  const both = { ...place, clusterCidr: '10.244.0.0/16,fd00:1::/48' };
  const six = serviceRules(service(spec), slices, both, 'ip6');
  assert.deepEqual(six.clusterIps, ['fd00::7']);
  assert.deepEqual(reachable(six, 'service-ips', 'fd00::7 . tcp . 80'), ['[fd00:1::5]:8080', '[fd00:1::6]:8080']);
  assert.deepEqual(reachable(six, 'node-ports', 'tcp . 30080'), ['[fd00:1::5]:8080', '[fd00:1::6]:8080']);
  assert.match(sharedRules('service-tcp-2', { family: 'ip6', podCidr: 'fd00:1::/48' })[0] ?? '', /^ip6 saddr != fd00:1::\/48/);
  assert.deepEqual(six.hairpins, ['fd00:1::5', 'fd00:1::6']);
  assert.deepEqual(reachable(serviceRules(service(spec), slices, both), 'service-ips', '10.96.0.7 . tcp . 80'), ['10.244.0.5:8080']);
  assert.equal(
    serviceRules(service({ ...spec, ipFamilies: ['IPv4'], clusterIPs: ['10.96.0.7'] }), slices, both, 'ip6').elements['node-ports']?.size ?? 0,
    0,
  );
});

test('stale UDP flows are those to endpoints that left, and all when there were none before', () => {
  const spec = { type: 'NodePort', ports: [{ port: 53, protocol: 'UDP', nodePort: 30053 }] };
  const rules = (...endpoints: V1Endpoint[]): ServiceRules =>
    serviceRules(service(spec), [{ ...slice(endpoints), ports: [{ name: '', port: 5353, protocol: 'UDP' }] }], place);
  const told = (from: ServiceRules, to: ServiceRules): string[] =>
    staleFlows('ip', from, to).map(({ target, endpoint }) => `${target} ${endpoint?.address ?? 'led nowhere'}`);
  const [one, two] = [rules(ready('10.244.0.5')), rules(ready('10.244.0.5'), ready('10.244.0.6'))];
  assert.deepEqual(told(one, two), []);
  assert.deepEqual(told(two, one), ['10.96.0.7|53 10.244.0.6', '|30053 10.244.0.6']);
  assert.deepEqual(told(one, noRules), ['10.96.0.7|53 10.244.0.5', '|30053 10.244.0.5']);
  assert.deepEqual(told(rules(), one), ['10.96.0.7|53 led nowhere', '|30053 led nowhere']);
});

test('a proxy that starts forgets what leads to an endpoint that is none, and leaves others’ flows alone', () => {
  const spec = { type: 'NodePort', ports: [{ port: 53, protocol: 'UDP', nodePort: 30053 }] };
  const rules = serviceRules(service(spec), [{ ...slice([ready('10.244.0.5')]), ports: [{ name: '', port: 5353, protocol: 'UDP' }] }], place);
  const flows = [
    { address: '10.96.0.7', port: 53, answeredBy: '10.244.0.5' },
    { address: '10.96.0.7', port: 53, answeredBy: '10.244.0.9' },
    { address: '10.96.0.7', port: 53, answeredBy: '10.96.0.7' },
    { address: '192.0.2.1', port: 30053, answeredBy: '10.244.0.9' },
    { address: '198.51.100.1', port: 30053, answeredBy: '198.51.100.1' },
    { address: '198.51.100.1', port: 443, answeredBy: '198.51.100.1' },
  ];
  assert.deepEqual(
    staleAtStart('ip', flows, [rules]).map(({ target, endpoint }) => `${target} ${endpoint?.address}`),
    ['10.96.0.7|53 10.244.0.9', '10.96.0.7|53 10.96.0.7', '|30053 10.244.0.9'],
  );
});

test('an endpoint on this node that two Services share stays a hairpin until the last of them goes', () => {
  const rules = serviceRules(service({}), [slice([ready('10.244.0.5'), ready('10.244.1.6', 'there')])], place);
  const shares = new Shares();
  const first = ruleChanges(table, [{ from: noRules, to: rules }], shares);
  assert.match(first, /add element ip t hairpins { 10\.244\.0\.5 \. 10\.244\.0\.5 }/);
  assert.doesNotMatch(first, /10\.244\.1\.6 \. 10/);
  assert.doesNotMatch(ruleChanges(table, [{ from: noRules, to: rules }], shares), /hairpins/);
  assert.doesNotMatch(ruleChanges(table, [{ from: rules, to: noRules }], shares), /hairpins/);
  assert.match(ruleChanges(table, [{ from: rules, to: noRules }], shares), /delete element ip t hairpins/);
});

test('named ports pick the port of that name', () => {
  const spec = {
    ports: [
      { name: 'http', port: 80, protocol: 'TCP' },
      { name: 'admin', port: 81, protocol: 'TCP' },
    ],
  };
  const rules = serviceRules(service(spec), [slice([ready('10.244.0.5')], 'http')], place);
  assert.deepEqual(reachable(rules, 'service-ips', '10.96.0.7 . tcp . 80'), ['10.244.0.5:8080']);
  assert.deepEqual(reachable(rules, 'service-ips', '10.96.0.7 . tcp . 81'), []);
});

test('headless and ExternalName Services need no rules', () => {
  const headless = serviceRules(service({ clusterIP: 'None', clusterIPs: ['None'] }), [slice([ready('10.244.0.5')])], place);
  assert.equal(headless.elements['service-ips']?.size ?? 0, 0);
  assert.deepEqual(serviceRules(service({ type: 'ExternalName', clusterIP: '', clusterIPs: [] }), [], place).chains.size, 0);
});

/** As much of nftables as the scripts use: enough to check that a change leads where a fresh start would. */
class FakeTable {
  readonly chains = new Map<string, string[]>();
  readonly elements = new Map<string, string>();
  readonly sets = new Map<string, string>();

  run(script: string): void {
    for (const line of script.split('\n').filter((text) => text !== '')) this.line(line);
  }

  private line(line: string): void {
    const [, verb = '', object = '', name = '', rest = ''] =
      /^(add|delete|flush) (chain|rule|element|set) ip t (\S+) ?(.*)$/.exec(line) ?? assert.fail(line);
    switch (`${verb} ${object}`) {
      case 'add chain':
        assert(!this.chains.has(name), line);
        this.chains.set(name, []);
        break;
      case 'flush chain':
        (this.chains.get(name) ?? assert.fail(line)).length = 0;
        break;
      case 'delete chain':
        assert(
          ![...this.elements.values(), ...[...this.chains.values()].flat()].some(
            (text) => text.endsWith(`goto ${name}`) || text.includes(`goto ${name},`) || text.includes(`goto ${name} `),
          ),
          `in use: ${line}`,
        );
        assert(this.chains.delete(name), line);
        break;
      case 'add rule':
        for (const match of rest.matchAll(/goto ([^\s,}]+)/g)) assert(this.chains.has(match[1] ?? ''), `leads nowhere: ${line}`);
        for (const match of rest.matchAll(/@(\S+)/g))
          assert(this.sets.has(match[1] ?? '') || match[1]?.includes('endpoints-') === true, `no such set: ${line}`);
        (this.chains.get(name) ?? assert.fail(line)).push(rest);
        break;
      case 'add set':
        assert(!this.sets.has(name), line);
        this.sets.set(name, rest);
        break;
      case 'delete set':
        assert(![...this.chains.values()].flat().some((text) => `${text} `.includes(`@${name} `)), `in use: ${line}`);
        assert(this.sets.delete(name), line);
        break;
      default:
        for (const text of rest.slice(2, -2).split(', ')) this.element(verb, name, text, line);
    }
  }

  private element(verb: string, name: string, text: string, line: string): void {
    const [key = '', verdict = ''] = text.split(' : ');
    if (verb === 'add') {
      assert(!this.elements.has(`${name} ${key}`), line);
      if (verdict.startsWith('goto ') && verdict !== 'goto refuse') assert(this.chains.has(verdict.slice(5)), `leads nowhere: ${line}`);
      this.elements.set(`${name} ${key}`, verdict);
    } else assert(this.elements.delete(`${name} ${key}`), line);
  }
}

test('whatever Services were, the changes lead to what they are', () => {
  const endpoint = fc.record({ address: fc.constantFrom('10.244.0.5', '10.244.0.6', '10.244.1.7'), ending: fc.boolean() });
  const state = fc.record({
    name: fc.constantFrom('web', 'other'),
    endpoints: fc.array(endpoint, { maxLength: 4 }),
    affinity: fc.constantFrom(undefined, undefined, 60, 90),
    nodePort: fc.boolean(),
    local: fc.boolean(),
    guarded: fc.boolean(),
    gone: fc.boolean(),
  });
  const balancer = { web: '192.0.2.9', other: '192.0.2.10' };
  const rulesOf = ({
    name,
    endpoints,
    affinity,
    nodePort,
    local,
    guarded,
    gone,
  }: typeof state extends fc.Arbitrary<infer S> ? S : never): ServiceRules => {
    if (gone) return noRules;
    const clusterIP = name === 'web' ? '10.96.0.7' : '10.96.0.8';
    const spec = {
      type: guarded ? 'LoadBalancer' : 'NodePort',
      clusterIP,
      clusterIPs: [clusterIP],
      ...(affinity !== undefined && { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: affinity } } }),
      ...(local && { externalTrafficPolicy: 'Local' }),
      ...(guarded && { loadBalancerSourceRanges: ['198.51.100.0/24'] }),
      ports: [{ port: 80, protocol: 'TCP', ...(nodePort && { nodePort: name === 'web' ? 30080 : 30081 }) }],
    };
    const asked = balanced(spec, { ip: balancer[name] });
    const named = { ...asked, metadata: { ...asked.metadata, name } };
    return serviceRules(named, [slice(endpoints.map(({ address, ending }) => (ending ? leaving(address) : ready(address))))], place);
  };
  fc.assert(
    fc.property(fc.array(fc.array(state, { minLength: 1, maxLength: 2 }), { minLength: 2, maxLength: 5 }), (rounds) => {
      const kernel = new FakeTable();
      const shares = new Shares();
      const holding = new Map<string, ServiceRules>();
      for (const states of rounds) {
        const changes = [...new Map(states.map((one) => [one.name, one])).values()].map((one) => {
          const [from, to] = [holding.get(one.name) ?? noRules, rulesOf(one)];
          holding.set(one.name, to);
          return { from, to };
        });
        kernel.run(ruleChanges(table, changes, shares));
      }
      const fresh = new FakeTable();
      fresh.run(
        ruleChanges(
          table,
          [...holding.values()].map((to) => ({ from: noRules, to })),
          new Shares(),
        ),
      );
      assert.deepEqual(kernel.chains, fresh.chains);
      assert.deepEqual(kernel.elements, fresh.elements);
      assert.deepEqual(kernel.sets, fresh.sets);
    }),
  );
});

test('Services with as many endpoints share a chain, which goes with the last of them', () => {
  const rules = (name: string, ip: string): ServiceRules =>
    serviceRules(
      { ...service({ clusterIPs: [ip] }), metadata: { name, namespace: 'shop', ...created } },
      [slice([ready('10.244.0.5'), ready('10.244.0.6')])],
      place,
    );
  const [one, two] = [rules('one', '10.96.0.7'), rules('two', '10.96.0.8')];
  const shares = new Shares();
  assert.match(ruleChanges(table, [{ from: noRules, to: one }], shares), /^add chain ip t service-tcp-2$/m);
  assert.doesNotMatch(ruleChanges(table, [{ from: noRules, to: two }], shares), /chain|rule/);
  assert.doesNotMatch(ruleChanges(table, [{ from: one, to: noRules }], shares), /chain|rule/);
  assert.match(ruleChanges(table, [{ from: two, to: noRules }], shares), /^delete chain ip t service-tcp-2$/m);
});

test('an address that is another Service’s has no rules here', () => {
  const rules = serviceRules(
    service({ externalIPs: ['192.0.2.50'] }),
    [slice([ready('10.244.0.5')])],
    place,
    'ip',
    (key) => !key.startsWith('192.0.2.50 '),
  );
  assert.deepEqual([...(rules.elements['service-ips']?.keys() ?? [])], ['10.96.0.7 . tcp . 80']);
  assert.deepEqual([...(rules.elements['endpoints-tcp']?.keys() ?? [])], ['10.96.0.7 . 80 . 0']);
});
