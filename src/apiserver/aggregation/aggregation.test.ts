import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { allKinds, type APIService } from '../../api/kinds.ts';
import type { Kind } from '../../api/kind.ts';
import { NodeMetrics, PodMetrics } from '../../api/kinds/resource-metrics.ts';
import { groupsOf } from '../discovery/resources.ts';
import { headersOf, isIdentityHeader } from './identity-headers.ts';
import { automanagedLabel, type LocalService, localServices, planLocal } from './local-api-services.ts';
import { inOrder, isBuiltInGroup } from './priorities.ts';

const asPresent = ({ metadata: { name, labels }, spec }: LocalService): APIService => ({
  kind: 'APIService',
  apiVersion: 'apiregistration.k8s.io/v1',
  metadata: { name, labels: { ...labels }, uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' },
  spec,
  status: {},
});

describe('objects of what is served here', () => {
  const wanted = localServices(allKinds);
  const present = [...wanted.values()].map((service) => asPresent(service));

  test('are one for each group and version, with a place in the order', () => {
    assert.deepEqual([...wanted.keys()].filter((name) => name.endsWith('autoscaling')).sort(), ['v1.autoscaling', 'v2.autoscaling']);
    for (const { spec } of wanted.values()) assert.ok(isBuiltInGroup(spec.group ?? ''), spec.group ?? '');
  });

  test('are written once, and mended at the next start', () => {
    assert.equal(planLocal(wanted, [], true).create.length, wanted.size);
    assert.equal(planLocal(wanted, [], false).create.length, 0, 'who deletes them later means it');
    assert.deepEqual(planLocal(wanted, present, true), { create: [], update: [], remove: [] });
    const changed = present.map((service) =>
      service.metadata.name === 'v1.apps' ? { ...service, spec: { ...service.spec, versionPriority: 1 } } : service,
    );
    assert.deepEqual(
      planLocal(wanted, changed, true).update.map(({ metadata }) => metadata.name),
      ['v1.apps'],
    );
    assert.equal(planLocal(wanted, changed, false).update.length, 0);
  });

  test('of metrics give way to another server, and come back after it', () => {
    const more = localServices([...allKinds, NodeMetrics, PodMetrics]);
    const [service] = planLocal(more, present, false).create.map((one) => asPresent(one));
    assert.deepEqual(
      [service?.metadata.name, service?.spec.groupPriorityMinimum, service?.spec.versionPriority],
      ['v1beta1.metrics.k8s.io', 100, 100],
    );
    assert.ok(service);
    assert.deepEqual(planLocal(more, [...present, service], true), { create: [], update: [], remove: [] });
    const other = { ...service, spec: { ...service.spec, versionPriority: 7, service: { name: 'metrics-server', namespace: 'kube-system' } } };
    assert.deepEqual(planLocal(more, [...present, other], true), { create: [], update: [], remove: [] });
  });

  test('of definitions come and go with them', () => {
    const boat: Kind = {
      ...(allKinds[0] as Kind),
      group: 'sea.example.com',
      version: 'v1',
      custom: { revision: '', storageVersion: 'v1', published: () => ({}) },
    };
    const more = localServices([...allKinds, boat]);
    const { create } = planLocal(more, present, false);
    assert.deepEqual(
      create.map(({ metadata }) => [metadata.name, metadata.labels[automanagedLabel]]),
      [['v1.sea.example.com', 'true']],
    );
    const [service] = create.map((one) => asPresent(one));
    assert.ok(service);
    assert.deepEqual(planLocal(wanted, [...present, service], false).remove, [service]);
    const own = { ...service, metadata: { ...service.metadata, labels: {} } };
    assert.deepEqual(planLocal(wanted, [...present, own], false).remove, [], 'whoever takes the label off keeps it');
  });
});

describe('groups', () => {
  const remote = (group: string, version: string, groupPriorityMinimum: number, versionPriority: number) => ({
    version,
    kinds: [],
    spec: { group, version, groupPriorityMinimum, versionPriority },
  });

  test('are told by priority, the built-in ones first', () => {
    const groups = inOrder(groupsOf(allKinds), [remote('metrics.k8s.io', 'v1beta1', 100, 100), remote('first.example.com', 'v1', 18_500, 1)]);
    const names = groups.map(({ group }) => group);
    assert.deepEqual(names.slice(0, 3), ['apiregistration.k8s.io', 'first.example.com', '']);
    assert.equal(names.at(-1), 'metrics.k8s.io');
  });

  test('have their versions by priority, then by name', () => {
    const versions = inOrder(
      [],
      [remote('g', 'v1alpha1', 10, 20), remote('g', 'v1', 10, 10), remote('g', 'v2beta1', 10, 10), remote('g', 'v10', 10, 10)],
    )[0]?.versions.map(({ version }) => version);
    assert.deepEqual(versions, ['v1alpha1', 'v10', 'v1', 'v2beta1']);
  });
});

describe('headers that say who asks', () => {
  test('are those that servers look for', () => {
    const headers = headersOf({ name: 'jane', uid: '7', groups: ['dev', 'ops'], extra: { 'example.com/Scopes': ['a', 'b'] } });
    assert.deepEqual(headers, {
      'X-Remote-User': 'jane',
      'X-Remote-Uid': '7',
      'X-Remote-Group': ['dev', 'ops'],
      'X-Remote-Extra-example.com%2FScopes': ['a', 'b'],
    });
  });

  test('can be sent whatever the name, and read back', () => {
    const word = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(word, word, word, (name, key, value) => {
        for (const [header, values] of Object.entries(headersOf({ name, uid: '', groups: [], extra: { [key]: [value] } }))) {
          assert.ok(isIdentityHeader(header));
          assert.match(header, /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/);
          for (const text of [values].flat()) assert.equal(Buffer.from(text, 'latin1').toString('latin1'), text, 'every character is a byte');
          for (const text of [values].flat()) assert.doesNotMatch(text, /[\r\n\0]/);
          if (header.startsWith('X-Remote-Extra-'))
            assert.equal(decodeURIComponent(header.slice('X-Remote-Extra-'.length)), Buffer.from(key, 'utf8').toString('utf8'));
        }
      }),
      { numRuns: 200 },
    );
  });
});
