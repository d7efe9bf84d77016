/**
 * The kinds that what runs on a node deals with. The parts of the node agent take them from here rather than from `kinds.ts`: the others, and the CEL that some
 * of them are judged by, are a tenth of the agent's memory. `npm run ok` sees to it (`tools/check/layers.ts`).
 */
export { SubjectAccessReview } from './kinds/access-reviews.ts';
export { TokenReview } from './kinds/authentication-reviews.ts';
export { CertificateSigningRequest } from './kinds/certificate-signing-request.ts';
export { ConfigMap } from './kinds/config-map.ts';
export { CSIDriver, CSINode } from './kinds/csi.ts';
export { EndpointSlice } from './kinds/endpoint-slice.ts';
export { Event } from './kinds/event.ts';
export { Ingress } from './kinds/ingress.ts';
export { IngressClass } from './kinds/ingress-class.ts';
export { Lease } from './kinds/lease.ts';
export { Namespace } from './kinds/namespace.ts';
export { NetworkPolicy } from './kinds/network-policy.ts';
export { Node } from './kinds/node.ts';
export { PersistentVolume } from './kinds/persistent-volume.ts';
export { PersistentVolumeClaim } from './kinds/persistent-volume-claim.ts';
export { Pod } from './kinds/pod.ts';
export { RuntimeClass } from './kinds/runtime-class.ts';
export { Secret } from './kinds/secret.ts';
export { Service } from './kinds/service.ts';
export { ServiceAccount } from './kinds/service-account.ts';
export { StorageClass } from './kinds/storage-class.ts';
export { VolumeAttachment } from './kinds/volume-attachment.ts';
