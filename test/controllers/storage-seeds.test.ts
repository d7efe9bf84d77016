/** Volumes, claims, pods and attachments come and go while all kinds of faults happen; when the faults stop, everything must be as the objects say. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import {
  badDay,
  isReason,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  startCluster,
  type VirtualCluster,
  VolumeAttachment,
} from '../../src/index.ts';
import { ConnectionError } from '../../src/client/connection-error.ts';
import { answers } from '../../src/controllers/persistent-volumes/match.ts';
import { simulatedWorld } from '../../src/world/simulated.ts';

const rounds = 30;
const recoveryMs = 20 * 60_000;

/** Attachments per volume at every moment: a volume that cannot be shared must never have two. */
class Attachments {
  readonly broken: string[] = [];
  made = 0;
  readonly #byKey = new Map<string, string>();

  see(change: { readonly type: string; readonly key: string; readonly value?: Uint8Array }): void {
    if (!change.key.includes('/volumeattachments/')) return;
    if (change.value === undefined) {
      this.#byKey.delete(change.key);
      return;
    }
    const { spec } = JSON.parse(Buffer.from(change.value).toString()) as VolumeAttachment;
    const volume = spec.source.persistentVolumeName ?? '';
    for (const [key, other] of this.#byKey) if (other === volume && key !== change.key) this.broken.push(`${volume} is attached to two nodes`);
    this.#byKey.set(change.key, volume);
    this.made++;
  }
}

async function live(cluster: VirtualCluster, seed: number): Promise<void> {
  const { random } = simulatedWorld(seed);
  const { client } = cluster;
  const claims = client.resource(PersistentVolumeClaim).namespace('default');
  const pods = client.resource(Pod).namespace('default');
  const volumes = client.resource(PersistentVolume);
  const deeds: readonly ((n: number) => Promise<unknown>)[] = [
    (n) =>
      volumes.create({
        metadata: { name: `v${n}` },
        spec: {
          capacity: { storage: `${1 + (n % 3)}Gi` },
          accessModes: ['ReadWriteOnce'],
          persistentVolumeReclaimPolicy: n % 2 === 0 ? 'Delete' : 'Retain',
          ...(n % 3 === 0 ? { hostPath: { path: `/tmp/v${n}` } } : { csi: { driver: 'disks.example.com', volumeHandle: `v${n}` } }),
        },
      }),
    (n) =>
      claims.create({
        metadata: { name: `c${n}`, namespace: 'default' },
        spec: {
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: `${1 + (n % 2)}Gi` } },
          // Most want a volume that somebody made; the others are given one by the default class.
          ...(n % 4 !== 3 && { storageClassName: '' }),
          ...(n % 5 === 0 && { volumeName: `v${n + 1}` }),
        },
      }),
    (n) =>
      pods.create({
        metadata: { name: `p${n}`, namespace: 'default' },
        spec: {
          terminationGracePeriodSeconds: 1,
          containers: [{ name: 'c', image: 'i' }],
          volumes: [{ name: 'data', persistentVolumeClaim: { claimName: `c${n}` } }],
        },
      }),
    (n) => pods.delete(`p${n}`),
    (n) => claims.delete(`c${n}`),
    (n) => volumes.patch(`v${n}`, { spec: { claimRef: null } }),
  ];
  const chances = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 4, 5];
  for (let round = 0; round < rounds; round++) {
    for (let deed = 0; deed < 3; deed++) {
      const act = deeds[chances[random.int(chances.length)] ?? 0];
      await act?.(random.int(12)).catch((error: unknown) => {
        // Whoever lives here takes a refusal for an answer, also of a server that is down.
        if (!isReason(error, 'NotFound', 'AlreadyExists', 'Conflict') && !(error instanceof ConnectionError)) throw error;
      });
    }
    await cluster.advance(random.int(20_000));
  }
}

