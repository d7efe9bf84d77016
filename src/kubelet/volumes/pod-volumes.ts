/**
 * The volumes of one pod: made before its sandbox, kept up to date while it runs, given back after it. Each kind of volume has a file of its own here. Follows
 * upstream's volume manager and its plugins.
 */
import { ConfigMap, PersistentVolume, PersistentVolumeClaim, type Node, type Pod, Secret } from '../../api/kinds.ts';
import type { Kind } from '../../api/kind.ts';
import type { V1Volume } from '../../api/types.ts';
import type { Client } from '../../client/client.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { Timer, World } from '../../world/world.ts';
import type { Disk } from '../disk.ts';
import type { Allocatable, PodAddresses } from '../field-ref.ts';
import type { PodDirectories } from '../pod-directories.ts';
import { podTokens } from '../service-account-tokens.ts';
import { ConfigError } from '../start-error.ts';
import type { ClaimedUsage } from '../stats/usage-reader.ts';
import type { Watched, WatchedObjects } from '../watched-objects.ts';
import { growOnNode, makeClaimed } from './claimed.ts';
import { type CsiVolume, inlineCsiVolume, persistentCsiVolume } from './csi/csi-volume.ts';
import type { CsiVolumes } from './csi/csi-volumes.ts';
import { makeEmptyDir } from './empty-dir.ts';
import { giveToGroup } from './fs-group.ts';
import { makeHostPath } from './host-path.ts';
import { madeAt, type MadeVolume, type VolumeSetting } from './made-volume.ts';
import { makeNfs } from './nfs.ts';
import { makeProvided, providedPlugin } from './provided.ts';
import type { ContentSources } from './volume-content.ts';
import { VolumeError } from './volume-error.ts';

export interface PodVolumes {
  /** Makes them all; rejects with the first that cannot be made, as `MountVolume.SetUp failed …`. May be called again. */
  prepare(): Promise<void>;
  /** A prepared volume. */
  get(volume: string): MadeVolume | undefined;
  configMap(name: string): Promise<ConfigMap | undefined>;
  secret(name: string): Promise<Secret | undefined>;
  /** What the volumes behind claims hold: as their driver says, or as the file system they lie on. */
  claimedUsage(): Promise<readonly ClaimedUsage[]>;
  /** The pod's labels or annotations may have changed. */
  update(pod: Pod): void;
  /** Fulfils when nothing is being written any more. */
  /** The clock was set: what is renewed by it may be due. */
  clockJumped(): void;
  close(): Promise<void>;
}

export interface PodVolumesOptions {
  readonly world: World;
  readonly client: Client;
  readonly watched: WatchedObjects;
  readonly disk: Disk;
  readonly csi: CsiVolumes;
  readonly directories: PodDirectories;
  readonly pod: Pod;
  readonly node: () => Node | undefined;
  readonly addresses: () => PodAddresses;
  readonly allocatable: () => Allocatable;
  /** A referenced object changed: what failed for want of it may work now. */
  readonly onChange: () => void;
  /** A volume of the running pod could not be brought up to date; it is tried again. */
  readonly onFailure: (message: string) => void;
}

/** What failed to be written anew (a full disk) is tried again after so long, twice as long each time. */
const firstRetryMs = 1000;
const longestRetryMs = 30_000;
/** Claims may not be watched by a node, so volumes of drivers, which may grow or be asked for again, are looked at. */
const driversEveryMs = 20_000;

