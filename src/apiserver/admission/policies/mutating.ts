/**
 * MutatingAdmissionPolicy: changes in CEL to what is written, as apply configurations and JSON patches, put to use by bindings. See
 * https://kubernetes.io/docs/reference/access-authn-authz/mutating-admission-policy/
 */
import { wantObject, wantPatches } from '../../../api/admission-expressions.ts';
import type { Kind } from '../../../api/kind.ts';
import { MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding } from '../../../api/kinds.ts';
import type { V1MutatingAdmissionPolicyBindingSpec, V1MutatingAdmissionPolicySpec, V1Mutation } from '../../../api/types.ts';
import { type CelBudget, CelError } from '../../../machinery/cel.ts';
import { clone } from '../../../machinery/clone.ts';
import { equal } from '../../../machinery/equal.ts';
import { applyJsonPatch } from '../../../machinery/json-patch.ts';
import { PatchError } from '../../../machinery/patch-error.ts';
import type { AnyObject } from '../../registry/decoding.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { celJson, namespaceValue, Rights, type Values, whenKnown, writeValues } from '../expressions.ts';
import { ContentError, replaceContent, seenIn } from '../versions.ts';
import { applied, jsonOf } from './apply-configuration.ts';
import { ConfigurationError } from './parameters.ts';
import {
  type BoundPolicy,
  boundKind,
  boundPolicies,
  compiledOr,
  evaluated,
  type Policy,
  policyDenial,
  type PolicySources,
  withParameters,
} from './policy.ts';
import { policyGroup } from './validating.ts';

type Bound = BoundPolicy<V1MutatingAdmissionPolicySpec, V1MutatingAdmissionPolicyBindingSpec>;

export function mutatingAdmissionPolicies(sources: PolicySources): AdmissionPlugin {
  const { registry } = sources;
  const policies = boundPolicies(registry, MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, true);
  /** The object as each policy that is to be asked again left it, for writes on their way. */
  const underWay = new WeakMap<AdmissionRequest, Map<Bound, unknown>>();
  return {
    name: 'MutatingAdmissionPolicy',
    concerns: ({ group, virtual }) => group !== policyGroup && !virtual,
    admit(request) {
      if (!request.object) return undefined;
      const left = underWay.get(request);
      if (left) return changeAgain(sources, request, left);
      const bound = policies();
      if (!bound.some((one) => boundKind(one, request, registry))) return undefined;
      const fresh = new Map<Bound, unknown>();
      underWay.set(request, fresh);
      return changeAll(sources, request, bound, fresh);
    },
  };
}

async function changeAll(sources: PolicySources, request: AdmissionRequest, bound: readonly Bound[], left: Map<Bound, unknown>): Promise<void> {
  const rights = new Rights(sources.authorizer, request.user);
  for (const one of bound) {
    // Judged by what those before made of the object.
    const kind = boundKind(one, request, sources.registry);
    if (!kind) continue;
    await change(sources, one, kind, request, rights);
    if (one.policy.spec.reinvocationPolicy === 'IfNeeded') left.set(one, clone(request.object));
  }
  await changeAgain(sources, request, left);
}

/** Policies that want it look again, once, at what others changed after them. */
async function changeAgain(sources: PolicySources, request: AdmissionRequest, left: Map<Bound, unknown>): Promise<void> {
  const rights = new Rights(sources.authorizer, request.user);
  for (const [one, object] of left) {
    if (equal(object, request.object)) continue;
    const kind = boundKind(one, request, sources.registry);
    if (kind) await change(sources, one, kind, request, rights);
    left.set(one, clone(request.object));
  }
}

async function change({ registry }: PolicySources, bound: Bound, kind: Kind, request: AdmissionRequest, rights: Rights): Promise<void> {
  const { policy, binding } = bound;
  const place = `policy '${policy.name}' with binding '${binding.name}'`;
  const seen = await seenIn(registry, kind, request);
  const [version = '', group = ''] = (seen.object?.apiVersion ?? '').split('/').toReversed();
  const served = registry.served(group, version, kind.resource);
  if (!seen.object || !served) return;
  const original = seen.object;
  const base = { ...writeValues(seen, rights), namespaceObject: namespaceValue(registry, seen) };
  try {
    const changed = await whenKnown(() => {
      let object: AnyObject = original;
      withParameters(bound, registry, seen, base, (values, budget) => {
        for (const mutation of policy.spec.mutations ?? []) {
          object = mutated(policy, mutation, { object, schema: served.schema }, { ...values, object: celJson(object) }, budget);
        }
      });
      return object;
    });
    if (!equal(changed, original)) await replaceContent(registry, request, changed);
  } catch (error) {
    const isOurs = error instanceof CelError || error instanceof ConfigurationError || error instanceof PatchError || error instanceof ContentError;
    if (!isOurs) throw error;
    if (policy.failsOpen) return;
    const words = error instanceof ConfigurationError ? `failed to configure binding: ${error.message}` : error.message;
    throw policyDenial(request, `${place} denied request: ${words}`);
  }
}

interface Subject {
  readonly object: AnyObject;
  readonly schema: Parameters<typeof applied>[2];
}

function mutated(
  policy: Policy<V1MutatingAdmissionPolicySpec>,
  { patchType, applyConfiguration, jsonPatch }: V1Mutation,
  { object, schema }: Subject,
  values: Values,
  budget: CelBudget,
): AnyObject {
  const isPatch = patchType === 'JSONPatch';
  const expression = (isPatch ? jsonPatch : applyConfiguration)?.expression ?? '';
  const compiled = compiledOr(expression, policy.environment, isPatch ? wantPatches : wantObject);
  try {
    const made = evaluated(compiled, values, budget);
    if (!isPatch) return applied(object, jsonOf(made, 'Object'), schema) as AnyObject;
    return applyJsonPatch(object, jsonOf(made)) as AnyObject;
  } catch (error) {
    if (error instanceof CelError) throw new CelError(`expression '${expression}' resulted in error: ${error.message}`);
    throw error;
  }
}
