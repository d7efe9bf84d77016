/** Who signs certificate requests: upstream's `--cluster-signing-*` flags, one authority for all signers or one for each. */
import type { ControllerOptions } from '../../controllers/controller.ts';
import { ClusterError } from '../config.ts';
import { readPair } from './files.ts';

/** The prefix of each signer's pair of flags, and of the fields commander makes of them. */
export const signerFlags = [
  { flag: 'cluster-signing-kubelet-serving', field: 'clusterSigningKubeletServing', signer: 'kubernetes.io/kubelet-serving' },
  { flag: 'cluster-signing-kubelet-client', field: 'clusterSigningKubeletClient', signer: 'kubernetes.io/kube-apiserver-client-kubelet' },
  { flag: 'cluster-signing-kube-apiserver-client', field: 'clusterSigningKubeApiserverClient', signer: 'kubernetes.io/kube-apiserver-client' },
] as const;

type SignerField = (typeof signerFlags)[number]['field'];

export type SigningFlags = Readonly<Partial<Record<`${'clusterSigning' | SignerField}${'CertFile' | 'KeyFile'}`, string>>>;

/** Throws when a pair is half given, cannot be read or does not fit together, and when both one for all and others are given. */
export function signingOf(flags: SigningFlags): Pick<ControllerOptions, 'signingAuthority' | 'signingAuthorities'> {
  const pair = (flag: string, field: 'clusterSigning' | SignerField): ControllerOptions['signingAuthority'] => {
    const [certificate, key] = [flags[`${field}CertFile`], flags[`${field}KeyFile`]];
    if (certificate === undefined && key === undefined) return undefined;
    if (certificate === undefined || key === undefined) throw new ClusterError(`--${flag}-cert-file and --${flag}-key-file go together`);
    return readPair(`--${flag}-cert-file`, certificate, `--${flag}-key-file`, key);
  };
  const signingAuthority = pair('cluster-signing', 'clusterSigning');
  const own = signerFlags.flatMap(({ flag, field, signer }) => {
    const authority = pair(flag, field);
    return authority ? [[signer, authority] as const] : [];
  });
  if (signingAuthority && own.length > 0) {
    throw new ClusterError('cannot specify --cluster-signing-{cert,key}-file and other --cluster-signing-*-file flags at the same time');
  }
  return { ...(signingAuthority && { signingAuthority }), ...(own.length > 0 && { signingAuthorities: Object.fromEntries(own) }) };
}