/** What is not as it should be, in words. */
async function unkept(cluster: VirtualCluster): Promise<string[]> {
  const { client } = cluster;
  const [claims, volumes, pods, attachments] = await Promise.all([
    client.resource(PersistentVolumeClaim).list(),
    client.resource(PersistentVolume).list(),
    client.resource(Pod).list(),
    client.resource(VolumeAttachment).list(),
  ]);
  const found: string[] = [];
  const wanted = new Set<string>();
  for (const claim of claims.items) {
    const { name, uid } = claim.metadata;
    const volume = volumes.items.find(({ metadata }) => metadata.name === claim.spec.volumeName);
    if (claim.status.phase === 'Bound') {
      if (volume?.spec.claimRef?.uid !== uid) found.push(`${name} is bound to what is not bound to it`);
    } else if (claim.spec.volumeName === undefined && claim.metadata.deletionTimestamp === undefined) {
      for (const each of volumes.items) if (answers(each, claim)) found.push(`${name} waits and ${each.metadata.name} would do`);
    }
    if (volume?.spec.csi && volume.spec.claimRef?.uid === uid)
      for (const { spec, status } of pods.items) {
        const uses = spec.volumes?.some(({ persistentVolumeClaim }) => persistentVolumeClaim?.claimName === name) === true;
        const ended = status.phase === 'Succeeded' || status.phase === 'Failed';
        if (uses && spec.nodeName && !ended) wanted.add(`${volume.metadata.name} on ${spec.nodeName}`);
      }
  }
  for (const { metadata, spec, status } of volumes.items) {
    const claim = claims.items.find(({ metadata: { uid } }) => uid === spec.claimRef?.uid);
    const expected = spec.claimRef?.uid === undefined ? ['Available'] : claim ? ['Bound'] : ['Released', 'Failed'];
    if (!expected.includes(status.phase ?? '')) found.push(`${metadata.name} is ${status.phase}, not ${expected.join(' or ')}`);
    if (claim && claim.spec.volumeName !== metadata.name) found.push(`${metadata.name} is held for a claim that has another`);
    const removable = spec.hostPath && spec.persistentVolumeReclaimPolicy === 'Delete';
    if (removable && !claim && spec.claimRef?.uid !== undefined) found.push(`${metadata.name} should be gone`);
  }
  const present = new Set(attachments.items.map(({ spec }) => `${spec.source.persistentVolumeName} on ${spec.nodeName}`));
  for (const each of wanted.difference(present)) found.push(`${each} is not attached`);
  for (const each of present.difference(wanted)) found.push(`${each} is attached for nobody`);
  return found;
}

interface Outcome {
  readonly broken: readonly string[];
  readonly bound: number;
  readonly attached: number;
}

async function run(seed: number): Promise<Outcome> {
  const attachments = new Attachments();
  const cluster = await startCluster({
    clock: 'virtual',
    seed,
    nodes: 3,
    freeze: true,
    faults: badDay,
    // Claims that name no class are for the volumes made here.
    storage: false,
    onCommit: ({ changes }) => {
      for (const change of changes) attachments.see(change);
    },
  });
  try {
    await live(cluster, seed);
    await cluster.stopFaults();
    const endMs = cluster.now().getTime() + recoveryMs;
    let left = await unkept(cluster);
    while (left.length > 0 && cluster.now().getTime() < endMs) {
      await cluster.advance('10s');
      left = await unkept(cluster);
    }
    const claims = await cluster.client.resource(PersistentVolumeClaim).list();
    const bound = claims.items.filter(({ status }) => status.phase === 'Bound').length;
    return { broken: [...attachments.broken, ...left], bound, attached: attachments.made };
  } finally {
    await cluster.close();
  }
}

describe('storage, whatever goes wrong', () => {
  const [first, count] = [Number(process.env['SEED'] ?? '1'), Number(process.env['SEEDS'] ?? '3')];
  const outcomes: Outcome[] = [];
  for (let seed = first; seed < first + count; seed++)
    it(`is put right with seed ${seed}`, async () => {
      const outcome = await run(seed);
      outcomes.push(outcome);
      assert.deepEqual(outcome.broken, [], `SEED=${seed} SEEDS=1 replays it`);
    });
  it('was at work all the time', () => {
    const [bound, attached] = [outcomes.reduce((sum, each) => sum + each.bound, 0), outcomes.reduce((sum, each) => sum + each.attached, 0)];
    assert.ok(bound >= count && attached >= count, `${bound} claims bound at the end, ${attached} writes of attachments`);
  });
});
