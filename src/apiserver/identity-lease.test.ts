import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, it } from 'node:test';
import { Lease } from '../api/kinds.ts';
import { microTimestamp } from '../world/world.ts';
import { collectExpired, keepIdentityLease, serverIdentity } from './identity-lease.ts';
import { Fixture } from './verbs/fixture.ts';

const path = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases';

describe('the identity of an API server', () => {
  it('is the same for a machine, another for another', () => {
    assert.equal(serverIdentity('one'), serverIdentity('one'));
    assert.notEqual(serverIdentity('one'), serverIdentity('two'));
    assert.match(serverIdentity('one'), /^apiserver-[a-z2-7]{26}$/);
  });
});

describe('identity leases', () => {
  let fixture: Fixture;
  beforeEach(async () => {
    fixture = await Fixture.open();
    await fixture.request('POST', '/api/v1/namespaces', { body: { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'kube-system' } } });
  });
  afterEach(() => fixture.close());
  const leases = (): readonly Lease[] => fixture.verbs.objects.list(Lease, 'kube-system');
  const lease = (name: string, renewedMs: number, labels: Record<string, string> = { 'apiserver.kubernetes.io/identity': 'kube-apiserver' }) =>
    fixture.request('POST', path, {
      body: {
        apiVersion: 'coordination.k8s.io/v1',
        kind: 'Lease',
        metadata: { name, namespace: 'kube-system', labels },
        spec: { holderIdentity: name, leaseDurationSeconds: 3600, renewTime: microTimestamp(renewedMs) },
      },
    });

  it('are renewed as long as the server lives, and say who and where it is', async () => {
    const { world, verbs } = fixture;
    const kept = keepIdentityLease(world, verbs, 'here');
    await world.advance(0);
    const [first] = leases();
    assert.equal(first?.metadata.name, serverIdentity('here'));
    assert.deepEqual(first.metadata.labels, { 'apiserver.kubernetes.io/identity': 'kube-apiserver', 'kubernetes.io/hostname': 'here' });
    assert.equal(first.spec?.leaseDurationSeconds, 3600);
    assert.match(first.spec?.holderIdentity ?? '', /^apiserver-\w{26}_[0-9a-f-]{36}$/);
    await world.advance(10_000);
    const renewed = leases()[0]?.spec?.renewTime ?? '';
    assert.ok(renewed > (first.spec?.renewTime ?? ''), renewed);
    kept.close();
    await world.advance(60_000);
    assert.equal(leases()[0]?.spec?.renewTime, renewed, 'a server that ended leaves it to run out');
  });

  it('that ran out are deleted; others stay', async () => {
    const { world, verbs } = fixture;
    const now = world.clock.now();
    await lease('at-the-limit', now - 3_600_000);
    await lease('beyond', now - 3_600_001);
    await lease('somebody-elses', now - 7_200_000, {});
    await collectExpired(world, verbs);
    assert.deepEqual(
      leases()
        .map(({ metadata }) => metadata.name)
        .sort(),
      ['at-the-limit', 'somebody-elses'],
    );
  });
});
