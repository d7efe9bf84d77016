/**
 * Tokens that were once made for every service account, and that nobody has used for a year: marked invalid first, deleted when nobody missed them for another.
 * Tokens people asked for stay. Upstream's `legacy_serviceaccount_token_cleaner.go`.
 */
import { ConfigMap, Pod, Secret, ServiceAccount } from '../../api/kinds.ts';
import { keyOf, splitKey } from '../../machinery/object.ts';
import { timestamp } from '../../world/world.ts';
import type { ControllerDefinition } from '../controller.ts';
import { ignoreGone } from '../errors.ts';
import { sharedIndex } from '../pods.ts';
import { accountNameAnnotation, isTokenSecret } from './service-account-tokens.ts';

const lastUsedLabel = 'kubernetes.io/legacy-token-last-used';
const invalidSinceLabel = 'kubernetes.io/legacy-token-invalid-since';
const tracking = { name: 'kube-apiserver-legacy-service-account-token-tracking', namespace: 'kube-system' } as const;
const syncEveryMs = 24 * 60 * 60_000;
const dayMs = 24 * 60 * 60_000;
const dayLength = 10;
const mountedIndex = 'controllers/pods-by-secret';

export const legacyTokenCleaner: ControllerDefinition = {
  name: 'legacy-serviceaccount-token-cleaner-controller',
  serviceAccount: 'legacy-service-account-token-cleaner',
  setup(context) {
    const { client, world, options } = context;
    const secrets = context.watch(Secret);
    const accounts = context.watch(ServiceAccount);
    const pods = context.watch(Pod);
    sharedIndex(pods, mountedIndex, ({ metadata: { namespace }, spec }) =>
      (spec.volumes ?? []).flatMap(({ secret }) => (secret?.secretName === undefined ? [] : [`${namespace}/${secret.secretName}`])),
    );
    context.every(syncEveryMs, () => {
      for (const secret of secrets.list()) if (isTokenSecret(secret)) context.enqueue(keyOf(secret));
    });

    /** The day from which on every use is noted; undefined when nobody notes any. */
    async function trackedSince(): Promise<string | undefined> {
      const notes = await client.resource(ConfigMap).namespace(tracking.namespace).get(tracking.name).catch(ignoreGone);
      const since = dayIn(notes?.data?.['since']);
      // On the first day some were used before anybody looked.
      return since === undefined ? undefined : day(Date.parse(since) + dayMs);
    }

    return {
      async reconcile(key) {
        const { namespace = '', name } = splitKey(key);
        const secret = secrets.get(name, namespace);
        if (!secret || !isTokenSecret(secret)) return;
        const account = accounts.get(secret.metadata.annotations?.[accountNameAnnotation] ?? '', namespace);
        const isMounted = pods.byIndex(mountedIndex, key).length > 0;
        const since = await trackedSince();
        if (since === undefined) return;
        const nowMs = world.clock.now();
        const verdict = judge({ secret, account, isMounted, trackedSince: since, nowMs, periodMs: options.legacyTokenCleanUpPeriodMs });
        const resource = client.resource(Secret).namespace(namespace);
        const { uid, resourceVersion } = secret.metadata;
        if (verdict === 'mark') await resource.patch(name, { metadata: { uid, resourceVersion, labels: { [invalidSinceLabel]: day(nowMs) } } });
        if (verdict === 'delete') await resource.delete(name, { preconditions: { uid, resourceVersion } }).catch(ignoreGone);
      },
    };
  },
};

export interface TokenCase {
  readonly secret: Secret;
  readonly account: ServiceAccount | undefined;
  readonly isMounted: boolean;
  /** `YYYY-MM-DD`, as all days here: they compare as text. */
  readonly trackedSince: string;
  readonly nowMs: number;
  readonly periodMs: number;
}

export function judge({ secret, account, isMounted, trackedSince, nowMs, periodMs }: TokenCase): 'keep' | 'mark' | 'delete' {
  const { name, labels = {}, creationTimestamp, deletionTimestamp } = secret.metadata;
  const limit = day(nowMs - periodMs);
  if (deletionTimestamp !== undefined || Date.parse(creationTimestamp) >= nowMs - periodMs) return 'keep';
  const noted = labels[lastUsedLabel];
  // What nobody can read is no reason to delete anything.
  const lastUsed = noted === undefined ? trackedSince : dayIn(noted);
  if (lastUsed === undefined || lastUsed >= limit) return 'keep';
  // Only an account that names it makes it one that nobody asked for.
  if (isMounted || !account?.secrets?.some((reference) => reference.name === name)) return 'keep';
  const invalidSince = dayIn(labels[invalidSinceLabel]);
  if (invalidSince === undefined) return 'mark';
  return invalidSince >= limit ? 'keep' : 'delete';
}

function day(epochMs: number): string {
  return timestamp(epochMs).slice(0, dayLength);
}

/** Undefined for a text that is no day. */
function dayIn(text: string | undefined): string | undefined {
  return text !== undefined && /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text)) ? text : undefined;
}
