/**
 * ValidatingAdmissionPolicy: rules in CEL that writes must pass, put to use by bindings, which say what becomes of those that do not. See
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/
 */
import { wantAnnotation, wantBool, wantString } from '../../../api/admission-expressions.ts';
import { ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding } from '../../../api/kinds.ts';
import type { V1Validation, V1ValidatingAdmissionPolicyBindingSpec, V1ValidatingAdmissionPolicySpec } from '../../../api/types.ts';
import { type CelBudget, CelCostError, CelError, outOfBudget } from '../../../machinery/cel.ts';
import { andThen, isLater } from '../../now-or-later.ts';
import type { AdmissionPlugin, AdmissionRequest } from '../admission.ts';
import { namespaceValue, Rights, type Values, whenKnown, writeValues } from '../expressions.ts';
import { seenIn } from '../versions.ts';
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

type Bound = BoundPolicy<V1ValidatingAdmissionPolicySpec, V1ValidatingAdmissionPolicyBindingSpec>;

/** One validation that a write did not pass, or that could not be evaluated. */
interface Failure {
  readonly message: string;
  readonly reason: string | undefined;
  readonly index: number;
}

/** Only what it is about: those who could lock everybody out of mending them are not asked about themselves. */
export const policyGroup = 'admissionregistration.k8s.io';

export function validatingAdmissionPolicies({ registry, authorizer }: PolicySources): AdmissionPlugin {
  const policies = boundPolicies(registry, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, false);
  const judge = async (request: AdmissionRequest, bound: readonly Bound[]): Promise<void> => {
    const rights = new Rights(authorizer, request.user);
    const report = new Report(request);
    for (const one of bound) {
      const kind = boundKind(one, request, registry);
      if (!kind) continue;
      const judged = andThen(seenIn(registry, kind, request), (seen) => {
        const base = { ...writeValues(seen, rights), namespaceObject: namespaceValue(registry, seen) };
        return whenKnown(() => {
          const outcome: Outcome = { failures: [], annotations: [] };
          collect(one, outcome, () => withParameters(one, registry, seen, base, (values, budget) => judgeOnce(one.policy, values, budget, outcome)));
          return outcome;
        });
      });
      report.add(one, isLater(judged) ? await judged : judged);
    }
    report.conclude();
  };
  return {
    name: 'ValidatingAdmissionPolicy',
    connections: true,
    concerns: ({ group, virtual }) => group !== policyGroup && !virtual,
    validate(request) {
      const bound = policies();
      return bound.some((one) => boundKind(one, request, registry)) ? judge(request, bound) : undefined;
    },
  };
}

interface Outcome {
  readonly failures: Failure[];
  readonly annotations: { readonly key: string; readonly value: string }[];
}

/** What is wrong with the configuration is a failure like one of a validation, unless the policy ignores failures. */
function collect({ policy }: Bound, outcome: Outcome, judge: () => void): void {
  try {
    judge();
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error;
    if (!policy.failsOpen) outcome.failures.push({ message: `failed to configure binding: ${error.message}`, reason: undefined, index: -1 });
  }
}

function judgeOnce(policy: Policy<V1ValidatingAdmissionPolicySpec>, values: Values, budget: CelBudget, { failures, annotations }: Outcome): void {
  for (const [index, validation] of (policy.spec.validations ?? []).entries()) {
    const { expression, reason } = validation;
    try {
      if (evaluated(compiledOr(expression, policy.environment, wantBool), values, budget) === true) continue;
      failures.push({ message: messageOf(policy, validation, values, budget), reason, index });
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      if (!policy.failsOpen) failures.push({ message: errorText(expression, error), reason: undefined, index });
      if (error instanceof CelCostError && error.message === outOfBudget) return;
    }
  }
  for (const { key, valueExpression } of policy.spec.auditAnnotations ?? []) {
    try {
      const value = evaluated(compiledOr(valueExpression, policy.environment, wantAnnotation), values, budget);
      if (typeof value === 'string' && value.trim() !== '') annotations.push({ key, value: value.trim().slice(0, maxAnnotation) });
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      if (!policy.failsOpen) failures.push({ message: errorText(valueExpression, error), reason: undefined, index: -1 });
    }
  }
}

const maxAnnotation = 10 * 1024;

function errorText(expression: string, error: CelError): string {
  return error instanceof CelCostError && error.message === outOfBudget
    ? outOfBudget
    : `expression '${expression}' resulted in error: ${error.message}`;
}

function messageOf(
  policy: Policy<V1ValidatingAdmissionPolicySpec>,
  { expression, message, messageExpression }: V1Validation,
  values: Values,
  budget: CelBudget,
): string {
  const plain = (message ?? '') === '' ? `failed expression: ${expression.trim()}` : (message ?? '').trim();
  if ((messageExpression ?? '') === '' || messageExpression === undefined) return plain;
  try {
    const text = evaluated(compiledOr(messageExpression, policy.messageEnvironment, wantString), values, budget);
    // As upstream: what is no one line of text is not shown.
    return typeof text === 'string' && text.trim() !== '' && text.length <= maxMessage && !text.trim().includes('\n') ? text.trim() : plain;
  } catch (error) {
    if (error instanceof CelError) return plain;
    throw error;
  }
}

const maxMessage = 5 * 1024;

/** An entry of the audit annotation that tells of failures; its fields in upstream's order. */
interface AuditedFailure {
  readonly message: string;
  readonly policy: string;
  readonly binding: string;
  readonly expressionIndex: number;
  readonly validationActions: readonly string[];
}

/** What comes of all policies' failures: warnings, notes in the audit event, and one refusal. */
class Report {
  readonly #request: AdmissionRequest;
  readonly #audited: AuditedFailure[] = [];
  readonly #annotations = new Map<string, Set<string>>();
  #refusal: { readonly message: string; readonly reason: string | undefined } | undefined;

  constructor(request: AdmissionRequest) {
    this.#request = request;
  }

  add({ policy, binding }: Bound, { failures, annotations }: Outcome): void {
    const actions = binding.spec.validationActions ?? [];
    const place = `ValidatingAdmissionPolicy '${policy.name}' with binding '${binding.name}'`;
    for (const { message, reason, index } of failures) {
      if (actions.includes('Deny')) this.#refusal ??= { message: `${place} denied request: ${message}`, reason };
      if (actions.includes('Warn')) this.#request.warnings.push(`Validation failed for ${place}: ${message}`);
      if (actions.includes('Audit')) {
        this.#audited.push({ message, policy: policy.name, binding: binding.name, expressionIndex: Math.max(0, index), validationActions: actions });
      }
    }
    for (const { key, value } of annotations) {
      const name = `${policy.name}/${key}`;
      const values = this.#annotations.get(name) ?? new Set();
      this.#annotations.set(name, values.add(value));
    }
  }

  conclude(): void {
    const { annotate } = this.#request;
    for (const [key, values] of this.#annotations) annotate?.(key, [...values].join(', '));
    if (this.#audited.length > 0) annotate?.('validation.policy.admission.k8s.io/validation_failure', JSON.stringify(this.#audited));
    if (this.#refusal) throw policyDenial(this.#request, this.#refusal.message, this.#refusal.reason);
  }
}
