/**
 * The volumes of one pod: made before its sandbox, kept up to date while it runs, removed after it. Follows upstream's volume manager and its
 * config map, secret, downward API, projected, empty dir, host path and local plugins.
 */
import { ConfigMap, PersistentVolume, PersistentVolumeClaim, type Pod, Secret } from '../api/kinds.ts';
import type { V1HostPathVolumeSource, V1Volume } from '../api/types.ts';
import type { Client } from '../client/client.ts';
import type { KubeObject } from '../machinery/object.ts';
import type { Kind } from '../api/kind.ts';
import type { Timer, World } from '../world/world.ts';
import type { Disk, PathKind } from './disk.ts';
import type { Allocatable, PodAddresses } from './field-ref.ts';
import { type PodDirectories, volumeDirectory } from './pod-directories.ts';
import { bytes } from './resources.ts';
import { podTokens } from './service-account-tokens.ts';
import { ConfigError } from './start-error.ts';
import { type ContentSources, volumeContent } from './volume-content.ts';
import type { Watched, WatchedObjects } from './watched-objects.ts';

export interface PodVolumes {
  /** Makes them all; rejects with the first that cannot be made, as `MountVolume.SetUp failed …`. May be called again. */
  prepare(): Promise<void>;
  /** Where a prepared volume is on the node. */
  hostPath(volume: string): string | undefined;
  /** Whether every mount of it is read-only, whatever the container says. */
  isReadonly(volume: string): boolean;
  configMap(name: string): Promise<ConfigMap | undefined>;
  secret(name: string): Promise<Secret | undefined>;
  /** The pod's labels or annotations may have changed. */
  update(pod: Pod): void;
  /** Fulfils when nothing is being written any more. */
  close(): Promise<void>;
}

export interface PodVolumesOptions {
  readonly world: World;
  readonly client: Client;
  readonly watched: WatchedObjects;
  readonly disk: Disk;
  readonly directories: PodDirectories;
  readonly pod: Pod;
  readonly addresses: () => PodAddresses;
  readonly allocatable: () => Allocatable;
  /** A referenced object changed: what failed for want of it may work now. */
  readonly onChange: () => void;
}

