/**
 * A Lease in `kube-system` by which others see that this API server lives, and the end of those that others left behind. Upstream's APIServerIdentity:
 * https://kubernetes.io/docs/concepts/architecture/leases/#api-server-identity
 */
import { createHash } from 'node:crypto';
import { apiVersionOf } from '../api/kind.ts';
import { Lease } from '../api/kinds.ts';
import { isReason } from '../machinery/errors.ts';
import { microTimestamp, type World } from '../world/world.ts';
import { askSelf } from './own-requests.ts';
import type { Verbs } from './verbs.ts';

const namespace = 'kube-system';
const identityLabel = 'apiserver.kubernetes.io/identity';
const component = 'kube-apiserver';
const leaseSeconds = 3600;
const renewEveryMs = 10_000;
const collectEveryMs = 3_600_000;

/** The same for a machine whenever the server starts there; its first 16 bytes in base 32 as upstream spells it. */
export function serverIdentity(hostname: string): string {
  const hash = createHash('sha256');
  for (const part of [hostname, component]) {
    const bytes = Buffer.from(part);
    hash.update(Buffer.from([bytes.length >> 8, bytes.length & 255])).update(bytes);
  }
  return `apiserver-${base32(hash.digest().subarray(0, 16))}`;
}

/** Until closed; the Lease then stays, and runs out. */
export function keepIdentityLease(world: World, verbs: Verbs, hostname: string): { close(): void } {
  const { clock, log } = world;
  const name = serverIdentity(hostname);
  const holderIdentity = `${name}_${world.random.uid()}`;
  const labels = { [identityLabel]: component, 'kubernetes.io/hostname': hostname };

  async function renew(): Promise<void> {
    const now = microTimestamp(clock.now());
    const present = verbs.objects.get(Lease, namespace, name);
    const spec = { holderIdentity, leaseDurationSeconds: leaseSeconds, renewTime: now };
    const lease = present
      ? { ...present, metadata: { ...present.metadata, labels: { ...present.metadata.labels, ...labels } }, spec: { ...present.spec, ...spec } }
      : { apiVersion: apiVersionOf(Lease), kind: Lease.kind, metadata: { name, namespace, labels }, spec };
    await (present ? askSelf(verbs, 'update', Lease, { namespace, name, body: lease }) : askSelf(verbs, 'create', Lease, { namespace, body: lease }));
  }
  const renewed = (): void => {
    renew().catch((error: unknown) => {
      // Someone wrote it meanwhile: the next time is soon enough.
      if (!isReason(error, 'Conflict', 'NotFound', 'AlreadyExists')) log.warn('the identity lease was not renewed', { error: String(error) });
    });
  };
  const collected = (): void => {
    collectExpired(world, verbs).catch((error: unknown) => log.warn('expired identity leases were not deleted', { error: String(error) }));
  };
  renewed();
  const timers = [clock.every(renewEveryMs, renewed), clock.every(collectEveryMs, collected)];
  return {
    close() {
      for (const timer of timers) timer.cancel();
    },
  };
}

export async function collectExpired({ clock }: World, verbs: Verbs): Promise<void> {
  const expired = verbs.objects
    .list(Lease, namespace)
    .filter(({ metadata }) => metadata.labels?.[identityLabel] === component)
    .filter((lease) => isExpired(lease, clock.now()));
  for (const { metadata } of expired) {
    const { name, uid, resourceVersion } = metadata;
    // Its server may have come back this moment: then it is another revision.
    const body = { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid, resourceVersion } };
    await askSelf(verbs, 'delete', Lease, { namespace, name, body }).catch((error: unknown) => {
      if (!isReason(error, 'Conflict', 'NotFound')) throw error;
    });
  }
}

/** One that does not say until when it holds, holds no more. */
function isExpired({ spec }: Lease, nowMs: number): boolean {
  const { renewTime, leaseDurationSeconds } = spec ?? {};
  if (renewTime === undefined || leaseDurationSeconds === undefined) return true;
  return Date.parse(renewTime) + leaseDurationSeconds * 1000 < nowMs;
}

/** RFC 4648 in small letters, without padding. */
function base32(bytes: Uint8Array): string {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567';
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? []).map((group) => alphabet[Number.parseInt(group.padEnd(5, '0'), 2)]).join('');
}
