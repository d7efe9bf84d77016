/** Every admission plugin, in the order upstream runs them, and which of them run unless told otherwise. */
import type { Registry } from '../registry/registry.ts';
import type { World } from '../../world/world.ts';
import type { AdmissionMetrics } from './admission-metrics.ts';
import type { AdmissionPlugin } from './admission.ts';
import { certificateApproval, certificateSigning, certificateSubjectRestriction } from './certificates.ts';
import { certificateConditionTimes } from './certificate-condition-times.ts';
import { deviceTaintTimes } from './device-taint-times.ts';
import { certificateRequester } from './certificate-requester.ts';
import { claimResize } from './claim-resize.ts';
import { defaultIngressClass } from './default-ingress-class.ts';
import { defaultStorageClass } from './default-storage-class.ts';
import { defaultTolerationSeconds } from './default-toleration-seconds.ts';
import { extendedResourceToleration } from './extended-resource-toleration.ts';
import { limitRanger } from './limit-ranger.ts';
import { namespaceLifecycle } from './namespace-lifecycle.ts';
import { nodeRestriction } from './node-restriction.ts';
import { ownerReferencesPermissionEnforcement } from './owner-references.ts';
import type { AuthorizerSource } from './permission.ts';
import { mutatingAdmissionPolicies } from './policies/mutating.ts';
import { validatingAdmissionPolicies } from './policies/validating.ts';
import { podSecurity } from './pod-security/pod-security.ts';
import { priority } from './priority.ts';
import { rbacEscalation } from './rbac-escalation.ts';
import { resourceQuota } from './resource-quota.ts';
import { runtimeClass } from './runtime-class.ts';
import { serviceAccount } from './service-account.ts';
import { storageObjectInUseProtection } from './storage-object-in-use.ts';
import { taintNodesByCondition } from './taint-nodes-by-condition.ts';
import { mutatingWebhooks, validatingWebhooks } from './webhooks/plugins.ts';
import { WebhookCaller } from './webhooks/webhook-caller.ts';

export interface PluginSources {
  readonly registry: Registry;
  readonly world: World;
  readonly authorizer: AuthorizerSource;
  readonly metrics: AdmissionMetrics;
  /** Plugins that run although they do not by default, by upstream's names. */
  readonly enabled?: readonly string[];
  /** Plugins that do not run although they do by default. */
  readonly disabled?: readonly string[];
}

/** As upstream, these run only when asked for. */
const offByDefault: ReadonlySet<string> = new Set(['ExtendedResourceToleration', 'OwnerReferencesPermissionEnforcement']);

export interface Plugins {
  readonly plugins: readonly AdmissionPlugin[];
  /** Ends connections to webhooks. */
  close(): void;
}

/** Somebody named a plugin that is not there. */
export class AdmissionPluginError extends Error {
  override readonly name = 'AdmissionPluginError';
}

function checkNames(named: readonly string[], plugins: readonly AdmissionPlugin[]): void {
  const known = plugins.map(({ name }) => name).toSorted();
  const unknown = named.find((name) => !known.includes(name));
  if (unknown !== undefined) throw new AdmissionPluginError(`there is no admission plugin ${unknown}: there are ${known.join(', ')}`);
}

export function admissionPlugins({ registry, world, authorizer, metrics, enabled = [], disabled = [] }: PluginSources): Plugins {
  const runs = ({ name }: AdmissionPlugin): boolean => enabled.includes(name) || (!offByDefault.has(name) && !disabled.includes(name));
  const inTreeAll = [
    namespaceLifecycle(registry),
    rbacEscalation(registry, authorizer),
    limitRanger(registry),
    serviceAccount(registry, world),
    nodeRestriction(registry),
    taintNodesByCondition,
    podSecurity(registry),
    priority(registry),
    defaultTolerationSeconds,
    extendedResourceToleration,
    defaultStorageClass(registry),
    storageObjectInUseProtection,
    ownerReferencesPermissionEnforcement(registry, authorizer),
    claimResize(registry),
    runtimeClass(registry),
    certificateRequester,
    certificateConditionTimes(world),
    deviceTaintTimes(world),
    certificateApproval(authorizer),
    certificateSigning(authorizer),
    certificateSubjectRestriction,
    defaultIngressClass(registry),
  ];
  const inTree = inTreeAll.filter(runs);
  const caller = new WebhookCaller(registry, world, metrics);
  // Quotas come last: what is refused for another reason is not counted.
  const webhooks = { registry, caller, authorizer };
  const policies = { registry, authorizer };
  const mutatingPolicies = mutatingAdmissionPolicies(policies);
  const late = [
    mutatingPolicies,
    mutatingWebhooks(webhooks, [...inTree, mutatingPolicies].filter(runs)),
    validatingAdmissionPolicies(policies),
    validatingWebhooks(webhooks),
    resourceQuota(registry, world),
  ];
  checkNames([...enabled, ...disabled], [...inTreeAll, ...late]);
  return { plugins: [...inTree, ...late.filter(runs)], close: () => caller.close() };
}
