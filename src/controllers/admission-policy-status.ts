/**
 * Checks the expressions of validating admission policies against the schemas of the kinds they match, and says in their status what cannot be right.
 * Upstream's `validatingadmissionpolicy-status`.
 */
import { compileWanted, type DeclaredVariable, policyEnvironment, type Subjects, wantAnything } from '../api/admission-expressions.ts';
import { apiVersionOf } from '../api/kind.ts';
import { allKinds, CustomResourceDefinition, ValidatingAdmissionPolicy } from '../api/kinds.ts';
import { typeOfCustomResource, typeOfSchema } from '../api/schema-types.ts';
import type { V1ExpressionWarning, V1ParamKind } from '../api/types.ts';
import { CelError } from '../machinery/cel.ts';
import { type CelType, dyn } from '../machinery/cel/types.ts';
import { equal } from '../machinery/equal.ts';
import type { ControllerDefinition } from './controller.ts';

export const admissionPolicyStatusController: ControllerDefinition = {
  name: 'validatingadmissionpolicy-status-controller',
  serviceAccount: 'validatingadmissionpolicy-status-controller',
  setup(context) {
    const policies = context.watch(ValidatingAdmissionPolicy, {
      added: ({ metadata }) => context.enqueue(metadata.name),
      updated: ({ metadata }) => context.enqueue(metadata.name),
    });
    const definitions = context.watch(CustomResourceDefinition);
    return {
      async reconcile(name) {
        const policy = policies.get(name);
        if (!policy || policy.status?.observedGeneration === policy.metadata.generation) return;
        const expressionWarnings = expressionWarningsOf(policy, definitions.list());
        const status = {
          ...policy.status,
          observedGeneration: policy.metadata.generation ?? 1,
          typeChecking: expressionWarnings.length > 0 ? { expressionWarnings } : {},
        };
        if (!equal(status, policy.status)) await context.client.resource(ValidatingAdmissionPolicy).updateStatus({ ...policy, status });
      },
    };
  },
};

/** As upstream: of a policy that is about very many kinds, the first are enough. */
const maxKinds = 10;

interface MatchedKind {
  /** `apps/v1, Kind=Deployment`. */
  readonly shown: string;
  readonly type: CelType;
}

/** What is wrong with each expression, kind by kind. Patterns that match everything are not checked: nothing holds for all kinds. */
export function expressionWarningsOf(policy: ValidatingAdmissionPolicy, definitions: readonly CustomResourceDefinition[]): V1ExpressionWarning[] {
  const { spec } = policy;
  const matched = matchedKinds(policy, definitions);
  const params = spec.paramKind && (paramType(spec.paramKind, definitions) ?? dyn);
  const warnings: V1ExpressionWarning[] = [];
  const check = (fieldRef: string, expression: string | undefined, hasAuthorizer = true): void => {
    if (expression === undefined || expression === '') return;
    const found = matched.flatMap(({ shown, type }) => {
      const why = mistakeIn(expression, policy, { object: type, params }, hasAuthorizer);
      return why === undefined ? [] : [`${shown}: ${why}`];
    });
    if (found.length > 0) warnings.push({ fieldRef, warning: found.join('\n') });
  };
  for (const [index, { expression, messageExpression }] of (spec.validations ?? []).entries()) {
    check(`spec.validations[${index}].expression`, expression);
    check(`spec.validations[${index}].messageExpression`, messageExpression, false);
  }
  return warnings;
}

function mistakeIn(expression: string, { spec }: ValidatingAdmissionPolicy, subjects: Subjects, hasAuthorizer: boolean): string | undefined {
  const variables: DeclaredVariable[] = [];
  const typed = (text: string, mayAuthorize: boolean): CelType =>
    compileWanted(text, policyEnvironment({ subjects, variables, hasAuthorizer: mayAuthorize, isMutating: false }), wantAnything).type;
  for (const { name, expression: text } of spec.variables ?? []) {
    try {
      variables.push({ name, type: typed(text, true) });
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      variables.push({ name, type: dyn });
    }
  }
  try {
    typed(expression, hasAuthorizer);
    return undefined;
  } catch (error) {
    if (error instanceof CelError) return error.message;
    throw error;
  }
}

function matchedKinds({ spec }: ValidatingAdmissionPolicy, definitions: readonly CustomResourceDefinition[]): MatchedKind[] {
  const found = new Map<string, MatchedKind>();
  for (const { apiGroups = [], apiVersions = [], resources = [] } of spec.matchConstraints?.resourceRules ?? []) {
    for (const group of apiGroups) {
      for (const version of apiVersions) {
        for (const resource of resources) {
          const kind = kindAt(group, version, resource, definitions);
          if (kind && found.size < maxKinds) found.set(kind.shown, kind);
        }
      }
    }
  }
  return [...found.values()].toSorted((a, b) => (a.shown < b.shown ? -1 : 1));
}

function kindAt(group: string, version: string, resource: string, definitions: readonly CustomResourceDefinition[]): MatchedKind | undefined {
  const builtIn = allKinds.find((kind) => kind.group === group && kind.version === version && kind.resource === resource);
  if (builtIn) return { shown: `${apiVersionOf(builtIn)}, Kind=${builtIn.kind}`, type: typeOfSchema(builtIn.schema) };
  const definition = definitions.find(({ spec }) => spec.group === group && spec.names.plural === resource);
  const schema = definition && schemaOfVersion(definition, version);
  return schema && { shown: `${group}/${version}, Kind=${definition.spec.names.kind}`, type: typeOfCustomResource(schema) };
}

function schemaOfVersion({ spec }: CustomResourceDefinition, version: string): Parameters<typeof typeOfCustomResource>[0] | undefined {
  return spec.versions.find(({ name, served }) => name === version && served)?.schema?.openAPIV3Schema;
}

function paramType({ apiVersion = '', kind = '' }: V1ParamKind, definitions: readonly CustomResourceDefinition[]): CelType | undefined {
  const builtIn = allKinds.find((candidate) => candidate.kind === kind && apiVersionOf(candidate) === apiVersion);
  if (builtIn) return typeOfSchema(builtIn.schema);
  const [version = '', group = ''] = apiVersion.split('/').toReversed();
  const definition = definitions.find(({ spec }) => spec.group === group && spec.names.kind === kind);
  const schema = definition && schemaOfVersion(definition, version);
  return schema && typeOfCustomResource(schema);
}
