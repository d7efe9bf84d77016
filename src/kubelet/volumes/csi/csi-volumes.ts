/**
 * Volumes of storage drivers on this node: attached elsewhere, staged once for the node, published to each pod, and given back in the opposite order. What
 * was asked for is on record on the disk before it is asked, so a restarted kubelet finds it. Follows upstream's `pkg/volume/csi`.
 */
import { dirname, join } from 'node:path';
import { CSIDriver, Secret, VolumeAttachment, type Node, type Pod } from '../../../api/node-kinds.ts';
import type { V1SecretReference, V1ServiceAccountTokenProjection } from '../../../api/types.ts';
import type { Client } from '../../../client/client.ts';
import { isReason } from '../../../machinery/errors.ts';
import type { World } from '../../../world/world.ts';
import type { Disk } from '../../disk.ts';
import type { PodDirectories } from '../../pod-directories.ts';
import { VolumeError } from '../volume-error.ts';
import type { CsiDriver, VolumeUsage } from './csi-driver.ts';
import {
  attachmentName,
  capability,
  checkLifecycle,
  csiPaths,
  type CsiVolume,
  needsAttaching,
  ownsByGroup,
  podInfo,
  stagingPaths,
  uniqueName,
} from './csi-volume.ts';
import { type CsiDrivers, noDrivers } from './drivers.ts';
import { readRecord, type RecordedVolume, recordedVolumes, removeRecord, type VolumeRecord, writeRecord } from './volume-record.ts';

export interface CsiVolumesOptions {
  readonly world: World;
  readonly client: Client;
  readonly disk: Disk;
  readonly drivers: CsiDrivers;
  readonly nodeName: string;
  readonly rootDir: string;
  readonly node: () => Node | undefined;
  /** What the Node's `volumesInUse` should say has changed. */
  readonly onUse: () => void;
}

export interface PublishRequest {
  readonly pod: Pod;
  readonly directories: PodDirectories;
  readonly volume: CsiVolume;
  readonly token: (projection: V1ServiceAccountTokenProjection) => Promise<string>;
  readonly signal: AbortSignal;
}

export interface CsiVolumes {
  /** Answers where the volume is on the node, and whether its files are to be given to the pod's fsGroup. May be called again. */
  publish(request: PublishRequest): Promise<{ readonly path: string; readonly owned: boolean }>;
  /** Asks again for what is published, as drivers do who change it from time to time (tokens that run out). Nothing for others. */
  republish(request: PublishRequest): Promise<void>;
  /** Gives back all volumes of a pod, known by its directory alone. Rejects when a driver cannot be reached: then nothing may be removed. */
  unpublishAll(podRoot: string): Promise<void>;
  /** Grows the file system of a published volume. False when its driver leaves nothing to the node. */
  expand(volume: CsiVolume, directories: PodDirectories, toBytes: number): Promise<boolean>;
  /** By where it is published; undefined for what no driver has there, or when the driver does not count. */
  usageAt(path: string): Promise<VolumeUsage | undefined>;
  /** Attachable volumes that this node needs, as the Node's `volumesInUse` lists them. */
  inUse(): readonly string[];
  /** Whether there can be drivers at all. */
  hasDrivers(): boolean;
  /** Finds what an earlier kubelet used. */
  recover(): Promise<void>;
}

const attachTimeoutMs = 120_000;
const attachLookMs = 200;

