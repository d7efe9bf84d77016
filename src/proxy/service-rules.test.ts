import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { EndpointSlice, Service } from '../api/kinds.ts';
import type { V1Endpoint, V1ServiceSpec } from '../api/types.ts';
import { noRules, ruleChanges } from './rule-changes.ts';
import { type ServiceRules, serviceRules } from './service-rules.ts';

const created = { uid: 'u', resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };
const place = { nodeName: 'here', clusterCidr: '10.244.0.0/16' };

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
  const follow = (verdict: string | undefined): void => {
    const chain = verdict?.startsWith('goto ') === true ? verdict.slice(5) : undefined;
    if (chain === undefined) return;
    for (const rule of rules.chains.get(chain) ?? []) {
      const target = /dnat to (\S+)/.exec(rule)?.[1];
      if (target !== undefined) found.add(target);
      for (const match of rule.matchAll(/goto (endpoint-[^\s,}]+)/g)) follow(match[0]);
    }
  };
  follow(rules.elements[map].get(key));
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
  assert.equal(rules.elements['no-endpoint-ips'].get('10.96.0.7 . tcp . 80'), 'goto refuse');
  assert.equal(rules.elements['no-endpoint-node-ports'].get('tcp . 30080'), 'goto refuse');
  assert.equal(rules.elements['service-ips'].size, 0);
});

test('a node port leads to all endpoints and hides the client behind the node', () => {
  const rules = serviceRules(
    service({ type: 'NodePort', ports: [{ port: 80, nodePort: 30080, protocol: 'TCP' }] }),
    [slice([ready('10.244.0.5'), ready('10.244.1.6', 'there')])],
    place,
  );
  assert.deepEqual(reachable(rules, 'node-ports', 'tcp . 30080'), ['10.244.0.5:8080', '10.244.1.6:8080']);
  const chain = rules.elements['node-ports'].get('tcp . 30080')?.slice(5) ?? '';
  assert.match(rules.chains.get(chain)?.[0] ?? '', /meta mark set/);
});

test('externalTrafficPolicy Local keeps to this node and the client its address', () => {
  const spec = { type: 'NodePort', externalTrafficPolicy: 'Local', ports: [{ port: 80, nodePort: 30080, protocol: 'TCP' }] };
  const rules = serviceRules(service(spec), [slice([ready('10.244.0.5'), ready('10.244.1.6', 'there')])], place);
  assert.deepEqual(reachable(rules, 'node-ports', 'tcp . 30080'), ['10.244.0.5:8080']);
  const elsewhere = serviceRules(service(spec), [slice([ready('10.244.1.6', 'there')])], place);
  const chain = elsewhere.elements['node-ports'].get('tcp . 30080')?.slice(5) ?? '';
  assert.equal(elsewhere.chains.get(chain)?.at(-1), 'drop');
});

test('internalTrafficPolicy Local drops what this node cannot serve', () => {
  const rules = serviceRules(service({ internalTrafficPolicy: 'Local' }), [slice([ready('10.244.1.6', 'there')])], place);
  assert.equal(rules.elements['no-endpoint-ips'].get('10.96.0.7 . tcp . 80'), 'drop');
});

test('session affinity remembers clients for its time', () => {
  const rules = serviceRules(
    service({ sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: 90 } } }),
    [slice([ready('10.244.0.5'), ready('10.244.0.6')])],
    place,
  );
  assert.equal(rules.sets.size, 2);
  for (const definition of rules.sets.values()) assert.match(definition, /timeout 90s/);
  const chain = rules.chains.get(rules.elements['service-ips'].get('10.96.0.7 . tcp . 80')?.slice(5) ?? '') ?? [];
  assert.equal(chain.filter((rule) => rule.startsWith('ip saddr @clients-')).length, 2);
  assert.match(chain.at(-1) ?? '', /numgen random mod 2/);
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
  assert.equal(headless.elements['service-ips'].size, 0);
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
            (text) => text.includes(`goto ${name}`) && !text.includes(`goto ${name}/`),
          ),
          `in use: ${line}`,
        );
        assert(this.chains.delete(name), line);
        break;
      case 'add rule':
        for (const match of rest.matchAll(/goto ([^\s,}]+)/g)) assert(this.chains.has(match[1] ?? ''), `leads nowhere: ${line}`);
        for (const match of rest.matchAll(/@(\S+)/g)) assert(this.sets.has(match[1] ?? ''), `no such set: ${line}`);
        (this.chains.get(name) ?? assert.fail(line)).push(rest);
        break;
      case 'add set':
        assert(!this.sets.has(name), line);
        this.sets.set(name, rest);
        break;
      case 'delete set':
        assert(this.sets.delete(name), line);
        break;
      case 'add element': {
        const [key = '', verdict = ''] = rest.slice(2, -2).split(' : ');
        assert(!this.elements.has(`${name} ${key}`), line);
        this.elements.set(`${name} ${key}`, verdict);
        break;
      }
      default:
        assert(this.elements.delete(`${name} ${rest.slice(2, -2)}`), line);
    }
  }
}

test('whatever a Service was, the changes lead to what it is', () => {
  const endpoint = fc.record({ address: fc.constantFrom('10.244.0.5', '10.244.0.6', '10.244.1.7'), ending: fc.boolean() });
  const state = fc.record({
    endpoints: fc.array(endpoint, { maxLength: 4 }),
    affinity: fc.constantFrom(undefined, 60, 90),
    nodePort: fc.constantFrom(undefined, 30080, 30081),
    local: fc.boolean(),
    gone: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(state, { minLength: 2, maxLength: 6 }), (states) => {
      const table = new FakeTable();
      let from: ServiceRules = noRules;
      let last = from;
      for (const { endpoints, affinity, nodePort, local, gone } of states) {
        const spec = {
          ...(affinity !== undefined && { sessionAffinity: 'ClientIP', sessionAffinityConfig: { clientIP: { timeoutSeconds: affinity } } }),
          ...(local && { externalTrafficPolicy: 'Local' }),
          ports: [{ port: 80, protocol: 'TCP', ...(nodePort !== undefined && { nodePort }) }],
        };
        last = gone
          ? noRules
          : serviceRules(service(spec), [slice(endpoints.map(({ address, ending }) => (ending ? leaving(address) : ready(address))))], place);
        table.run(ruleChanges('t', [{ from, to: last }]));
        from = last;
      }
      const fresh = new FakeTable();
      fresh.run(ruleChanges('t', [{ from: noRules, to: last }]));
      assert.deepEqual(table.chains, fresh.chains);
      assert.deepEqual(table.elements, fresh.elements);
      assert.deepEqual(table.sets, fresh.sets);
    }),
  );
});
