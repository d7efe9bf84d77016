/** When a cluster on a virtual clock has come to rest: nothing was written for a while but what is written for ever. */
import { registryPrefix } from '../../apiserver/registry/storage-key.ts';
import type { Change, StoreEvent } from '../../store/store.ts';
import type { SimulatedWorld } from '../../world/simulated.ts';
import type { Parts } from './parts.ts';

/** Leases are renewed as long as there is a node, nodes say every few minutes that they are as they were, and events only tell. */
function isUnrest(change: Change): boolean {
  const { key } = change;
  if (key.startsWith(`${registryPrefix}coordination.k8s.io/leases/`) || key.startsWith(`${registryPrefix}core/events/`)) return false;
  if (!key.startsWith(`${registryPrefix}core/nodes/`) || change.type === 'delete' || change.previous === undefined) return true;
  return withoutHeartbeat(change.value) !== withoutHeartbeat(change.previous.value);
}

function withoutHeartbeat(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.length)
    .toString()
    .replace(/"(lastHeartbeatTime|time)":"[^"]*"/g, '');
}

export async function restOf(parts: Parts, world: SimulatedWorld, quietMs: number, timeoutMs: number): Promise<void> {
  const endMs = world.clock.now() + timeoutMs;
  await world.settle();
  let lastMs = world.clock.now();
  let last = '';
  const stop = parts.server.onCommit(({ changes }: StoreEvent) => {
    const change = changes.find(isUnrest);
    if (change === undefined) return;
    lastMs = world.clock.now();
    last = change.key;
  });
  try {
    while (await world.step(Math.min(lastMs + quietMs, endMs)));
  } finally {
    stop();
  }
  if (lastMs + quietMs > endMs) throw new Error(`after ${timeoutMs} ms of virtual time the cluster is not at rest: ${last} was written last`);
}
