/**
 * The volumes of one pod: made before its sandbox, kept up to date while it runs, given back after it. Each kind of volume has a file of its own here. Follows
 * upstream's volume manager and its plugins.
 */
import { ConfigMap, PersistentVolume, PersistentVolumeClaim, type Pod, Secret } from '../../api/node-kinds.ts';
import type { Kind } from '../../api/kind.ts';
import type { V1ServiceAccountTokenProjection, V1Volume } from '../../api/types.ts';
import { equal } from '../../machinery/equal.ts';
import type { KubeObject } from '../../machinery/object.ts';
import type { Timer } from '../../world/world.ts';
import type { PodScope } from '../pod-scope.ts';
import { type PodTokens, podTokens } from '../service-account-tokens.ts';
import { ConfigError } from '../start-error.ts';
import type { ClaimedUsage } from '../stats/usage-reader.ts';
import type { Watched } from '../watched-objects.ts';
import { growOnNode, makeClaimed } from './claimed.ts';
import { type CsiVolume, inlineCsiVolume, persistentCsiVolume } from './csi/csi-volume.ts';
import { makeEmptyDir } from './empty-dir.ts';
import { giveToGroup } from './fs-group.ts';
import { makeHostPath } from './host-path.ts';
import { madeAt, type MadeVolume, type VolumeSetting } from './made-volume.ts';
import { makeNfs } from './nfs.ts';
import { makeProvided, providedPlugin } from './provided.ts';
import type { ContentSources } from './volume-content.ts';
import { VolumeError } from './volume-error.ts';

/** What failed to be written anew (a full disk) is tried again after so long, twice as long each time. */
const firstRetryMs = 1000;
const longestRetryMs = 30_000;
/** Claims may not be watched by a node, so volumes of drivers, which may grow or be asked for again, are looked at. */
const driversEveryMs = 20_000;

/** A hundred thousand simulated pods have one each: what a pod may never need is made when it does. */
export class PodVolumes {
  readonly #scope: PodScope;
  #pod: Pod;
  #tokens: PodTokens | undefined;
  #references: Map<string, Watched<KubeObject>> | undefined;
  /** In the order of the spec, which does not change. */
  #made: (MadeVolume | undefined)[] = [];
  #closing: AbortController | undefined;
  #closed = false;
  #prepared = false;
  #renewal: Timer | undefined;
  #retry: Timer | undefined;
  #tending: Timer | undefined;
  #retryMs = firstRetryMs;
  #preparing: Promise<void> | undefined;
  #refreshing: Promise<void> | undefined;
  #refreshAgain = false;

  constructor(scope: PodScope) {
    this.#scope = scope;
    this.#pod = scope.pod;
  }

