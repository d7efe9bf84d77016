/** A volume behind a PersistentVolumeClaim: the claim must be bound, the volume reachable from this node, and of a kind that is known here. */
import { PersistentVolume, PersistentVolumeClaim } from '../../api/node-kinds.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import { matchesTerm } from '../../machinery/node-selector.ts';
import { persistentCsiVolume } from './csi/csi-volume.ts';
import { giveToGroup } from './fs-group.ts';
import { makeHostPath } from './host-path.ts';
import { makeLocal } from './local.ts';
import { madeAt, type MadeVolume, type VolumeSetting } from './made-volume.ts';
import { makeNfs } from './nfs.ts';
import { VolumeError } from './volume-error.ts';

/** The scheduler saw the claim bound; its status may be written a moment later. */
const bindingPatienceMs = 5000;
const bindingLookMs = 50;

export async function makeClaimed(setting: VolumeSetting, claimName: string, readOnly: boolean): Promise<MadeVolume> {
  const claim = await boundClaim(setting, claimName);
  const volume = await setting.client.resource(PersistentVolume).get(claim.spec.volumeName ?? '');
  checkReach(setting, volume);
  const made = await makePersistent(setting, volume, readOnly);
  await growOnNode(setting, claim, volume);
  return made;
}

async function boundClaim({ client, world, pod, signal }: VolumeSetting, name: string): Promise<PersistentVolumeClaim> {
  const { namespace } = pod.metadata;
  const claims = client.resource(PersistentVolumeClaim).namespace(namespace);
  const untilMs = world.clock.now() + bindingPatienceMs;
  for (;;) {
    const claim = await claims.get(name);
    if (claim.status.phase === 'Bound' && claim.spec.volumeName) return claim;
    if (claim.status.phase === 'Lost' || world.clock.now() >= untilMs) throw new VolumeError('SetUp', `PVC ${namespace}/${name} is not bound`);
    await world.clock.sleep(bindingLookMs, signal);
  }
}

function checkReach({ node }: VolumeSetting, { metadata, spec }: PersistentVolume): void {
  const here = node();
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms;
  if (!here || !terms || terms.some((term) => matchesTerm(term, here))) return;
  throw new VolumeError('NodeAffinity check', `no matching NodeSelectorTerms of persistent volume "${metadata.name}"`);
}

async function makePersistent(setting: VolumeSetting, volume: PersistentVolume, readOnly: boolean): Promise<MadeVolume> {
  const { metadata, spec } = volume;
  if (spec.hostPath) {
    if (spec.volumeMode === 'Block') throw new VolumeError('MapVolume.SetUpDevice', 'hostPath volumes have no volumeMode Block: local volumes do');
    return { ...(await makeHostPath(setting.disk, spec.hostPath)), readonly: readOnly };
  }
  if (spec.local) return makeLocal(setting, volume, readOnly);
  if (spec.nfs) return makeNfs(setting, metadata.name, { ...spec.nfs, readOnly: readOnly || spec.nfs.readOnly === true }, spec.mountOptions ?? []);
  const csi = persistentCsiVolume(volume, readOnly);
  if (csi) {
    const { pod, directories, token, signal } = setting;
    const { path, owned } = await setting.csi.publish({ pod, directories, volume: csi, token, signal });
    if (owned) await giveToGroup(setting, path);
    return madeAt(path, { readonly: csi.readOnly, block: csi.block });
  }
  throw new VolumeError('SetUp', `no volume plugin matched the persistent volume ${metadata.name}`);
}

/** After the driver's controller has grown the volume, its file system grows here; then the claim has what it asked for. */
export async function growOnNode(setting: VolumeSetting, claim: PersistentVolumeClaim, volume: PersistentVolume): Promise<void> {
  const csi = persistentCsiVolume(volume, false);
  const size = parseQuantity(volume.spec.capacity?.['storage'] ?? '0');
  if (!csi || csi.ephemeral || size.compare(parseQuantity(claim.status.capacity?.['storage'] ?? '0')) <= 0) return;
  if (!(await setting.csi.expand(csi, setting.directories, size.toNumber()))) return;
  const conditions = claim.status.conditions?.filter(({ type }) => type !== 'Resizing' && type !== 'FileSystemResizePending');
  await setting.client
    .resource(PersistentVolumeClaim)
    .namespace(claim.metadata.namespace)
    .patch(
      claim.metadata.name,
      { status: { capacity: { storage: volume.spec.capacity?.['storage'] }, allocatedResourceStatuses: null, conditions: conditions ?? null } },
      { type: 'merge', subresource: 'status' },
    );
}
