/**
 * A bearer token of a service account, asked of the API by somebody who may (`serviceaccounts/token`), kept, and renewed when four fifths of its life
 * are over. How upstream's controller manager gives each controller an identity of its own.
 */
import { ServiceAccount } from '../api/kinds.ts';
import { isReason } from '../machinery/errors.ts';
import type { World } from '../world/world.ts';
import type { Client } from './client.ts';
import type { TokenSource } from './http.ts';

interface TokenAnswer {
  readonly status: { readonly token: string; readonly expirationTimestamp: string };
}

const lifeSeconds = 3600;

/** `client` asks; the account is made when it is missing. */
export function serviceAccountTokens(client: Client, world: World, namespace: string, name: string): TokenSource {
  const accounts = client.resource(ServiceAccount).namespace(namespace);
  let known: { readonly token: string; readonly renewAtMs: number; readonly expiresAtMs: number } | undefined;
  let asking: Promise<string> | undefined;

  const request = (): Promise<TokenAnswer> =>
    accounts.createSubresource<TokenAnswer>(name, 'token', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenRequest',
      spec: { audiences: [], expirationSeconds: lifeSeconds },
    });

  async function ask(): Promise<string> {
    const askedAtMs = world.clock.now();
    const { status } = await request().catch(async (error: unknown) => {
      if (!isReason(error, 'NotFound')) throw error;
      await accounts.create({ metadata: { name, namespace } }).catch((failure: unknown) => {
        if (!isReason(failure, 'AlreadyExists')) throw failure;
      });
      return request();
    });
    const expiresAtMs = Date.parse(status.expirationTimestamp);
    known = { token: status.token, expiresAtMs, renewAtMs: askedAtMs + (expiresAtMs - askedAtMs) * 0.8 };
    return status.token;
  }

  return {
    get() {
      const nowMs = world.clock.now();
      if (known && nowMs < known.renewAtMs) return known.token;
      const old = known;
      asking ??= ask()
        .catch((error: unknown) => {
          // The old one serves as long as it is good.
          if (old && old === known && world.clock.now() < old.expiresAtMs) return old.token;
          throw error;
        })
        .finally(() => (asking = undefined));
      return asking;
    },
    refused(token) {
      if (known?.token === token) known = undefined;
    },
  };
}