  /** Makes them all; rejects with the first that cannot be made, as `MountVolume.SetUp failed …`. May be called again. */
  prepare(): Promise<void> {
    const preparing = this.#prepare().finally(() => {
      if (this.#preparing === preparing) this.#preparing = undefined;
    });
    this.#preparing = preparing;
    return preparing;
  }

  /** A prepared volume. */
  get(volume: string): MadeVolume | undefined {
    return this.#made[this.#volumes.findIndex(({ name }) => name === volume)];
  }

  configMap(name: string): Promise<ConfigMap | undefined> {
    return this.#reference(ConfigMap, name);
  }

  secret(name: string): Promise<Secret | undefined> {
    return this.#reference(Secret, name);
  }

  /** What the volumes behind claims hold: as their driver says, or as the file system they lie on. */
  async claimedUsage(): Promise<readonly ClaimedUsage[]> {
    const { csi, host } = this.#scope.context;
    const usages: ClaimedUsage[] = [];
    for (const volume of this.#volumes) {
      const [claim, { path, block } = madeAt('')] = [claimOf(volume, this.#pod), this.get(volume.name)];
      if (claim === undefined || path === '' || block) continue;
      const figures = (await csi.usageAt(path)) ?? (await host.disk.space(path));
      if (figures) usages.push({ name: volume.name, claim, figures });
    }
    return usages;
  }

  /** The pod's labels or annotations may have changed. */
  update(newer: Pod): void {
    const before = this.#pod.metadata;
    this.#pod = newer;
    const isNews = !equal(before.labels, newer.metadata.labels) || !equal(before.annotations, newer.metadata.annotations);
    if (this.#prepared && isNews) this.#refresh();
  }

  /** The clock was set: what is renewed by it may be due. */
  clockJumped(): void {
    this.#tokens?.renewAll();
    if (this.#prepared) this.#refresh();
  }

  /** Fulfils when nothing is being written any more. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#closing?.abort(new Error('the pod is looked after no more'));
    for (const timer of [this.#renewal, this.#retry, this.#tending]) timer?.cancel();
    this.#release();
    await this.#preparing?.catch(() => {});
    await this.#refreshing;
    // What was under way may have asked for more.
    this.#release();
  }

  #release(): void {
    for (const known of this.#references?.values() ?? []) known.release();
    this.#references = undefined;
  }

  get #volumes(): readonly V1Volume[] {
    return this.#pod.spec.volumes ?? [];
  }

  #reference<T extends KubeObject>(kind: Kind<T>, name: string): Promise<T | undefined> {
    const key = `${kind.resource}/${name}`;
    const references = (this.#references ??= new Map());
    let known = references.get(key);
    if (!known) {
      const { namespace } = this.#pod.metadata;
      references.set(key, (known = this.#scope.context.watched.acquire(kind, namespace, name, () => this.#changed())));
    }
    // What was acquired under this kind's key is of this kind.
    return (known as Watched<T>).read();
  }

  /** A referenced object changed: what failed for want of it may work now. */
  #changed(): void {
    if (this.#closed) return;
    this.#scope.tasks.releaseAll();
    this.#scope.wake();
    if (this.#prepared) this.#refresh();
  }

  /** A token that nobody can read is not asked for: thousands of simulated nodes would keep the server signing. */
  #token(projection: V1ServiceAccountTokenProjection): Promise<string> {
    const { host, client, world } = this.#scope.context;
    if (!host.disk.keeps) return Promise.resolve('');
    this.#tokens ??= podTokens(client, world, this.#pod);
    return this.#tokens.get(projection);
  }

  #sources(): ContentSources {
    const { context, podIps } = this.#scope;
    return {
      pod: this.#pod,
      addresses: { podIps, hostIps: context.nodeIps },
      allocatable: context.node()?.status.allocatable ?? {},
      configMap: (name) => this.configMap(name),
      secret: (name) => this.secret(name),
      token: (projection) => this.#token(projection),
    };
  }

  #setting(): VolumeSetting {
    const { context, directories } = this.#scope;
    const { world, client, host, csi, node } = context;
    this.#closing ??= new AbortController();
    if (this.#closed) this.#closing.abort(new Error('the pod is looked after no more'));
    const token: VolumeSetting['token'] = (projection) => this.#token(projection);
    return { world, client, disk: host.disk, csi, directories, pod: this.#pod, node, token, signal: this.#closing.signal };
  }

  async #make(volume: V1Volume): Promise<MadeVolume> {
    const { context, directories } = this.#scope;
    const { csi, host } = context;
    const plugin = providedPlugin(volume);
    if (plugin !== undefined) return makeProvided(host.disk, directories, plugin, volume, this.#sources());
    if (volume.emptyDir) return makeEmptyDir(this.#setting(), volume.name, volume.emptyDir);
    if (volume.hostPath) return makeHostPath(host.disk, volume.hostPath);
    if (volume.nfs) return makeNfs(this.#setting(), volume.name, volume.nfs);
    const claimName = claimOf(volume, this.#pod);
    if (claimName !== undefined) return makeClaimed(this.#setting(), claimName, volume.persistentVolumeClaim?.readOnly === true);
    if (volume.csi) {
      const inline = inlineCsiVolume(this.#pod, volume.name, volume.csi);
      const { path, owned } = await csi.publish({ ...this.#setting(), volume: inline });
      if (owned) await giveToGroup(this.#setting(), path);
      return madeAt(path, { readonly: inline.readOnly });
    }
    // The runtime's own work, container by container: see image-volumes.ts.
    if (volume.image) return madeAt('', { readonly: true });
    const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
    throw new VolumeError('SetUp', `no volume plugin matched name: ${kind}`);
  }

  async #prepare(): Promise<void> {
    const { context, directories } = this.#scope;
    const { csi, host, world } = context;
    await host.disk.makeDir(directories.root, 0o750);
    const volumes = this.#volumes;
    const results = await Promise.allSettled(volumes.map((volume) => this.#make(volume)));
    this.#made = results.map((result, index) => (result.status === 'fulfilled' ? result.value : this.#made[index]));
    for (const [index, result] of results.entries()) {
      if (result.status === 'rejected') throw new ConfigError(failureOf(volumes[index]?.name ?? '', result.reason));
    }
    if (this.#closed) return;
    this.#prepared = true;
    // Where nothing is kept, nothing can become stale.
    if (!host.disk.keeps) this.#release();
    this.#scheduleRenewal();
    if (csi.hasDrivers() && volumes.some((volume) => volume.csi ?? claimOf(volume, this.#pod) !== undefined)) {
      this.#tending ??= world.clock.every(driversEveryMs, () => void this.#tend());
    }
  }

  #scheduleRenewal(): void {
    this.#renewal?.cancel();
    const atMs = this.#tokens?.renewAtMs();
    if (atMs === undefined || this.#closed) return;
    const { clock } = this.#scope.context.world;
    this.#renewal = clock.after(Math.max(1000, atMs - clock.now()), () => this.#refresh());
  }

  /** Rewrites what changed. One at a time; a change meanwhile makes one more round. */
  #refresh(): void {
    if (this.#closed) return;
    if (this.#refreshing) {
      this.#refreshAgain = true;
      return;
    }
    this.#retry?.cancel();
    this.#refreshing = this.#round().finally(() => {
      this.#refreshing = undefined;
      this.#scheduleRenewal();
      if (!this.#refreshAgain) return;
      this.#refreshAgain = false;
      this.#refresh();
    });
  }

  async #round(): Promise<void> {
    const { context } = this.#scope;
    let failed = false;
    for (const volume of this.#volumes) {
      if (providedPlugin(volume) === undefined || this.#closed) continue;
      try {
        await this.#make(volume);
      } catch (error) {
        failed = true;
        // What was there before stays in its place.
        if (!this.#closed) context.tell(this.#pod, 'Warning', 'FailedMount', failureOf(volume.name, error));
      }
    }
    if (!failed) this.#retryMs = firstRetryMs;
    else if (!this.#closed) {
      this.#retry = context.world.clock.after(this.#retryMs, () => this.#refresh());
      this.#retryMs = Math.min(this.#retryMs * 2, longestRetryMs);
    }
  }

  /** What drivers have made: grown where its controller has grown it, asked for again where the driver wants that. */
  async #tend(): Promise<void> {
    const { csi, world } = this.#scope.context;
    for (const volume of this.#volumes) {
      if (this.#closed) return;
      try {
        const ofDriver = volume.csi ? inlineCsiVolume(this.#pod, volume.name, volume.csi) : await this.#grownVolume(volume);
        if (ofDriver) await csi.republish({ ...this.#setting(), volume: ofDriver });
      } catch (error) {
        if (this.#closed) return;
        const { name: pod } = this.#pod.metadata;
        world.log.child('volumes').warn('a volume could not be tended', { pod, volume: volume.name, error: String(error) });
      }
    }
  }

  async #grownVolume(volume: V1Volume): Promise<CsiVolume | undefined> {
    const name = claimOf(volume, this.#pod);
    if (name === undefined) return undefined;
    const { client } = this.#scope.context;
    const claim = await client.resource(PersistentVolumeClaim).namespace(this.#pod.metadata.namespace).get(name);
    if (!claim.spec.volumeName) return undefined;
    const persistent = await client.resource(PersistentVolume).get(claim.spec.volumeName);
    await growOnNode(this.#setting(), claim, persistent);
    return persistentCsiVolume(persistent, volume.persistentVolumeClaim?.readOnly === true);
  }
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
