import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { V1PodSpec } from '../api/types.ts';
import type { Pod } from '../api/kinds.ts';
import { parseResolvConf, podDns } from './dns-config.ts';
import { hostsFile, podHostname } from './hosts-file.ts';

const host = { servers: ['192.0.2.53'], searches: ['example.com'], options: ['timeout:1'] };
const settings = { clusterDns: ['10.96.0.10'], clusterDomain: 'cluster.local', host };

function pod(spec: Partial<V1PodSpec>): Pod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web-0', namespace: 'shop', uid: 'u', resourceVersion: '1', creationTimestamp: '' },
    spec: { containers: [], ...spec },
    status: {},
  };
}

const cluster = {
  servers: ['10.96.0.10'],
  searches: ['shop.svc.cluster.local', 'svc.cluster.local', 'cluster.local', 'example.com'],
  options: ['ndots:5'],
};

describe('resolv.conf', () => {
  for (const [name, spec, expected] of [
    ['ClusterFirst', { dnsPolicy: 'ClusterFirst' }, cluster],
    ['Default', { dnsPolicy: 'Default' }, host],
    ['ClusterFirst on the host network', { dnsPolicy: 'ClusterFirst', hostNetwork: true }, host],
    ['ClusterFirstWithHostNet', { dnsPolicy: 'ClusterFirstWithHostNet', hostNetwork: true }, cluster],
    [
      'None',
      { dnsPolicy: 'None', dnsConfig: { nameservers: ['1.2.3.4'], searches: ['a.b'], options: [{ name: 'ndots', value: '2' }] } },
      { servers: ['1.2.3.4'], searches: ['a.b'], options: ['ndots:2'] },
    ],
    [
      "an option of the pod's own",
      { dnsConfig: { options: [{ name: 'ndots', value: '1' }, { name: 'edns0' }] } },
      { ...cluster, options: ['ndots:1', 'edns0'] },
    ],
  ] as const) {
    test(name, () => assert.deepEqual(podDns(pod(spec as Partial<V1PodSpec>), settings), expected));
  }

  test('is read', () => {
    assert.deepEqual(parseResolvConf('# x\nnameserver 1.1.1.1\nsearch a.b. c.d\noptions ndots:2 rotate\n'), {
      servers: ['1.1.1.1'],
      searches: ['a.b', 'c.d'],
      options: ['ndots:2', 'rotate'],
    });
  });
});

describe('/etc/hosts', () => {
  test('names the pod, its subdomain and its aliases', () => {
    const it = pod({ subdomain: 'db', hostAliases: [{ ip: '9.9.9.9', hostnames: ['x', 'y'] }] });
    const text = hostsFile(it, ['10.0.0.2'], podHostname(it, 'cluster.local'), '');
    assert.match(text, /^# Kubernetes-managed hosts file\.\n127\.0\.0\.1\tlocalhost\n/);
    assert.match(text, /\n10\.0\.0\.2\tweb-0\.db\.shop\.svc\.cluster\.local\tweb-0\n/);
    assert.match(text, /\n# Entries added by HostAliases\.\n9\.9\.9\.9\tx\ty\n$/);
  });

  test("on the host network is the node's", () => {
    const it = pod({ hostNetwork: true });
    assert.equal(
      hostsFile(it, [], podHostname(it, 'cluster.local'), '127.0.0.1\tlocalhost\n'),
      '# Kubernetes-managed hosts file (host network).\n127.0.0.1\tlocalhost\n',
    );
    assert.equal(podHostname(it, 'cluster.local').kernelHostname, '');
  });
});
