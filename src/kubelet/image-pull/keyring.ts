/** All credentials that a pod may pull an image with: its own first, then the node's, from its file and from its credential providers. */
import type { Pod, Secret } from '../../api/kinds.ts';
import type { ImageName } from '../image-name.ts';
import { type Credential, credentialsFor, nodeSource, secretSource } from './credentials.ts';
import type { CredentialProvider } from './providers/credential-provider.ts';

export interface KeyringOptions {
  readonly secret: (namespace: string, name: string) => Promise<Secret | undefined>;
  /** The node's own, as a Docker configuration; '' for none. */
  readonly nodeCredentials?: () => Promise<string>;
  readonly providers?: readonly CredentialProvider[];
}

export interface Keyring {
  lookUp(pod: Pod, image: ImageName): Promise<readonly Credential[]>;
}

export function createKeyring({ secret, nodeCredentials, providers = [] }: KeyringOptions): Keyring {
  return {
    async lookUp(pod, image) {
      const { registry, repository } = image;
      const secrets = await Promise.all((pod.spec.imagePullSecrets ?? []).map(({ name = '' }) => secret(pod.metadata.namespace, name)));
      const own = secrets.flatMap((found) => (found ? [secretSource(found)] : []));
      const provided = await Promise.all(providers.map((provider) => provider.provide(image, pod)));
      const ofNode = [nodeSource((await nodeCredentials?.()) ?? ''), ...provided.flatMap((source) => source ?? [])];
      return [...credentialsFor(own, registry, repository), ...credentialsFor(ofNode, registry, repository)];
    },
  };
}
