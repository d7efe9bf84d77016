/**
 * PodSecurity: refuses pods that break the level their namespace enforces, and warns of pods and workloads that break the level it warns at. A namespace
 * that tightens its level is told which of its pods would not be let in any more.
 */
import {
  CronJob,
  DaemonSet,
  Deployment,
  Job,
  Namespace,
  Pod,
  PodTemplate,
  ReplicaSet,
  ReplicationController,
  StatefulSet,
} from '../../../api/kinds.ts';
import type { V1PodTemplateSpec } from '../../../api/types.ts';
import { equal } from '../../../machinery/equal.ts';
import { forbidden, invalid } from '../../../machinery/errors.ts';
import type { Registry } from '../../registry/registry.ts';
import { type AdmissionPlugin, type AdmissionRequest, concernsOnly } from '../admission.ts';
import { type CheckedPod, describe, violationsOf } from './checks.ts';
import { type LevelVersion, type Policy, policyOf, policyText } from './policy.ts';

const annotations = 'pod-security.kubernetes.io/';

/** As upstream: a namespace with more pods is told of the first. */
const maxPodsChecked = 3_000;
/** Writes of these do not change what a pod may do. */
const harmless: ReadonlySet<string> = new Set(['status', 'binding', 'eviction']);

export function podSecurity(registry: Registry): AdmissionPlugin {
  return {
    name: 'PodSecurity',
    concerns: concernsOnly(Namespace, Pod, PodTemplate, ReplicationController, ReplicaSet, Deployment, StatefulSet, DaemonSet, Job, CronJob),
    validate(request) {
      const { object } = request;
      if (!object) return;
      if (request.kind.resource === 'namespaces') checkNamespace(registry, request);
      else if (request.kind.resource === 'pods') checkPod(registry, request);
      else if (request.subresource === '') warnOfTemplate(registry, request);
    },
  };
}

function checkPod(registry: Registry, request: AdmissionRequest): void {
  const { namespace = '', object, oldObject } = request;
  if (harmless.has(request.subresource)) return;
  const { policy } = policyOf(registry.get(Namespace, undefined, namespace)?.metadata.labels);
  if (policy.enforce.level === 'privileged' && policy.warn.level === 'privileged' && policy.audit.level === 'privileged') return;
  const pod = object as object as Pod;
  if (oldObject && !isSignificant(pod, oldObject as object as Pod)) return;
  request.annotate?.(`${annotations}enforce-policy`, policyText(policy.enforce));
  const refused = violationsOf(pod, policy.enforce);
  if (refused.length > 0) {
    throw forbidden(request.resource, request.name, `violates PodSecurity ${JSON.stringify(policyText(policy.enforce))}: ${describe(refused)}`);
  }
  note(request, pod, policy);
}

/** Only what a check looks at is worth checking again; updates of metadata must go through whatever the policy is by now. */
function isSignificant(pod: Pod, old: Pod): boolean {
  const { activeDeadlineSeconds: _deadline, tolerations: _tolerations, ...spec } = pod.spec;
  const { activeDeadlineSeconds: _oldDeadline, tolerations: _oldTolerations, ...oldSpec } = old.spec;
  return !equal(spec, oldSpec) || !equal(pod.metadata.annotations, old.metadata.annotations);
}

/** For the audit log, and for whoever writes it. */
function note(request: AdmissionRequest, pod: CheckedPod, { audit, warn }: Policy): void {
  const noted = request.annotate && wouldViolate(pod, audit);
  if (noted !== undefined) request.annotate?.(`${annotations}audit-violations`, noted);
  const warned = wouldViolate(pod, warn);
  if (warned !== undefined) request.warnings.push(warned);
}

function wouldViolate(pod: CheckedPod, level: LevelVersion): string | undefined {
  const violations = violationsOf(pod, level);
  return violations.length === 0 ? undefined : `would violate PodSecurity ${JSON.stringify(policyText(level))}: ${describe(violations)}`;
}

/** The pods are refused when they come; whoever writes the workload should know right away. */
function warnOfTemplate(registry: Registry, request: AdmissionRequest): void {
  const { namespace = '', object } = request;
  const { policy } = policyOf(registry.get(Namespace, undefined, namespace)?.metadata.labels);
  if (policy.warn.level === 'privileged' && policy.audit.level === 'privileged') return;
  const template = templateOf(object as object);
  if (template?.spec) note(request, { metadata: template.metadata, spec: template.spec }, policy);
}

interface WithTemplate {
  readonly template?: V1PodTemplateSpec;
  readonly spec?: { readonly template?: V1PodTemplateSpec; readonly jobTemplate?: { readonly spec?: { readonly template?: V1PodTemplateSpec } } };
}

function templateOf({ template, spec }: WithTemplate): V1PodTemplateSpec | undefined {
  return template ?? spec?.template ?? spec?.jobTemplate?.spec?.template;
}

function checkNamespace(registry: Registry, request: AdmissionRequest): void {
  const { object, oldObject, name } = request;
  if (request.subresource !== '' || !object) return;
  const { policy, errors } = policyOf(object.metadata.labels);
  const before = oldObject && policyOf(oldObject.metadata.labels);
  if (errors.length > 0) {
    // What was wrong before and stays so is no reason to refuse something else.
    const known = new Set((before?.errors ?? []).map(String));
    const fresh = errors.filter((error) => !known.has(String(error)));
    if (fresh.length > 0) throw invalid(request.kind, name, fresh);
    return;
  }
  if (!before || policy.enforce.level === 'privileged' || equal(policy.enforce, before.policy.enforce)) return;
  const loosened = policy.enforce.level === 'baseline' && before.policy.enforce.level === 'restricted';
  if (!loosened) request.warnings.push(...namespaceWarnings(name, registry.list(Pod, name), policy.enforce));
}

/** What a stricter level means for the pods that are there, those with the same fault in one line. */
export function namespaceWarnings(namespace: string, pods: readonly Pod[], enforce: LevelVersion): string[] {
  const checked = pods.slice(0, maxPodsChecked);
  const byFault = new Map<string, string[]>();
  for (const pod of checked) {
    const violations = violationsOf(pod, enforce);
    if (violations.length === 0) continue;
    const fault = violations.map(({ reason }) => reason).join(', ');
    byFault.set(fault, [...(byFault.get(fault) ?? []), pod.metadata.name]);
  }
  const warnings: string[] = [];
  if (checked.length < pods.length) {
    warnings.push(`new PodSecurity enforce level only checked against the first ${checked.length} of ${pods.length} existing pods`);
  }
  if (byFault.size === 0) return warnings;
  const lines = [...byFault].map(([fault, names]) => {
    const others = names.length - 1;
    const more = others === 0 ? '' : others === 1 ? ' (and 1 other pod)' : ` (and ${others} other pods)`;
    return `${names.toSorted()[0] ?? ''}${more}: ${fault}`;
  });
  const head = `existing pods in namespace ${JSON.stringify(namespace)} violate the new PodSecurity enforce level ${JSON.stringify(policyText(enforce))}`;
  return [...warnings, head, ...lines.toSorted()];
}
