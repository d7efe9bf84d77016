/**
 * Storage out of the box: makes a directory on its node for each claim of a class of `k8ts.io/host-path` whose first pod was promised to the node, and a
 * PersistentVolume that can be reached from there alone; removes both when the claim is gone, and grows them when more is asked for. One runs on each node; one does for all simulated ones.
 */
import { Node, PersistentVolume, PersistentVolumeClaim, StorageClass } from '../api/node-kinds.ts';
import type { Client } from '../client/client.ts';
import { createEventRecorder } from '../client/events.ts';
import type { Informers } from '../client/informer.ts';
import { WorkQueue } from '../client/work-queue.ts';
import { isReason } from '../machinery/errors.ts';
import { keyOf } from '../machinery/object.ts';
import type { World } from '../world/world.ts';
import type { Directories } from './directories.ts';
import { provisionerName, volumeFinalizer } from './names.ts';
import { orphanedDirectories } from './orphans.ts';
import { type ClaimPlan, newVolume, planClaim, planVolume, volumeNameOf } from './plan.ts';

export interface ProvisionerOptions {
  readonly world: World;
  readonly client: Client;
  readonly informers: Informers;
  /** Whether it makes the volumes of a node: of its own alone, or, where nodes are simulated, of all. */
  readonly serves: (nodeName: string) => boolean;
  /** Where it runs; what it tells says so. */
  readonly host: string;
  readonly directories: Directories;
}

export interface Provisioner {
  /** Resolves when what was under way has ended. */
  close(): Promise<void>;
}

/** After a failure (a full disk) it is tried again, ever more seldom but never later than this: it may have been mended. */
const longestPauseMs = 30_000;

