import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import type { CertificateSigningRequest, Node } from '../../api/kinds.ts';
import { needsNodes, nodeApproval } from './node-certificates.ts';
import type { RequestedSubject } from './recognize.ts';

const serving = ['digital signature', 'server auth'];
const client = ['digital signature', 'client auth'];

function request(
  signer: string,
  usages: readonly string[],
  username = 'system:node:n1',
  groups = ['system:nodes', 'system:authenticated'],
): CertificateSigningRequest {
  return {
    apiVersion: 'certificates.k8s.io/v1',
    kind: 'CertificateSigningRequest',
    metadata: { name: 'csr-1', uid: '1', resourceVersion: '1', creationTimestamp: '' },
    spec: { request: '', signerName: `kubernetes.io/${signer}`, usages: [...usages], username, groups },
    status: {},
  };
}

function nodeOf(name: string, ...addresses: string[]): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: name, resourceVersion: '1', creationTimestamp: '' },
    spec: {},
    status: { addresses: [...addresses.map((address) => ({ type: 'InternalIP', address })), { type: 'Hostname', address: name }] },
  };
}

const nodes = [nodeOf('n1', '10.0.0.1'), nodeOf('n2', '10.0.0.2')];
const none = { dnsNames: [], ipAddresses: [], emails: [], uris: [] };
const node: RequestedSubject = {
  ...none,
  commonName: 'system:node:n1',
  organizations: ['system:nodes'],
  dnsNames: ['n1'],
  ipAddresses: ['10.0.0.1'],
};
const proxy: RequestedSubject = { ...none, commonName: 'system:kube-proxy', organizations: ['system:node-proxier'] };

describe('what a node is given without a human', () => {
  const cases: readonly [string, CertificateSigningRequest, RequestedSubject, string | undefined][] = [
    ['to serve under its own name and address', request('kubelet-serving', serving), node, 'selfnodeserving'],
    ['not under an address it has not', request('kubelet-serving', serving), { ...node, ipAddresses: ['10.0.0.9'] }, undefined],
    ["not under another node's address", request('kubelet-serving', serving), { ...node, ipAddresses: ['10.0.0.1', '10.0.0.2'] }, undefined],
    ["not under another node's name", request('kubelet-serving', serving), { ...node, dnsNames: ['n2'] }, undefined],
    ['not as another node', request('kubelet-serving', serving), { ...node, commonName: 'system:node:n2' }, undefined],
    ['not when no node asks', request('kubelet-serving', serving, 'jane', ['dev']), node, undefined],
    ['not when it only calls itself a node', request('kubelet-serving', serving, 'system:node:n1', ['dev']), node, undefined],
    ['to be its proxy', request('kube-apiserver-client', client), proxy, 'nodecomponent'],
    ['not to be anybody', request('kube-apiserver-client', client), { ...proxy, commonName: 'jane' }, undefined],
    [
      'not to be its proxy with more groups',
      request('kube-apiserver-client', client),
      { ...proxy, organizations: ['system:node-proxier', 'system:masters'] },
      undefined,
    ],
    ['not to be its proxy with names of hosts', request('kube-apiserver-client', client), { ...proxy, dnsNames: ['n1'] }, undefined],
    ['not to serve as its proxy', request('kube-apiserver-client', serving), proxy, undefined],
    [
      'to be its DNS server',
      request('kube-apiserver-client', client),
      {
        ...none,
        commonName: 'system:serviceaccount:kube-system:coredns',
        organizations: ['system:serviceaccounts', 'system:serviceaccounts:kube-system'],
      },
      'nodecomponent',
    ],
    [
      'not to be any service account',
      request('kube-apiserver-client', client),
      {
        ...none,
        commonName: 'system:serviceaccount:kube-system:default',
        organizations: ['system:serviceaccounts', 'system:serviceaccounts:kube-system'],
      },
      undefined,
    ],
  ];
  for (const [name, asked, subject, subresource] of cases) {
    it(name, () => assert.equal(nodeApproval(asked, subject, nodes)?.subresource, subresource));
  }

  it('is not decided before the node says what it is called', () => {
    assert.ok(needsNodes(request('kubelet-serving', serving)));
    assert.equal(nodeApproval(request('kubelet-serving', serving), node, []), undefined);
  });

  it("another's claim to the same address stops it", () => {
    assert.equal(nodeApproval(request('kubelet-serving', serving), node, [...nodes, nodeOf('n3', '10.0.0.1')]), undefined);
  });
});
