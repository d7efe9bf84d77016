/**
 * Whether a pod may run an image that is on the node already: one that was pulled with someone's credentials is no one else's. Follows upstream's
 * `imagePullCredentialsVerificationPolicy`. Pure functions. https://kubernetes.io/docs/concepts/containers/images/#ensureimagepullcredentialverification
 */
import { fullImageName, parseImageName } from '../image-name.ts';
import { type Credential, credentialHash } from './credentials.ts';

export const verificationPolicies = ['NeverVerify', 'NeverVerifyPreloadedImages', 'NeverVerifyAllowlistedImages', 'AlwaysVerify'] as const;

export interface VerificationSettings {
  readonly policy: (typeof verificationPolicies)[number];
  /** `registry.example.com/base/*`, `registry.example.com/tool`: images that anyone may run under the policy that is named after the list. */
  readonly allowlist: readonly string[];
}

export const defaultVerification: VerificationSettings = { policy: 'NeverVerifyPreloadedImages', allowlist: [] };

/** Who an image was pulled for, as upstream keeps it. */
export interface PullCredentials {
  /** No credentials were needed, or those of the node. */
  readonly nodePodsAccessible?: boolean;
  readonly kubernetesSecrets?: readonly SecretRecord[];
  readonly kubernetesServiceAccounts?: readonly AccountRecord[];
}

export interface AccountRecord {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
}

export interface SecretRecord extends AccountRecord {
  readonly credentialHash: string;
}

/** `image`: without tag and digest. `wasPulled`: by this kubelet. */
export function mustBeVerified({ policy, allowlist }: VerificationSettings, image: string, wasPulled: boolean): boolean {
  switch (policy) {
    case 'NeverVerify':
      return false;
    case 'NeverVerifyPreloadedImages':
      return wasPulled;
    case 'NeverVerifyAllowlistedImages':
      return !allowlist.some((pattern) => (pattern.endsWith('/*') ? image.startsWith(pattern.slice(0, -1)) : image === pattern));
    case 'AlwaysVerify':
      return true;
  }
}

/** Whether one of the pod's credentials is one that the image was pulled with. */
export function mayRun(pulledWith: PullCredentials | undefined, credentials: readonly Credential[]): boolean {
  if (!pulledWith) return false;
  if (pulledWith.nodePodsAccessible === true) return true;
  return credentials.some(({ auth, owner }) => {
    if (owner.kind === 'node') return false;
    if (owner.kind === 'service-account') return pulledWith.kubernetesServiceAccounts?.some((account) => isSame(account, owner)) === true;
    const hash = credentialHash(auth);
    // A secret that was written anew is the same one still.
    return pulledWith.kubernetesSecrets?.some((secret) => secret.credentialHash === hash || isSame(secret, owner)) === true;
  });
}

/** With one more who may. Undefined: nobody had to show anything. */
export function withCredential(before: PullCredentials = {}, used: Credential | undefined): PullCredentials {
  const owner = used?.owner;
  if (!owner || owner.kind === 'node' || before.nodePodsAccessible === true) return { nodePodsAccessible: true };
  const { uid, namespace, name } = owner;
  const known = { uid, namespace, name };
  if (owner.kind === 'service-account') {
    const others = (before.kubernetesServiceAccounts ?? []).filter((account) => !isSame(account, owner));
    return { ...before, kubernetesServiceAccounts: [...others, known] };
  }
  const others = (before.kubernetesSecrets ?? []).filter((secret) => !isSame(secret, owner));
  return { ...before, kubernetesSecrets: [...others, { ...known, credentialHash: credentialHash(used.auth) }] };
}

/** Throws what is wrong with a pattern of the list. */
export function checkAllowlistPattern(pattern: string): void {
  if (pattern !== pattern.trim()) throw new Error(`leading/trailing spaces are not allowed: ${pattern}`);
  if (pattern === '') throw new Error('the supplied pattern is too short: ');
  if (pattern.endsWith('/*')) {
    if (pattern === '/*') throw new Error('at least registry hostname is required');
    if (!pattern.slice(0, -2).includes('*')) return;
  }
  if (pattern.includes('*')) throw new Error(`not a valid wildcard pattern, only patterns ending with '/*' are allowed: ${pattern}`);
  const name = parseImageName(pattern);
  if (!name) throw new Error(`failed to parse as an image name: ${pattern}`);
  if (fullImageName({ ...name, tag: undefined, digest: undefined }) !== pattern) {
    throw new Error(`neither tag nor digest is accepted in an image reference: ${pattern}`);
  }
}

function isSame(a: AccountRecord, b: AccountRecord): boolean {
  return a.uid === b.uid && a.namespace === b.namespace && a.name === b.name;
}