export function createCsiVolumes(options: CsiVolumesOptions): CsiVolumes {
  const { world, client, disk, drivers, nodeName, rootDir } = options;
  const used = new Set<string>();
  /** What is done to one volume is done one after the other. */
  const turns = new Map<string, Promise<unknown>>();

  function inTurn<T>(key: string, work: () => Promise<T>): Promise<T> {
    const mine = (turns.get(key) ?? Promise.resolve()).catch(() => {}).then(work);
    turns.set(key, mine);
    const forget = (): void => {
      if (turns.get(key) === mine) turns.delete(key);
    };
    mine.then(forget, forget);
    return mine;
  }

  function driverFor(name: string, operation: string): CsiDriver {
    const driver = drivers.get(name);
    if (!driver) throw new VolumeError(operation, `kubernetes.io/csi: driver name ${name} not found in the list of registered CSI drivers`);
    return driver;
  }

  async function driverObject(name: string): Promise<CSIDriver | undefined> {
    return client.resource(CSIDriver).get(name).catch(absent);
  }

  async function secrets(reference: V1SecretReference | undefined): Promise<Record<string, string>> {
    if (reference?.name === undefined) return {};
    const { data = {} } = await client
      .resource(Secret)
      .namespace(reference.namespace ?? 'default')
      .get(reference.name);
    return Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));
  }

  function use(name: string): void {
    if (used.has(name)) return;
    used.add(name);
    options.onUse();
  }

  /** The driver's controller attaches it once the Node says that it is in use here. Answers what the controller has to tell the node's driver. */
  async function attached(volume: CsiVolume, signal: AbortSignal): Promise<Readonly<Record<string, string>>> {
    const unique = uniqueName(volume);
    use(unique);
    const name = attachmentName(volume, nodeName);
    const untilMs = world.clock.now() + attachTimeoutMs;
    for (;;) {
      const attachment = await client.resource(VolumeAttachment).get(name).catch(absent);
      const reported = options.node()?.status.volumesInUse?.includes(unique) === true;
      if (attachment?.metadata.deletionTimestamp === undefined && attachment?.status.attached === true && reported) {
        return attachment.status.attachmentMetadata ?? {};
      }
      if (attachment?.status.attachError?.message !== undefined) throw new VolumeError('WaitForAttach', attachment.status.attachError.message);
      if (world.clock.now() >= untilMs) {
        const why = `timed out waiting for external-attacher of ${volume.driver} CSI driver to attach volume ${volume.handle}`;
        throw new VolumeError('WaitForAttach', why);
      }
      await world.clock.sleep(attachLookMs, signal);
    }
  }

  async function tokens({ spec }: CSIDriver, token: PublishRequest['token']): Promise<Record<string, string>> {
    const wanted = spec.tokenRequests ?? [];
    if (wanted.length === 0) return {};
    const got: Record<string, object> = {};
    for (const { audience, expirationSeconds } of wanted) {
      const text = await token({ path: '', audience, ...(expirationSeconds !== undefined && { expirationSeconds }) });
      got[audience] = { token: text, expirationTimestamp: expiryOf(text) };
    }
    return { 'csi.storage.k8s.io/serviceAccount.tokens': JSON.stringify(got) };
  }

  function recordOf(volume: CsiVolume, attachable: boolean): VolumeRecord {
    return {
      driverName: volume.driver,
      volumeHandle: volume.handle,
      specVolID: volume.name,
      attachmentID: attachable ? attachmentName(volume, nodeName) : '',
      nodeName,
      volumeLifecycleMode: volume.ephemeral ? 'Ephemeral' : 'Persistent',
    };
  }

  async function publishInTurn(
    { pod, directories, volume, token, signal }: PublishRequest,
    again = false,
  ): Promise<{ path: string; owned: boolean }> {
    const { directory, target, staging, stagingDirectory } = csiPaths(volume, directories, rootDir);
    // An earlier kubelet did it: the driver need not even be there.
    if (!again && (await readRecord(disk, directory)) && (await disk.isMounted(target))) return { path: target, owned: false };
    const operation = volume.block ? 'MapVolume.SetUpDevice' : 'SetUp';
    const driver = driverFor(volume.driver, volume.ephemeral ? operation : 'MountDevice');
    const object = await driverObject(volume.driver);
    checkLifecycle(volume, object);
    const attachable = needsAttaching(volume, object);
    const publishContext = attachable ? await attached(volume, signal) : {};
    const abilities = await driver.abilities();
    const fsGroup = pod.spec.securityContext?.fsGroup;
    const request = { volumeId: volume.handle, publishContext, capability: capability(volume, abilities, fsGroup) };
    const record = recordOf(volume, attachable);
    const stages = abilities.has('STAGE_UNSTAGE_VOLUME') && !volume.ephemeral;
    await writeRecord(disk, directory, record);
    if (stages && !(await disk.isMounted(staging))) {
      await disk.makeDir(staging, 0o750);
      await writeRecord(disk, stagingDirectory, record);
      const stage = { ...request, stagingTargetPath: staging, secrets: await secrets(volume.stageSecret), volumeContext: volume.attributes };
      await driver.stage(stage).catch((error: unknown) => fail('MountDevice', error));
    }
    const isSecret = object?.spec.serviceAccountTokenInSecrets === true;
    const tokenFields = object ? await tokens(object, token) : {};
    await driver
      .publish({
        ...request,
        stagingTargetPath: stages ? staging : '',
        targetPath: target,
        readonly: volume.readOnly,
        secrets: { ...(await secrets(volume.publishSecret)), ...(isSecret && tokenFields) },
        volumeContext: { ...volume.attributes, ...podInfo(volume, pod, object), ...(!isSecret && tokenFields) },
      })
      .catch((error: unknown) => fail(operation, error));
    return { path: target, owned: ownsByGroup(volume, object) && !abilities.has('VOLUME_MOUNT_GROUP') };
  }

  /** Every volume that any pod's directory on this node has on record. */
  async function allRecorded(): Promise<RecordedVolume[]> {
    const pods = join(rootDir, 'pods');
    const found: RecordedVolume[] = [];
    for (const uid of await disk.list(pods)) found.push(...(await recordedVolumes(disk, join(pods, uid))));
    return found;
  }

  async function unpublish({ directory, target, record }: RecordedVolume): Promise<void> {
    const volume = { driver: record.driverName, handle: record.volumeHandle };
    const driver = driverFor(volume.driver, 'UnmountVolume.TearDown');
    await driver.unpublish(volume.handle, target).catch((error: unknown) => fail('UnmountVolume.TearDown', error));
    await removeRecord(disk, directory);
    const others = (await allRecorded()).filter((other) => other.record.driverName === volume.driver && other.record.volumeHandle === volume.handle);
    if (others.length > 0) return;
    const { staging, stagingDirectory } = stagingPaths(volume, rootDir);
    if (await readRecord(disk, stagingDirectory)) {
      try {
        await driver.unstage(volume.handle, staging);
      } catch (error) {
        // Found again with the pod's directory, and tried again.
        await writeRecord(disk, directory, record);
        fail('UnmountDevice', error);
      }
      await removeRecord(disk, stagingDirectory);
      await disk.removeEmptyDir(staging);
      await disk.removeEmptyDir(stagingDirectory);
    }
    if (used.delete(uniqueName(volume))) options.onUse();
  }

  return {
    publish: (request) => inTurn(uniqueName(request.volume), () => publishInTurn(request)),
    async republish(request) {
      if ((await driverObject(request.volume.driver))?.spec.requiresRepublish !== true) return;
      await inTurn(uniqueName(request.volume), () => publishInTurn(request, true));
    },
    async unpublishAll(podRoot) {
      for (const recorded of await recordedVolumes(disk, podRoot)) {
        const name = uniqueName({ driver: recorded.record.driverName, handle: recorded.record.volumeHandle });
        await inTurn(name, () => unpublish(recorded));
      }
    },
    expand(volume, directories, toBytes) {
      return inTurn(uniqueName(volume), async () => {
        const driver = driverFor(volume.driver, 'NodeExpandVolume');
        const abilities = await driver.abilities();
        if (!abilities.has('EXPAND_VOLUME')) return false;
        const { target, staging } = csiPaths(volume, directories, rootDir);
        await driver
          .expand({
            volumeId: volume.handle,
            volumePath: target,
            stagingTargetPath: abilities.has('STAGE_UNSTAGE_VOLUME') ? staging : '',
            capacityRange: { requiredBytes: toBytes },
            capability: capability(volume, abilities, undefined),
            secrets: await secrets(volume.expandSecret),
          })
          .catch((error: unknown) => fail('NodeExpandVolume', error));
        return true;
      });
    },
    async usageAt(path) {
      const record = await readRecord(disk, dirname(path));
      const driver = record && drivers.get(record.driverName);
      if (!driver || !(await driver.abilities()).has('GET_VOLUME_STATS')) return undefined;
      return driver.usage(record.volumeHandle, path);
    },
    hasDrivers: () => drivers !== noDrivers,
    inUse: () => [...used].sort(),
    async recover() {
      for (const { record } of await allRecorded()) {
        if (record.attachmentID !== '') use(uniqueName({ driver: record.driverName, handle: record.volumeHandle }));
      }
    },
  };
}

function absent(error: unknown): undefined {
  if (isReason(error, 'NotFound')) return undefined;
  throw error;
}

function fail(operation: string, error: unknown): never {
  throw new VolumeError(operation, error instanceof Error ? error.message : String(error));
}

/** The `exp` of a JSON web token, as an RFC 3339 time; empty when it says none. */
function expiryOf(token: string): string {
  const claims: unknown = JSON.parse(Buffer.from(token.split('.')[1] ?? 'e30', 'base64url').toString() || '{}');
  const expiry = typeof claims === 'object' && claims !== null && 'exp' in claims ? claims.exp : undefined;
  return typeof expiry === 'number' ? new Date(expiry * 1000).toISOString().replace(/\.\d+Z$/, 'Z') : '';
}
