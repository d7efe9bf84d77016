/**
 * Brings claims and volumes together: binds, asks provisioners for what is not there, says why a claim waits, and releases and reclaims volumes whose
 * claim is gone. Upstream's `pkg/controller/volume/persistentvolume`.
 */
import { PersistentVolume, PersistentVolumeClaim, Pod, StorageClass } from '../../api/kinds.ts';
import { timestamp } from '../../world/world.ts';
import type { ControllerDefinition, Outcome } from '../controller.ts';
import { ignoreGone, messageOf } from '../errors.ts';
import { hasEnded, sharedIndex } from '../pods.ts';
import { type ClaimPlan, type PlannedEvent, planClaim, usesClaim } from './claim-plan.ts';
import { boundClaim, withBoundStatus, withoutVolume } from './claim-status.ts';
import { answers, claimKey, claimRefKey, namesClass } from './match.ts';
import { betaStorageProvisioner, migratedTo, storageProvisioner } from './names.ts';
import { boundVolume, planReclaim, planVolume, unboundVolume } from './volume-plan.ts';

const freeIndex = 'volumes without a claim';
const reservedIndex = 'volumes by claim';
const unboundIndex = 'claims without a volume';
const namedIndex = 'claims by volume';
export const usersIndex = 'storage/pods by claim';

/** How long a volume that could not be removed is left alone before the next try. */
const retryFailedMs = 60_000;
/** How long until a volume that is to be recycled and still used is looked at again. */
const retryUsedMs = 15_000;

