/** Every controller there is. One that is not in this list does not run. */
import { attachDetachController } from './attach-detach/attach-detach.ts';
import { tokenCleaner } from './bootstrap-tokens/cleaner.ts';
import { bootstrapSigner } from './bootstrap-tokens/signer.ts';
import { certificateApprovingController } from './certificates/approving.ts';
import { certificateCleaner } from './certificates/cleaning.ts';
import { certificateSigningController } from './certificates/signing.ts';
import { admissionPolicyStatusController } from './admission-policy-status.ts';
import { clusterRoleAggregationController } from './cluster-role-aggregation.ts';
import type { ControllerDefinition } from './controller.ts';
import { cronJobController } from './cron-job/cron-job.ts';
import { daemonSetController } from './daemon-set/daemon-set.ts';
import { deploymentController } from './deployment/deployment.ts';
import { deviceTaintEvictionController } from './device-taints/device-taint-eviction.ts';
import { disruptionController } from './disruption/disruption.ts';
import { endpointSliceController } from './endpoints/endpoint-slices.ts';
import { endpointsController } from './endpoints/endpoints.ts';
import { endpointSliceMirroringController } from './endpoints/mirroring.ts';
import { ephemeralVolumeController } from './ephemeral-volumes.ts';
import { garbageCollector } from './garbage-collector/garbage-collector.ts';
import { horizontalPodAutoscalerController } from './horizontal-pod-autoscaler/horizontal-pod-autoscaler.ts';
import { jobController } from './job/job.ts';
import { loadBalancerController } from './load-balancer/load-balancer.ts';
import { namespaceController } from './namespace.ts';
import { nodeIpamController } from './node-ipam/node-ipam.ts';
import { nodeLifecycleController } from './node-lifecycle/node-lifecycle.ts';
import { taintEvictionController } from './node-lifecycle/taint-eviction.ts';
import { persistentVolumeController } from './persistent-volumes/persistent-volumes.ts';
import { nodeTtlController } from './node-ttl.ts';
import { podGarbageCollector } from './pod-gc.ts';
import { replicaSetController } from './replica-set/replica-set.ts';
import { replicationController } from './replica-set/replication-controller.ts';
import { resourceClaimController } from './resource-claim/resource-claim.ts';
import { resourceQuotaController } from './resource-quota/resource-quota.ts';
import { rootCaPublisher } from './root-ca-publisher.ts';
import { legacyTokenCleaner } from './service-account-tokens/legacy-token-cleaner.ts';
import { serviceAccountTokenController } from './service-account-tokens/service-account-tokens.ts';
import { serviceAccountController } from './service-account.ts';
import { serviceCidrsController } from './service-cidrs/service-cidrs.ts';
import { statefulSetController } from './stateful-set/stateful-set.ts';
import { ttlAfterFinishedController } from './ttl-after-finished.ts';
import { attributesClassProtectionController } from './storage-protection/attributes-class-protection.ts';
import { claimProtectionController } from './storage-protection/claim-protection.ts';
import { volumeProtectionController } from './storage-protection/volume-protection.ts';
import { volumeExpansionController } from './volume-expansion/volume-expansion.ts';

export const allControllers: readonly ControllerDefinition[] = [
  serviceAccountController,
  serviceAccountTokenController,
  legacyTokenCleaner,
  rootCaPublisher,
  nodeIpamController,
  nodeLifecycleController,
  taintEvictionController,
  deviceTaintEvictionController,
  nodeTtlController,
  endpointsController,
  endpointSliceController,
  endpointSliceMirroringController,
  replicaSetController,
  replicationController,
  deploymentController,
  daemonSetController,
  statefulSetController,
  jobController,
  cronJobController,
  ttlAfterFinishedController,
  loadBalancerController,
  serviceCidrsController,
  disruptionController,
  horizontalPodAutoscalerController,
  namespaceController,
  podGarbageCollector,
  clusterRoleAggregationController,
  admissionPolicyStatusController,
  certificateApprovingController,
  certificateSigningController,
  certificateCleaner,
  bootstrapSigner,
  tokenCleaner,
  resourceQuotaController,
  resourceClaimController,
  persistentVolumeController,
  attachDetachController,
  volumeExpansionController,
  ephemeralVolumeController,
  claimProtectionController,
  volumeProtectionController,
  attributesClassProtectionController,
  garbageCollector,
];
