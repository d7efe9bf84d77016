/** Tokens of a pod's service account, bound to the pod, asked of the API and renewed when four fifths of their life are over, or after a day. */
import { type Pod, ServiceAccount } from '../api/node-kinds.ts';
import type { V1ServiceAccountTokenProjection } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import type { World } from '../world/world.ts';

interface TokenAnswer {
  readonly status?: { readonly token?: string; readonly expirationTimestamp?: string };
}

interface Issued {
  readonly token: string;
  readonly renewAtMs: number;
  readonly expiresAtMs: number;
}

const dayMs = 86_400_000;

/** The tokens of one pod. */
export interface PodTokens {
  get(projection: V1ServiceAccountTokenProjection): Promise<string>;
  /** When the next one is due; undefined without tokens. */
  renewAtMs(): number | undefined;
  /** The next time each is asked for a new one is, if there can be one: a clock that was set back finds the old ones not valid yet. */
  renewAll(): void;
}

export function podTokens(client: Client, world: World, pod: Pod): PodTokens {
  const issued = new Map<string, Issued>();
  return {
    async get({ audience, expirationSeconds = 3600 }) {
      const key = `${audience ?? ''}/${expirationSeconds}`;
      const nowMs = world.clock.now();
      const known = issued.get(key);
      if (known && nowMs < known.renewAtMs) return known.token;
      try {
        const answer = await client
          .resource(ServiceAccount)
          .namespace(pod.metadata.namespace)
          .createSubresource<TokenAnswer>(pod.spec.serviceAccountName || 'default', 'token', {
            apiVersion: 'authentication.k8s.io/v1',
            kind: 'TokenRequest',
            spec: {
              audiences: audience === undefined || audience === '' ? [] : [audience],
              expirationSeconds,
              boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid },
            },
          });
        const token = answer.status?.token ?? '';
        const expiresAtMs =
          answer.status?.expirationTimestamp === undefined ? nowMs + expirationSeconds * 1000 : Date.parse(answer.status.expirationTimestamp);
        const renewAtMs = Math.min(nowMs + (expiresAtMs - nowMs) * 0.8, nowMs + dayMs);
        issued.set(key, { token, renewAtMs, expiresAtMs });
        return token;
      } catch (error) {
        // The old one serves as long as it is good; it is tried again in a while.
        if (!known || nowMs >= known.expiresAtMs) throw error;
        issued.set(key, { ...known, renewAtMs: Math.min(nowMs + 30_000, known.expiresAtMs) });
        return known.token;
      }
    },
    renewAll() {
      for (const [key, known] of issued) issued.set(key, { ...known, renewAtMs: 0 });
    },
    renewAtMs() {
      let first: number | undefined;
      for (const { renewAtMs } of issued.values()) first = Math.min(first ?? renewAtMs, renewAtMs);
      return first;
    },
  };
}
