/** Who a node's components are to the API server, and what its kubelet serves with: fixed certificates, or ones that are asked for and renewed. */
import type { CertificateKeeper } from '../kubeadm/certificate-keeper.ts';
import type { CertificatePair } from '../kubeadm/certificates.ts';
import type { Pki } from './pki.ts';

/** A certificate that may come late and change later. */
export type NodeIdentity = Pick<CertificateKeeper, 'first' | 'current' | 'onChange'>;

export interface NodeIdentities {
  /** PEM: whom the API server's certificate is from, and those of who may call the kubelet. */
  readonly ca: string;
  readonly kubelet: NodeIdentity;
  readonly kubeletServer: NodeIdentity;
  readonly proxy: NodeIdentity;
  readonly dns: NodeIdentity;
  readonly provisioner: NodeIdentity;
  readonly ingress: NodeIdentity;
}

/** Beside the control plane, certificates are made with its own authority, and renewed at its start. */
export function hostNodeIdentities(pki: Pki): NodeIdentities {
  return {
    ca: pki.ca.certificate,
    kubelet: fixed(pki.kubelet),
    kubeletServer: fixed(pki.kubeletServer),
    proxy: fixed(pki.proxy),
    dns: fixed(pki.dns),
    provisioner: fixed(pki.provisioner),
    ingress: fixed(pki.ingress),
  };
}

function fixed(pair: CertificatePair): NodeIdentity {
  return { first: Promise.resolve(pair), current: () => pair, onChange: () => undefined };
}
