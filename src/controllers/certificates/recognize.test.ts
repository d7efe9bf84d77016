import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { type RequestedSubject, refusalOf } from './recognize.ts';

const node: RequestedSubject = { commonName: 'system:node:n1', organizations: ['system:nodes'], dnsNames: [], ipAddresses: [], emails: [], uris: [] };
const clientUsages = ['digital signature', 'client auth'];
const servingUsages = ['digital signature', 'key encipherment', 'server auth'];

describe('what the signers insist on', () => {
  const cases: readonly [string, signer: string, subject: RequestedSubject, usages: readonly string[], refusal: RegExp | undefined][] = [
    ['a kubelet is a client', 'kube-apiserver-client-kubelet', node, clientUsages, undefined],
    ['with RSA keys too', 'kube-apiserver-client-kubelet', node, [...clientUsages, 'key encipherment'], undefined],
    ['not without the group', 'kube-apiserver-client-kubelet', { ...node, organizations: [] }, clientUsages, /organization/],
    [
      'not with another group beside it',
      'kube-apiserver-client-kubelet',
      { ...node, organizations: ['system:nodes', 'system:masters'] },
      clientUsages,
      /organization/,
    ],
    ['not under any name', 'kube-apiserver-client-kubelet', { ...node, commonName: 'admin' }, clientUsages, /common name/],
    ['not with host names', 'kube-apiserver-client-kubelet', { ...node, dnsNames: ['n1'] }, clientUsages, /DNS/],
    ['not as a server', 'kube-apiserver-client-kubelet', node, servingUsages, /client auth is required/],
    ['a kubelet serves', 'kubelet-serving', { ...node, ipAddresses: ['10.0.0.1'] }, servingUsages, undefined],
    ['not under no address', 'kubelet-serving', node, servingUsages, /at least one/],
    ['not with mail addresses', 'kubelet-serving', { ...node, dnsNames: ['n1'], emails: ['a@b'] }, servingUsages, /email/],
    ['not as a client', 'kubelet-serving', { ...node, dnsNames: ['n1'] }, [...servingUsages, 'client auth'], /client auth is not allowed/],
    ['anybody is a client', 'kube-apiserver-client', { ...node, commonName: 'jane', organizations: ['dev'] }, ['client auth'], undefined],
    ['but no server', 'kube-apiserver-client', { ...node, commonName: 'jane' }, ['client auth', 'server auth'], /server auth is not allowed/],
  ];
  for (const [name, signer, subject, usages, refusal] of cases) {
    it(`${signer}: ${name}`, () => {
      const answer = refusalOf(`kubernetes.io/${signer}`, subject, usages);
      if (refusal === undefined) assert.equal(answer, undefined);
      else assert.match(answer ?? '', refusal);
    });
  }
});
