/**
 * Every kind the server knows: one name for both the declaration and the type (`Pod` as a value says what the API does with pods, as a type what a pod
 * holds). In discovery's order: core, then groups as upstream lists them.
 */
import type { Kind } from './kind.ts';
import { LocalSubjectAccessReview, SelfSubjectAccessReview, SelfSubjectRulesReview, SubjectAccessReview } from './kinds/access-reviews.ts';
import {
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
} from './kinds/admission-policies.ts';
import { APIService } from './kinds/api-service.ts';
import { SelfSubjectReview, TokenReview } from './kinds/authentication-reviews.ts';
import { Binding } from './kinds/binding.ts';
import { CertificateSigningRequest } from './kinds/certificate-signing-request.ts';
import { ComponentStatus } from './kinds/component-status.ts';
import { ConfigMap } from './kinds/config-map.ts';
import { ControllerRevision } from './kinds/controller-revision.ts';
import { CronJob } from './kinds/cron-job.ts';
import { CSIDriver, CSINode, CSIStorageCapacity } from './kinds/csi.ts';
import { CustomResourceDefinition } from './kinds/custom-resource-definition.ts';
import { DaemonSet } from './kinds/daemon-set.ts';
import { Deployment } from './kinds/deployment.ts';
import { DeviceClass, ResourceClaim, ResourceClaimTemplate, ResourceSlice } from './kinds/dynamic-resources.ts';
import { EndpointSlice } from './kinds/endpoint-slice.ts';
import { Endpoints } from './kinds/endpoints.ts';
import { Event } from './kinds/event.ts';
import { EventsV1Event } from './kinds/events-v1-event.ts';
import { FlowSchema, PriorityLevelConfiguration } from './kinds/flow-control.ts';
import { HorizontalPodAutoscaler } from './kinds/horizontal-pod-autoscaler.ts';
import { HorizontalPodAutoscalerV1 } from './kinds/horizontal-pod-autoscaler-v1.ts';
import { Ingress } from './kinds/ingress.ts';
import { IngressClass } from './kinds/ingress-class.ts';
import { IPAddress } from './kinds/ip-address.ts';
import { Job } from './kinds/job.ts';
import { Lease } from './kinds/lease.ts';
import { LimitRange } from './kinds/limit-range.ts';
import { Namespace } from './kinds/namespace.ts';
import { NetworkPolicy } from './kinds/network-policy.ts';
import { Node } from './kinds/node.ts';
import { PersistentVolume } from './kinds/persistent-volume.ts';
import { PersistentVolumeClaim } from './kinds/persistent-volume-claim.ts';
import { Pod } from './kinds/pod.ts';
import { PodDisruptionBudget } from './kinds/pod-disruption-budget.ts';
import { PodTemplate } from './kinds/pod-template.ts';
import { PriorityClass } from './kinds/priority-class.ts';
import { ClusterRole, ClusterRoleBinding, Role, RoleBinding } from './kinds/rbac.ts';
import { ReplicaSet } from './kinds/replica-set.ts';
import { ReplicationController } from './kinds/replication-controller.ts';
import { ResourceQuota } from './kinds/resource-quota.ts';
import { RuntimeClass } from './kinds/runtime-class.ts';
import { Secret } from './kinds/secret.ts';
import { Service } from './kinds/service.ts';
import { ServiceAccount } from './kinds/service-account.ts';
import { ServiceCIDR } from './kinds/service-cidr.ts';
import { StatefulSet } from './kinds/stateful-set.ts';
import { StorageClass } from './kinds/storage-class.ts';
import { VolumeAttachment } from './kinds/volume-attachment.ts';
import { VolumeAttributesClass } from './kinds/volume-attributes-class.ts';
import { MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from './kinds/webhook-configurations.ts';

export {
  APIService,
  Binding,
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  CertificateSigningRequest,
  ClusterRole,
  ClusterRoleBinding,
  ComponentStatus,
  ConfigMap,
  ControllerRevision,
  CronJob,
  CustomResourceDefinition,
  DaemonSet,
  Deployment,
  DeviceClass,
  EndpointSlice,
  Endpoints,
  Event,
  EventsV1Event,
  FlowSchema,
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerV1,
  IPAddress,
  Ingress,
  IngressClass,
  Job,
  Lease,
  LimitRange,
  LocalSubjectAccessReview,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  MutatingWebhookConfiguration,
  Namespace,
  NetworkPolicy,
  Node,
  PersistentVolume,
  PersistentVolumeClaim,
  Pod,
  PodDisruptionBudget,
  PodTemplate,
  PriorityClass,
  PriorityLevelConfiguration,
  ReplicaSet,
  ReplicationController,
  ResourceClaim,
  ResourceClaimTemplate,
  ResourceQuota,
  ResourceSlice,
  Role,
  RoleBinding,
  RuntimeClass,
  Secret,
  SelfSubjectAccessReview,
  SelfSubjectReview,
  SelfSubjectRulesReview,
  Service,
  ServiceAccount,
  ServiceCIDR,
  StatefulSet,
  StorageClass,
  SubjectAccessReview,
  TokenReview,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
  VolumeAttachment,
  VolumeAttributesClass,
};

export const allKinds: readonly Kind[] = [
  Binding,
  ComponentStatus,
  ConfigMap,
  Endpoints,
  Event,
  LimitRange,
  Namespace,
  Node,
  PersistentVolumeClaim,
  PersistentVolume,
  Pod,
  PodTemplate,
  ReplicationController,
  ResourceQuota,
  Secret,
  ServiceAccount,
  Service,
  APIService,
  ControllerRevision,
  DaemonSet,
  Deployment,
  ReplicaSet,
  StatefulSet,
  EventsV1Event,
  SelfSubjectReview,
  TokenReview,
  LocalSubjectAccessReview,
  SelfSubjectAccessReview,
  SelfSubjectRulesReview,
  SubjectAccessReview,
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerV1,
  CronJob,
  Job,
  CertificateSigningRequest,
  Ingress,
  IngressClass,
  IPAddress,
  NetworkPolicy,
  ServiceCIDR,
  PodDisruptionBudget,
  ClusterRole,
  ClusterRoleBinding,
  Role,
  RoleBinding,
  CSIDriver,
  CSINode,
  CSIStorageCapacity,
  StorageClass,
  VolumeAttachment,
  VolumeAttributesClass,
  MutatingAdmissionPolicy,
  MutatingAdmissionPolicyBinding,
  MutatingWebhookConfiguration,
  ValidatingAdmissionPolicy,
  ValidatingAdmissionPolicyBinding,
  ValidatingWebhookConfiguration,
  CustomResourceDefinition,
  PriorityClass,
  Lease,
  RuntimeClass,
  EndpointSlice,
  DeviceClass,
  ResourceClaim,
  ResourceClaimTemplate,
  ResourceSlice,
  FlowSchema,
  PriorityLevelConfiguration,
];