export function startProvisioner({ world, client, informers, serves, host, directories }: ProvisionerOptions): Provisioner {
  const log = world.log.child('provisioner');
  const events = createEventRecorder(client, world, { component: provisionerName, host });
  const queue = new WorkQueue(world, { baseDelayMs: 500, maxDelayMs: longestPauseMs });
  const claims = informers.of(PersistentVolumeClaim);
  const volumes = informers.of(PersistentVolume);
  const classes = informers.of(StorageClass);
  const nodes = informers.of(Node);
  /** What was refused, by the claim's UID: said once. */
  const refused = new Map<string, string>();
  const closed = Promise.withResolvers<void>();
  const synced = Promise.all([claims.synced, volumes.synced, classes.synced, nodes.synced]);

  async function syncClaim(namespace: string, name: string): Promise<void> {
    const claim = claims.get(name, namespace);
    if (!claim) return;
    const view = {
      serves,
      nodes: nodes.list(),
      storageClass: (className: string) => classes.get(className),
      volume: (volumeName: string) => volumes.get(volumeName),
    };
    const plan = planClaim(claim, view);
    switch (plan.do) {
      case 'nothing':
        return;
      case 'refuse':
        if (refused.get(claim.metadata.uid) === plan.message) return;
        refused.set(claim.metadata.uid, plan.message);
        events.event(claim, 'Warning', 'ProvisioningFailed', plan.message);
        return;
      case 'provision':
        return provision(claim, plan);
      case 'grow':
        return grow(claim, plan);
    }
  }

  async function provision(claim: PersistentVolumeClaim, { nodeName, directory, storageClass }: ClaimPlan & { do: 'provision' }): Promise<void> {
    const path = directories.pathOf(directory);
    events.event(claim, 'Normal', 'Provisioning', `External provisioner is provisioning volume for claim "${keyOf(claim)}"`);
    try {
      await directories.make(path);
      await client.resource(PersistentVolume).create(newVolume(claim, storageClass, path, nodeName));
    } catch (error) {
      if (isReason(error, 'AlreadyExists')) {
        // By this node before its cache showed it, or by another: then nothing was written here.
        const made = await client.resource(PersistentVolume).get(volumeNameOf(claim));
        if (planVolume(made, serves).do === 'nothing' && made.spec.local?.path !== path) await directories.removeIfEmpty(path);
        return;
      }
      const why = `failed to provision volume with StorageClass "${storageClass.metadata.name}": ${messageOf(error)}`;
      events.event(claim, 'Warning', 'ProvisioningFailed', why);
      throw error;
    }
    events.event(claim, 'Normal', 'ProvisioningSucceeded', `Successfully provisioned volume ${volumeNameOf(claim)}`);
  }

  /** The volume first: whoever comes after a crash between the writes finds the way on. */
  async function grow(claim: PersistentVolumeClaim, { volume, size }: ClaimPlan & { do: 'grow' }): Promise<void> {
    const { name } = volume.metadata;
    if (volume.spec.capacity?.['storage'] !== size) {
      events.event(claim, 'Normal', 'Resizing', `External resizer is resizing volume ${name}`);
      await client.resource(PersistentVolume).patch(name, { spec: { capacity: { storage: size } } });
    }
    const conditions = claim.status.conditions?.filter(({ type }) => type !== 'Resizing' && type !== 'FileSystemResizePending');
    const status = { capacity: { storage: size }, allocatedResources: { storage: size }, allocatedResourceStatuses: null };
    await client
      .resource(PersistentVolumeClaim)
      .namespace(claim.metadata.namespace)
      .patch(claim.metadata.name, { status: { ...status, ...(conditions && { conditions }) } }, { type: 'merge', subresource: 'status' });
    events.event(claim, 'Normal', 'VolumeResizeSuccessful', 'Resize volume succeeded');
  }

  async function syncVolume(name: string): Promise<void> {
    const volume = volumes.get(name);
    if (!volume) return;
    const plan = planVolume(volume, serves);
    if (plan.do === 'nothing') return;
    const resource = client.resource(PersistentVolume);
    if (plan.do === 'delete') {
      // Asked of the server itself: the cache may be behind, and data that is gone is gone.
      const live = await resource.get(name);
      if (live.metadata.uid !== volume.metadata.uid || planVolume(live, serves).do !== 'delete') return;
      try {
        await directories.remove(plan.path);
      } catch (error) {
        events.event(volume, 'Warning', 'VolumeFailedDelete', messageOf(error));
        throw error;
      }
      if (live.metadata.deletionTimestamp === undefined) await resource.delete(name, { preconditions: { uid: live.metadata.uid } });
    }
    const { metadata } = await resource.get(name);
    const finalizers = metadata.finalizers?.filter((finalizer) => finalizer !== volumeFinalizer) ?? [];
    await resource.patch(name, { metadata: { finalizers, resourceVersion: metadata.resourceVersion } }, { type: 'merge' });
  }

  async function work(key: string): Promise<void> {
    const [kind = '', first = '', second = ''] = key.split('/');
    try {
      await (kind === 'claim' ? syncClaim(first, second) : syncVolume(first));
      queue.forget(key);
    } catch (error) {
      // Gone meanwhile: nothing is left to do.
      if (isReason(error, 'NotFound')) return queue.forget(key);
      log.warn('provisioning is to be tried again', { key, error: messageOf(error) });
      queue.addRateLimited(key);
    }
  }

  /** What is empty, and was made for a claim that is no more. */
  async function sweep(): Promise<void> {
    const isReady = await Promise.race([synced.then(() => true), closed.promise.then(() => false)]);
    if (!isReady) return;
    try {
      const orphans = orphanedDirectories(await directories.list(), claims.list(), volumes.list());
      for (const name of orphans) await directories.removeIfEmpty(directories.pathOf(name));
    } catch (error) {
      log.warn('directories of nobody could not be removed', { error: messageOf(error) });
    }
  }

  async function run(): Promise<void> {
    await Promise.race([synced, closed.promise]);
    for (let key = await queue.get(); key !== undefined; key = await queue.get()) {
      await work(key);
      queue.done(key);
    }
  }

  const wakeClaim = (claim: PersistentVolumeClaim): void => queue.add(`claim/${keyOf(claim)}`);
  const wakePending = (): void => {
    for (const claim of claims.list()) if (!claim.spec.volumeName) wakeClaim(claim);
  };
  const wakeVolume = ({ metadata }: PersistentVolume): void => queue.add(`volume/${metadata.name}`);
  const unsubscribe = [
    claims.subscribe({ added: wakeClaim, updated: wakeClaim, deleted: ({ metadata }) => void refused.delete(metadata.uid) }),
    volumes.subscribe({ added: wakeVolume, updated: wakeVolume }),
    classes.subscribe({ added: wakePending }),
    nodes.subscribe({ added: wakePending }),
  ];
  const workers = [run(), run(), sweep()];

  return {
    async close() {
      for (const stop of unsubscribe) stop();
      queue.close();
      // Caches that never filled are not waited for.
      closed.resolve();
      await Promise.all(workers);
      events.close();
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
