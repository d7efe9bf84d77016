/**
 * Having a certificate issued by the cluster: a key made here, a CertificateSigningRequest, and the wait for somebody to approve and sign it. Upstream's
 * `client-go/util/certificate/csr`. See https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/
 */
import { CertificateSigningRequest } from '../api/node-kinds.ts';
import type { Client } from '../client/client.ts';
import type { World } from '../world/world.ts';
import type { RequestedIdentity } from './certificate-request.ts';
import type { CertificatePair } from './certificates.ts';

export interface WantedCertificate extends RequestedIdentity {
  /** `kubernetes.io/kube-apiserver-client-kubelet` and its like. */
  readonly signerName: string;
  readonly usages: readonly string[];
  /** How long it should last; the signer's own choice when absent. */
  readonly expirationSeconds?: number;
}

/** As long as a kubelet waits before it asks anew, with another key. */
const patienceMs = 15 * 60_000;
const pauseMs = 1_000;

/** Resolves with the certificate and its key; rejects when the request is denied, fails, or nobody decides in a quarter of an hour. */
export async function obtainCertificate(client: Client, world: World, wanted: WantedCertificate, signal: AbortSignal): Promise<CertificatePair> {
  const { makeCertificateRequest } = await import('./certificate-request.ts');
  const { request, key } = await makeCertificateRequest(wanted);
  const requests = client.resource(CertificateSigningRequest);
  const made = await requests.create(
    {
      metadata: { generateName: 'csr-' },
      spec: {
        request: Buffer.from(request).toString('base64'),
        signerName: wanted.signerName,
        usages: [...wanted.usages],
        ...(wanted.expirationSeconds !== undefined && { expirationSeconds: wanted.expirationSeconds }),
      },
    },
    { signal },
  );
  const certificate = await issued(client, world, made, signal);
  return { certificate, key };
}

async function issued(client: Client, world: World, made: CertificateSigningRequest, signal: AbortSignal): Promise<string> {
  const requests = client.resource(CertificateSigningRequest);
  const { name } = made.metadata;
  const deadline = new AbortController();
  const timer = world.clock.after(patienceMs, () => deadline.abort(new Error(`the certificate request ${name} was not approved in time`)));
  const either = AbortSignal.any([signal, deadline.signal]);
  try {
    for (let seen = made; ;) {
      const answer = answerOf(seen);
      if (answer !== undefined) return answer;
      const options = { fieldSelector: `metadata.name=${name}`, resourceVersion: seen.metadata.resourceVersion, signal: either };
      for await (const event of requests.watch(options)) {
        if (event.type === 'BOOKMARK') continue;
        if (event.type === 'DELETED') throw new Error(`the certificate request ${name} was deleted before it was approved`);
        const certificate = answerOf(event.object);
        if (certificate !== undefined) return certificate;
      }
      // The watch ended, as watches do after some minutes.
      either.throwIfAborted();
      await world.clock.sleep(pauseMs, either);
      seen = await requests.get(name, { signal: either });
    }
  } finally {
    timer.cancel();
  }
}

/** The certificate (PEM); undefined while it is not there. Throws when it never will be. */
function answerOf({ metadata, status }: CertificateSigningRequest): string | undefined {
  for (const { type, reason = '', message = '' } of status.conditions ?? []) {
    if (type === 'Denied' || type === 'Failed') {
      throw new Error(
        `the certificate request ${metadata.name} was ${type === 'Denied' ? 'denied' : 'refused by the signer'}: ${reason} ${message}`.trim(),
      );
    }
  }
  const certificate = status.certificate ?? '';
  return certificate === '' ? undefined : Buffer.from(certificate, 'base64').toString();
}