export const persistentVolumeController: ControllerDefinition = {
  name: 'persistentvolume-binder-controller',
  serviceAccount: 'persistent-volume-binder',
  eventSource: 'persistentvolume-controller',
  setup(context) {
    const { client, events, world } = context;
    /** By the volume's name, the claim it was just given to: the caches show it a moment later, and another claim must not take it meanwhile. */
    const promised = new Map<string, string>();
    const wakeClaim = (key: string): void => context.enqueue(`claim/${key}`);
    const wakeVolume = (name: string): void => context.enqueue(`volume/${name}`);

    /** Who waits for a volume may take it. */
    function offer(volume: PersistentVolume): void {
      for (const claim of claims.byIndex(unboundIndex, '')) if (answers(volume, claim)) wakeClaim(claimKey(claim));
    }
    function takeBack(name: string): void {
      promised.delete(name);
      const volume = volumes.get(name);
      if (volume) offer(volume);
    }
    /** What was promised to a claim that has another by now, or is gone, is for others. */
    function takeBackFrom({ metadata }: PersistentVolumeClaim, keeps?: string): void {
      for (const [name, uid] of promised) if (uid === metadata.uid && name !== keeps) takeBack(name);
    }

    function claimChanged(claim: PersistentVolumeClaim): void {
      const key = claimKey(claim);
      if (claim.spec.volumeName) takeBackFrom(claim, claim.spec.volumeName);
      wakeClaim(key);
      if (claim.spec.volumeName) wakeVolume(claim.spec.volumeName);
      for (const volume of volumes.byIndex(reservedIndex, key)) wakeVolume(volume.metadata.name);
    }
    function volumeChanged(volume: PersistentVolume): void {
      const { name } = volume.metadata;
      const key = claimRefKey(volume);
      if (key !== undefined) promised.delete(name);
      wakeVolume(name);
      if (key !== undefined) wakeClaim(key);
      for (const claim of claims.byIndex(namedIndex, name)) wakeClaim(claimKey(claim));
      if (key === undefined) offer(volume);
    }
    function classChanged({ metadata }: StorageClass): void {
      for (const claim of claims.byIndex(unboundIndex, '')) {
        if (!namesClass(claim) || claim.spec.storageClassName === metadata.name) wakeClaim(claimKey(claim));
      }
    }

    const claims = context.watch(PersistentVolumeClaim);
    sharedIndex(claims, unboundIndex, ({ spec }) => (spec.volumeName ? [] : ['']));
    sharedIndex(claims, namedIndex, ({ spec }) => (spec.volumeName ? [spec.volumeName] : []));
    const volumes = context.watch(PersistentVolume);
    sharedIndex(volumes, freeIndex, ({ spec }) => (spec.claimRef === undefined ? [''] : []));
    sharedIndex(volumes, reservedIndex, (volume) => [claimRefKey(volume) ?? []].flat());
    const pods = context.watch(Pod, {
      // Its name is told to whoever asks what the claim waits for.
      added(pod) {
        if (pod.spec.nodeName) return;
        for (const key of usesClaim(pod)) if (claims.byIndex(unboundIndex, '').length > 0) wakeClaim(key);
      },
    });
    sharedIndex(pods, usersIndex, usesClaim);
    const classes = context.watch(StorageClass);
    context.watch(PersistentVolumeClaim, {
      added: claimChanged,
      updated: claimChanged,
      deleted(claim) {
        takeBackFrom(claim);
        claimChanged(claim);
      },
    });
    context.watch(PersistentVolume, {
      added: volumeChanged,
      updated: volumeChanged,
      deleted(volume) {
        promised.delete(volume.metadata.name);
        volumeChanged(volume);
      },
    });
    context.watch(StorageClass, { added: classChanged, updated: classChanged });

    // ---- claims

    function lookAt(claim: PersistentVolumeClaim): ClaimPlan {
      const key = claimKey(claim);
      const { uid } = claim.metadata;
      const free = volumes.byIndex(freeIndex, '').filter(({ metadata }) => (promised.get(metadata.name) ?? uid) === uid);
      const own = free.filter(({ metadata }) => promised.get(metadata.name) === uid);
      return planClaim(claim, {
        volume: (name) => volumes.get(name),
        candidates: [...volumes.byIndex(reservedIndex, key), ...(own.length > 0 ? own : free)],
        storageClass: (name) => classes.get(name),
        storageClasses: classes.list(),
        waitingPods: pods
          .byIndex(usersIndex, key)
          .filter(({ spec }) => !spec.nodeName)
          .map(({ metadata }) => metadata.name)
          .sort(),
      });
    }

    async function syncClaim(claim: PersistentVolumeClaim): Promise<void> {
      const plan = lookAt(claim);
      const resource = client.resource(PersistentVolumeClaim).namespace(claim.metadata.namespace);
      switch (plan.do) {
        case 'bind':
          return bind(plan.volume, claim);
        case 'assign-class':
          await resource.update({ ...claim, spec: { ...claim.spec, storageClassName: plan.className } });
          return undefined;
        case 'provision':
          return provision(claim, plan);
        case 'wait':
          if (plan.event) tell(claim, plan.event);
          return writeClaimStatus(claim, withoutVolume(claim, 'Pending'));
        case 'lose':
          await writeClaimStatus(claim, withoutVolume(claim, 'Lost'));
          if (claim.status.phase !== 'Lost') tell(claim, plan.event);
          return undefined;
      }
    }

    /** Both sides, the volume first: whoever comes after a crash between the writes finds the way on. */
    async function bind(found: PersistentVolume, unbound: PersistentVolumeClaim): Promise<void> {
      const { name } = found.metadata;
      let volume = boundVolume(found, unbound);
      if (volume !== found) {
        const known = promised.has(name);
        promised.set(name, unbound.metadata.uid);
        try {
          volume = await client.resource(PersistentVolume).update(volume);
        } catch (error) {
          // What was promised before is still so: only the cache is behind.
          if (!known) takeBack(name);
          throw error;
        }
      }
      await writePhase(volume, 'Bound');
      const resource = client.resource(PersistentVolumeClaim).namespace(unbound.metadata.namespace);
      let claim = boundClaim(unbound, volume);
      if (claim !== unbound) claim = await resource.update(claim);
      await writeClaimStatus(claim, withBoundStatus(claim, volume));
    }

    /** Whoever provisions for the class is told by the annotations, and makes a volume that is set aside for the claim. */
    async function provision(claim: PersistentVolumeClaim, plan: ClaimPlan & { readonly do: 'provision' }): Promise<void> {
      const { annotations = {} } = claim.metadata;
      const wanted = {
        ...annotations,
        [betaStorageProvisioner]: plan.provisioner,
        [storageProvisioner]: plan.provisioner,
        ...(plan.migrated && { [migratedTo]: plan.driver }),
      };
      if (Object.entries(wanted).some(([name, value]) => annotations[name] !== value)) {
        const resource = client.resource(PersistentVolumeClaim).namespace(claim.metadata.namespace);
        await resource.update({ ...claim, metadata: { ...claim.metadata, annotations: wanted } });
      }
      const message =
        `Waiting for a volume to be created either by the external provisioner '${plan.driver}' or manually by the system administrator. ` +
        'If volume creation is delayed, please verify that the provisioner is running and correctly registered.';
      events.event(claim, 'Normal', 'ExternalProvisioning', message);
    }

    async function writeClaimStatus(claim: PersistentVolumeClaim, next: PersistentVolumeClaim): Promise<void> {
      if (next !== claim) await client.resource(PersistentVolumeClaim).namespace(claim.metadata.namespace).updateStatus(next);
    }

    // ---- volumes

    async function syncVolume(volume: PersistentVolume): Promise<Outcome> {
      const claim = await claimOf(volume);
      const plan = planVolume(volume, claim);
      switch (plan.do) {
        case 'phase':
          await writePhase(volume, plan.phase);
          return undefined;
        case 'wake-claim':
          if (claim) wakeClaim(claimKey(claim));
          return undefined;
        case 'mismatch':
          if (claim) tellMismatch(volume, claim);
          return undefined;
        case 'unbind':
          await writePhase(await client.resource(PersistentVolume).update(unboundVolume(volume)), 'Available');
          return undefined;
        case 'reclaim':
          return reclaim(volume);
      }
    }

    /** The claim the volume is set aside for. One that the cache does not show is asked for: a volume whose claim lives must not be given away. */
    async function claimOf(volume: PersistentVolume): Promise<PersistentVolumeClaim | undefined> {
      const { claimRef } = volume.spec;
      if (!claimRef?.uid || claimRef.name === undefined || claimRef.namespace === undefined) return undefined;
      const cached = claims.get(claimRef.name, claimRef.namespace);
      if (cached?.metadata.uid === claimRef.uid) return cached;
      if (!cached && (volume.status.phase === 'Released' || volume.status.phase === 'Failed')) return undefined;
      const resource = client.resource(PersistentVolumeClaim).namespace(claimRef.namespace);
      const live = await resource.get(claimRef.name).catch(ignoreGone);
      return live?.metadata.uid === claimRef.uid ? live : undefined;
    }

    async function reclaim(volume: PersistentVolume): Promise<Outcome> {
      const failed = volume.status.phase === 'Failed';
      const released = failed ? volume : await writePhase(volume, 'Released');
      const plan = planReclaim(released);
      switch (plan.do) {
        case 'keep':
        case 'leave-to-provisioner':
          return undefined;
        case 'fail':
          await fail(released, plan);
          return undefined;
        case 'recycle':
          return recycle(released, plan.path);
        case 'remove':
          break;
      }
      if (!(await isStillThere(released))) return undefined;
      try {
        await context.options.removePath?.(plan.path);
      } catch (error) {
        await fail(released, { reason: 'VolumeFailedDelete', message: messageOf(error) });
        return { requeueAfterMs: retryFailedMs };
      }
      const { name, uid } = released.metadata;
      await client.resource(PersistentVolume).delete(name, { preconditions: { uid } }).catch(ignoreGone);
      return undefined;
    }

    /** Asked of the server itself: the place of what is being deleted others may use by now. */
    async function isStillThere({ metadata: { name, uid } }: PersistentVolume): Promise<boolean> {
      const live = await client.resource(PersistentVolume).get(name).catch(ignoreGone);
      return live?.metadata.uid === uid && live.metadata.deletionTimestamp === undefined;
    }

    async function recycle(volume: PersistentVolume, path: string): Promise<Outcome> {
      const users = pods.byIndex(usersIndex, claimRefKey(volume) ?? '').filter((pod) => !hasEnded(pod));
      if (users.length > 0) {
        const names = users.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).sort();
        events.event(volume, 'Normal', 'VolumeFailedRecycle', `Volume is used by pods: ${names.join(',')}`);
        return { requeueAfterMs: retryUsedMs };
      }
      if (!(await isStillThere(volume))) return undefined;
      try {
        await context.options.emptyPath?.(path);
      } catch (error) {
        await fail(volume, { reason: 'VolumeFailedRecycle', message: `Recycle failed: ${messageOf(error)}` });
        return { requeueAfterMs: retryFailedMs };
      }
      events.event(volume, 'Normal', 'VolumeRecycled', 'Volume recycled');
      await writePhase(await client.resource(PersistentVolume).update(unboundVolume(volume)), 'Available');
      return undefined;
    }

    async function fail(volume: PersistentVolume, { reason, message }: { readonly reason: string; readonly message: string }): Promise<void> {
      await writePhase(volume, 'Failed', message);
      if (volume.status.phase !== 'Failed') events.event(volume, 'Warning', reason, message);
    }

    async function writePhase(volume: PersistentVolume, phase: string, message = ''): Promise<PersistentVolume> {
      const { message: before = '', ...rest } = volume.status;
      if (rest.phase === phase && before === message) return volume;
      const lastPhaseTransitionTime = rest.phase === phase ? rest.lastPhaseTransitionTime : timestamp(world.clock.now());
      const status = {
        ...rest,
        phase,
        ...(lastPhaseTransitionTime !== undefined && { lastPhaseTransitionTime }),
        ...(message !== '' && { message }),
      };
      return client.resource(PersistentVolume).updateStatus({ ...volume, status });
    }

    // ---- events

    function tell(claim: PersistentVolumeClaim, { type, reason, message }: PlannedEvent): void {
      events.event(claim, type, reason, message);
    }

    function tellMismatch(volume: PersistentVolume, claim: PersistentVolumeClaim): void {
      const { name } = claim.metadata;
      const because = 'due to incompatible volumeMode.';
      events.event(volume, 'Warning', 'VolumeMismatch', `Cannot bind PersistentVolume to requested PersistentVolumeClaim "${name}" ${because}`);
      const what = `PersistentVolume "${volume.metadata.name}" to requested PersistentVolumeClaim "${name}"`;
      events.event(claim, 'Warning', 'VolumeMismatch', `Cannot bind ${what} ${because}`);
    }

    return {
      async reconcile(key) {
        const slash = key.indexOf('/');
        const [side, rest] = [key.slice(0, slash), key.slice(slash + 1)];
        if (side === 'volume') {
          const volume = volumes.get(rest);
          return volume && syncVolume(volume);
        }
        const [namespace, name = ''] = rest.split('/');
        const claim = claims.get(name, namespace);
        if (claim) await syncClaim(claim);
        return undefined;
      },
    };
  },
};
