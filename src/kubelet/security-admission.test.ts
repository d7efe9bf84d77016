import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Pod } from '../api/kinds.ts';
import type { V1PodSpec } from '../api/types.ts';
import { admitSecurity, sysctlName } from './security-admission.ts';

const plain = { allowedUnsafeSysctls: [], hasAppArmor: false, strictGroups: false };

function pod(spec: Partial<V1PodSpec>, annotations: Record<string, string> = {}): Pod {
  const metadata = { name: 'x', namespace: 'default', uid: 'u', creationTimestamp: '', resourceVersion: '1', annotations };
  return { apiVersion: 'v1', kind: 'Pod', metadata, spec: { containers: [{ name: 'main' }], ...spec }, status: {} };
}

const sysctls = (...names: string[]): Partial<V1PodSpec> => ({ securityContext: { sysctls: names.map((name) => ({ name, value: '1' })) } });

describe('sysctls', () => {
  for (const [name, spec, allowed, message] of [
    ['safe ones', sysctls('net.ipv4.tcp_syncookies', 'kernel.shm_rmid_forced'), [], undefined],
    ['with slashes', sysctls('net/ipv4/tcp_syncookies'), [], undefined],
    ['unsafe ones', sysctls('kernel.msgmax'), [], 'Pod was rejected: forbidden sysctl: "kernel.msgmax" not allowlisted'],
    ['unsafe ones that are allowed', sysctls('kernel.msgmax'), ['kernel.msg*'], undefined],
    ['others than those allowed', sysctls('kernel.sem'), ['kernel.msg*'], 'Pod was rejected: forbidden sysctl: "kernel.sem" not allowlisted'],
    [
      "the network's, on that of the host",
      { ...sysctls('net.ipv4.tcp_syncookies'), hostNetwork: true },
      [],
      'Pod was rejected: forbidden sysctl: "net.ipv4.tcp_syncookies" not allowed with host net enabled',
    ],
    [
      "those of IPC, on the host's",
      { ...sysctls('kernel.shm_rmid_forced'), hostIPC: true },
      [],
      'Pod was rejected: forbidden sysctl: "kernel.shm_rmid_forced" not allowed with host ipc enabled',
    ],
  ] as const) {
    test(name, () => {
      const refused = admitSecurity(pod(spec), { ...plain, allowedUnsafeSysctls: allowed });
      assert.equal(refused?.message, message);
      if (message !== undefined) assert.equal(refused?.reason, 'SysctlForbidden');
    });
  }

  test('dots in the name of an interface are kept apart', () =>
    assert.equal(sysctlName('net/ipv4/conf/eth0.1/forwarding'), 'net.ipv4.conf.eth0/1.forwarding'));
});

describe('AppArmor', () => {
  const confined: Partial<V1PodSpec> = { containers: [{ name: 'main', securityContext: { appArmorProfile: { type: 'RuntimeDefault' } } }] };

  test('is refused where the kernel has none', () => {
    assert.equal(admitSecurity(pod(confined), plain)?.reason, 'AppArmor');
    assert.equal(admitSecurity(pod({}, { 'container.apparmor.security.beta.kubernetes.io/main': 'runtime/default' }), plain)?.reason, 'AppArmor');
  });

  test('that confines nothing is none', () => {
    assert.equal(admitSecurity(pod({ securityContext: { appArmorProfile: { type: 'Unconfined' } } }), plain), undefined);
  });

  test('is let through where it is', () => assert.equal(admitSecurity(pod(confined), { ...plain, hasAppArmor: true }), undefined));
});

describe('groups without those of the image', () => {
  const strict: Partial<V1PodSpec> = { securityContext: { supplementalGroupsPolicy: 'Strict' } };

  test('are refused where the runtime cannot leave those out', () => {
    const refused = admitSecurity(pod(strict), plain);
    assert.equal(refused?.reason, 'SupplementalGroupsPolicyNotSupported');
    assert.equal(refused.message, 'Pod was rejected: SupplementalGroupsPolicy=Strict is not supported in this node');
  });

  test('are let through where it can', () => assert.equal(admitSecurity(pod(strict), { ...plain, strictGroups: true }), undefined));
});
