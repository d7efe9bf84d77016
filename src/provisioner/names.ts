/** The names by which claims, volumes and provisioners find each other, as external provisioners use them. */

/** Who provisions for the class `standard`. */
export const provisionerName = 'k8ts.io/host-path';
/** On a claim: who is to make a volume for it. */
export const storageProvisioner = 'volume.kubernetes.io/storage-provisioner';
/** On a claim: the node the scheduler chose for the first pod that uses it. */
export const selectedNode = 'volume.kubernetes.io/selected-node';
/** On a volume: who made it. */
export const provisionedBy = 'pv.kubernetes.io/provisioned-by';
/** On a volume that is to be deleted with its claim: its directory goes first. */
export const volumeFinalizer = 'external-provisioner.volume.kubernetes.io/finalizer';
/** The node a volume can be reached from. */
export const hostnameLabel = 'kubernetes.io/hostname';
