/** The annotations and finalizers by which the volume controller, the scheduler and external provisioners talk to each other. */

/** On a claim: it was bound, and is lost when its volume goes. */
export const bindCompleted = 'pv.kubernetes.io/bind-completed';
/** On a claim or a volume: the controller chose the other side, not the user; so it may be undone. */
export const boundByController = 'pv.kubernetes.io/bound-by-controller';
/** On a volume: who made it for a claim. */
export const provisionedBy = 'pv.kubernetes.io/provisioned-by';
/** On a claim: who is to make a volume for it. */
export const storageProvisioner = 'volume.kubernetes.io/storage-provisioner';
export const betaStorageProvisioner = 'volume.beta.kubernetes.io/storage-provisioner';
/** On a claim: the node the scheduler chose for the first pod that uses it. */
export const selectedNode = 'volume.kubernetes.io/selected-node';
/** On a claim or a volume: which driver does the work of a former built-in volume type. */
export const migratedTo = 'pv.kubernetes.io/migrated-to';
/** On a volume: its size before an expansion that is not finished. */
export const preResizeCapacity = 'volume.alpha.kubernetes.io/pre-resize-capacity';
export const betaStorageClass = 'volume.beta.kubernetes.io/storage-class';

const noProvisioner = 'kubernetes.io/no-provisioner';

/** Volume types that were built in and are drivers of their own by now. */
const drivers: Readonly<Record<string, string>> = {
  'kubernetes.io/aws-ebs': 'ebs.csi.aws.com',
  'kubernetes.io/azure-disk': 'disk.csi.azure.com',
  'kubernetes.io/azure-file': 'file.csi.azure.com',
  'kubernetes.io/cinder': 'cinder.csi.openstack.org',
  'kubernetes.io/gce-pd': 'pd.csi.storage.gke.io',
  'kubernetes.io/portworx-volume': 'pxd.portworx.com',
  'kubernetes.io/vsphere-volume': 'csi.vsphere.vmware.com',
};

/** Who makes volumes for a class; `driver` is who really does it. Undefined when nobody can: nothing is built in. */
export function provisionerOf(provisioner: string): { readonly driver: string; readonly migrated: boolean } | undefined {
  const driver = drivers[provisioner];
  if (driver !== undefined) return { driver, migrated: true };
  if (provisioner === noProvisioner || provisioner.startsWith('kubernetes.io/')) return undefined;
  return { driver: provisioner, migrated: false };
}