export function createPodVolumes(options: PodVolumesOptions): PodVolumes {
  const { world, client, watched, disk, directories } = options;
  const log = world.log.child('volumes');
  let pod = options.pod;
  const { namespace } = pod.metadata;
  const tokens = podTokens(client, world, pod);
  const references = new Map<string, Watched<KubeObject>>();
  const paths = new Map<string, string>();
  const readonlyClaims = new Set<string>();
  /** Volumes that the API fills: nobody else may write there. */
  const provided = new Set((pod.spec.volumes ?? []).filter((volume) => contentPlugin(volume) !== undefined).map(({ name }) => name));
  let prepared = false;
  let closed = false;
  let renewal: Timer | undefined;
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
    if (closed) return;
    options.onChange();
    if (prepared) refresh();
  }

  function sources(): ContentSources {
    return {
      pod,
      addresses: options.addresses(),
      allocatable: options.allocatable(),
      configMap: (name) => reference(ConfigMap, name),
      secret: (name) => reference(Secret, name),
      // A token that nobody can read is not asked for: thousands of simulated nodes would keep the server signing.
      token: (projection) => (disk.keeps ? tokens.get(projection) : Promise.resolve('')),
    };
  }

  async function make(volume: V1Volume): Promise<void> {
    const fsGroup = pod.spec.securityContext?.fsGroup;
    const plugin = contentPlugin(volume);
    if (plugin !== undefined) {
      const content = await volumeContent(volume, sources());
      const path = volumeDirectory(directories, plugin, volume.name);
      // Secrets and tokens stay in memory: they are not to be found on the disk later.
      if (plugin !== 'configmap' && !paths.has(volume.name)) await disk.mountTmpfs(path, { mode: 0o755 });
      await disk.makeDir(path, 0o755, fsGroup === undefined ? undefined : { gid: fsGroup });
      if (content) await disk.writeVolume(path, withGroup(content, fsGroup), fsGroup);
      paths.set(volume.name, path);
    } else if (volume.emptyDir) {
      const path = volumeDirectory(directories, 'empty-dir', volume.name);
      const { medium, sizeLimit } = volume.emptyDir;
      if (!paths.has(volume.name)) {
        if (medium === 'Memory') await disk.mountTmpfs(path, { mode: 0o777, ...(sizeLimit !== undefined && { sizeBytes: bytes(sizeLimit) }) });
        const group = fsGroup === undefined ? undefined : { gid: fsGroup };
        await disk.makeDir(path, fsGroup === undefined ? 0o777 : 0o2777, group);
      }
      paths.set(volume.name, path);
    } else if (volume.hostPath) {
      await checkHostPath(disk, volume.hostPath);
      paths.set(volume.name, volume.hostPath.path);
    } else if (volume.persistentVolumeClaim) {
      paths.set(volume.name, await claimedPath(volume.persistentVolumeClaim.claimName));
      if (volume.persistentVolumeClaim.readOnly === true) readonlyClaims.add(volume.name);
    } else if (volume.ephemeral) {
      paths.set(volume.name, await claimedPath(`${pod.metadata.name}-${volume.name}`));
    } else {
      const kind = Object.keys(volume).find((key) => key !== 'name') ?? 'unknown';
      throw new ConfigError(`no volume plugin matched name: ${kind}`);
    }
  }

  async function claimedPath(claimName: string): Promise<string> {
    const claim = await client.resource(PersistentVolumeClaim).namespace(namespace).get(claimName);
    const { volumeName } = claim.spec;
    if (claim.status.phase !== 'Bound' || volumeName === undefined) throw new ConfigError(`PVC ${namespace}/${claimName} is not bound`);
    const volume = await client.resource(PersistentVolume).get(volumeName);
    if (volume.spec.hostPath) {
      await checkHostPath(disk, volume.spec.hostPath);
      return volume.spec.hostPath.path;
    }
    if (volume.spec.local) {
      const { path } = volume.spec.local;
      if ((await disk.kind(path)) === 'absent') throw new ConfigError(`path "${path}" does not exist`);
      const fsGroup = pod.spec.securityContext?.fsGroup;
      if (fsGroup !== undefined) await disk.chownTree(path, fsGroup);
      return path;
    }
    throw new ConfigError(`no volume plugin matched the persistent volume ${volumeName}`);
  }

  function scheduleRenewal(): void {
    renewal?.cancel();
    const atMs = tokens.renewAtMs();
    if (atMs !== undefined && !closed) renewal = world.clock.after(Math.max(1000, atMs - world.clock.now()), refresh);
  }

  /** Rewrites what changed. One at a time; a change meanwhile makes one more round. */
  function refresh(): void {
    if (closed) return;
    if (refreshing) {
      refreshAgain = true;
      return;
    }
    const round = async (): Promise<void> => {
      for (const volume of pod.spec.volumes ?? []) {
        if (contentPlugin(volume) === undefined || closed) continue;
        try {
          await make(volume);
        } catch (error) {
          log.debug('refreshing a volume failed', { pod: pod.metadata.name, volume: volume.name, error: String(error) });
        }
      }
    };
    refreshing = round().finally(() => {
      refreshing = undefined;
      scheduleRenewal();
      if (!refreshAgain) return;
      refreshAgain = false;
      refresh();
    });
  }

  return {
    async prepare() {
      await disk.makeDir(directories.root, 0o750);
      const volumes = pod.spec.volumes ?? [];
      const results = await Promise.allSettled(volumes.map(make));
      for (const [index, result] of results.entries()) {
        if (result.status === 'rejected') {
          throw new ConfigError(`MountVolume.SetUp failed for volume "${volumes[index]?.name}" : ${messageOf(result.reason)}`);
        }
      }
      prepared = true;
      scheduleRenewal();
    },
    hostPath: (volume) => paths.get(volume),
    isReadonly: (volume) => readonlyClaims.has(volume) || provided.has(volume),
    configMap: (name) => reference(ConfigMap, name),
    secret: (name) => reference(Secret, name),
    update(newer) {
      const before = pod.metadata;
      pod = newer;
      if (prepared && (before.labels !== newer.metadata.labels || before.annotations !== newer.metadata.annotations)) refresh();
    },
    async close() {
      closed = true;
      renewal?.cancel();
      for (const known of references.values()) known.release();
      references.clear();
      await refreshing;
    },
  };
}

function contentPlugin(volume: V1Volume): string | undefined {
  if (volume.configMap) return 'configmap';
  if (volume.secret) return 'secret';
  if (volume.downwardAPI) return 'downward-api';
  if (volume.projected) return 'projected';
  return undefined;
}

function withGroup<T extends { mode: number }>(content: Map<string, T>, fsGroup: number | undefined): Map<string, T> {
  if (fsGroup === undefined) return content;
  return new Map([...content].map(([path, file]) => [path, { ...file, mode: file.mode | 0o440 }]));
}

const hostPathKinds: Readonly<Record<string, { readonly kind: PathKind; readonly words: string }>> = {
  Directory: { kind: 'directory', words: 'a directory' },
  File: { kind: 'file', words: 'a file' },
  Socket: { kind: 'socket', words: 'a socket' },
  CharDevice: { kind: 'character-device', words: 'a character device' },
  BlockDevice: { kind: 'block-device', words: 'a block device' },
};

async function checkHostPath(disk: Disk, { path, type = '' }: V1HostPathVolumeSource): Promise<void> {
  if (type === '') return;
  const found = await disk.kind(path);
  if (type === 'DirectoryOrCreate' && found === 'absent') return disk.makeDir(path, 0o755);
  if (type === 'FileOrCreate' && found === 'absent') return disk.writeFile(path, '', 0o644);
  const wanted = hostPathKinds[type.replace('OrCreate', '')];
  if (wanted && wanted.kind !== found) throw new ConfigError(`hostPath type check failed: ${path} is not ${wanted.words}`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