export function createPodVolumes(options: PodVolumesOptions): PodVolumes {
  const { world, client, watched, disk, csi, directories } = options;
  const log = world.log.child('volumes');
  let pod = options.pod;
  const { namespace } = pod.metadata;
  const tokens = podTokens(client, world, pod);
  const references = new Map<string, Watched<KubeObject>>();
  const made = new Map<string, MadeVolume>();
  const closed = new AbortController();
  let prepared = false;
  let renewal: Timer | undefined;
  let retry: Timer | undefined;
  let tending: Timer | undefined;
  let retryMs = firstRetryMs;
  let preparing: Promise<void> | undefined;
  let refreshing: Promise<void> | undefined;
  let refreshAgain = false;

  function reference<T extends KubeObject>(kind: Kind<T>, name: string): Promise<T | undefined> {
    const key = `${kind.resource}/${name}`;
    let known = references.get(key);
    if (!known) references.set(key, (known = watched.acquire(kind, namespace, name, changed)));
    // What was acquired under this kind's key is of this kind.
    return (known as Watched<T>).read();
  }

  function changed(): void {
    if (closed.signal.aborted) return;
    options.onChange();
    if (prepared) refresh();
  }

  // A token that nobody can read is not asked for: thousands of simulated nodes would keep the server signing.
  const token: VolumeSetting['token'] = (projection) => (disk.keeps ? tokens.get(projection) : Promise.resolve(''));

  function sources(): ContentSources {
    return {
      pod,
      addresses: options.addresses(),
      allocatable: options.allocatable(),
      configMap: (name) => reference(ConfigMap, name),
      secret: (name) => reference(Secret, name),
      token,
    };
  }

  function setting(): VolumeSetting {
    return { world, client, disk, csi, directories, pod, node: options.node, token, signal: closed.signal };
  }

  async function make(volume: V1Volume): Promise<MadeVolume> {
    const plugin = providedPlugin(volume);
    if (plugin !== undefined) return makeProvided(disk, directories, plugin, volume, sources());
    if (volume.emptyDir) return makeEmptyDir(setting(), volume.name, volume.emptyDir);
    if (volume.hostPath) return makeHostPath(disk, volume.hostPath);
    if (volume.nfs) return makeNfs(setting(), volume.name, volume.nfs);
    const claimName = claimOf(volume, pod);
    if (claimName !== undefined) return makeClaimed(setting(), claimName, volume.persistentVolumeClaim?.readOnly === true);
    if (volume.csi) {
      const inline = inlineCsiVolume(pod, volume.name, volume.csi);
      const { path, owned } = await csi.publish({ ...setting(), volume: inline });
      if (owned) await giveToGroup(setting(), path);
      return madeAt(path, { readonly: inline.readOnly });
    }
    // The runtime's own work, container by container.
    if (volume.image) return madeAt('', { readonly: true });
    const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
    throw new VolumeError('SetUp', `no volume plugin matched name: ${kind}`);
  }

  async function prepare(): Promise<void> {
    await disk.makeDir(directories.root, 0o750);
    const volumes = pod.spec.volumes ?? [];
    const results = await Promise.allSettled(volumes.map(make));
    for (const [index, result] of results.entries()) {
      const name = volumes[index]?.name ?? '';
      if (result.status === 'fulfilled') made.set(name, result.value);
    }
    for (const [index, result] of results.entries()) {
      if (result.status === 'rejected') throw new ConfigError(failureOf(volumes[index]?.name ?? '', result.reason));
    }
    if (closed.signal.aborted) return;
    prepared = true;
    scheduleRenewal();
    if (csi.hasDrivers() && volumes.some((volume) => volume.csi ?? claimOf(volume, pod) !== undefined)) {
      tending ??= world.clock.every(driversEveryMs, () => void tend());
    }
  }

  function scheduleRenewal(): void {
    renewal?.cancel();
    const atMs = tokens.renewAtMs();
    if (atMs !== undefined && !closed.signal.aborted) renewal = world.clock.after(Math.max(1000, atMs - world.clock.now()), refresh);
  }

  /** Rewrites what changed. One at a time; a change meanwhile makes one more round. */
  function refresh(): void {
    if (closed.signal.aborted) return;
    if (refreshing) {
      refreshAgain = true;
      return;
    }
    retry?.cancel();
    refreshing = round().finally(() => {
      refreshing = undefined;
      scheduleRenewal();
      if (!refreshAgain) return;
      refreshAgain = false;
      refresh();
    });
  }

  async function round(): Promise<void> {
    let failed = false;
    for (const volume of pod.spec.volumes ?? []) {
      if (providedPlugin(volume) === undefined || closed.signal.aborted) continue;
      try {
        await make(volume);
      } catch (error) {
        failed = true;
        // What was there before stays in its place.
        if (!closed.signal.aborted) options.onFailure(failureOf(volume.name, error));
      }
    }
    if (!failed) retryMs = firstRetryMs;
    else if (!closed.signal.aborted) {
      retry = world.clock.after(retryMs, refresh);
      retryMs = Math.min(retryMs * 2, longestRetryMs);
    }
  }

  /** What drivers have made: grown where its controller has grown it, asked for again where the driver wants that. */
  async function tend(): Promise<void> {
    for (const volume of pod.spec.volumes ?? []) {
      if (closed.signal.aborted) return;
      try {
        const ofDriver = volume.csi ? inlineCsiVolume(pod, volume.name, volume.csi) : await grownVolume(volume);
        if (ofDriver) await csi.republish({ ...setting(), volume: ofDriver });
      } catch (error) {
        if (closed.signal.aborted) return;
        log.warn('a volume could not be tended', { pod: pod.metadata.name, volume: volume.name, error: String(error) });
      }
    }
  }

  async function grownVolume(volume: V1Volume): Promise<CsiVolume | undefined> {
    const name = claimOf(volume, pod);
    if (name === undefined) return undefined;
    const claim = await client.resource(PersistentVolumeClaim).namespace(namespace).get(name);
    if (!claim.spec.volumeName) return undefined;
    const persistent = await client.resource(PersistentVolume).get(claim.spec.volumeName);
    await growOnNode(setting(), claim, persistent);
    return persistentCsiVolume(persistent, volume.persistentVolumeClaim?.readOnly === true);
  }

  return {
    prepare() {
      preparing = prepare();
      return preparing;
    },
    get: (volume) => made.get(volume),
    configMap: (name) => reference(ConfigMap, name),
    secret: (name) => reference(Secret, name),
    async claimedUsage() {
      const usages: ClaimedUsage[] = [];
      for (const volume of pod.spec.volumes ?? []) {
        const [claim, { path, block } = madeAt('')] = [claimOf(volume, pod), made.get(volume.name)];
        if (claim === undefined || path === '' || block) continue;
        const figures = (await csi.usageAt(path)) ?? (await disk.space(path));
        if (figures) usages.push({ name: volume.name, claim, figures });
      }
      return usages;
    },
    update(newer) {
      const before = pod.metadata;
      pod = newer;
      if (prepared && (before.labels !== newer.metadata.labels || before.annotations !== newer.metadata.annotations)) refresh();
    },
    clockJumped() {
      tokens.renewAll();
      if (prepared) refresh();
    },
    async close() {
      closed.abort(new Error('the pod is looked after no more'));
      for (const timer of [renewal, retry, tending]) timer?.cancel();
      for (const known of references.values()) known.release();
      references.clear();
      await preparing?.catch(() => {});
      await refreshing;
    },
  };
}

/** The claim behind a volume: named, or made for the pod. */
function claimOf({ name, persistentVolumeClaim, ephemeral }: V1Volume, { metadata }: Pod): string | undefined {
  return persistentVolumeClaim?.claimName ?? (ephemeral ? `${metadata.name}-${name}` : undefined);
}

/** In upstream's words, by the operation that failed. */
function failureOf(volume: string, error: unknown): string {
  const operation = error instanceof VolumeError ? error.operation : 'SetUp';
  const what = operation.includes('.') ? operation : `MountVolume.${operation}`;
  return `${what} failed for volume "${volume}" : ${error instanceof Error ? error.message : String(error)}`;
}
