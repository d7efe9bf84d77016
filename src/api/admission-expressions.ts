/**
 * What expressions about writes may use: the variables of webhooks' match conditions and of admission policies, with their types. See
 * https://kubernetes.io/docs/reference/access-authn-authz/validating-admission-policy/#validation-expression
 */
import { CelError, compileExpression, type CelExpression, type Environment, kubernetesFunctions } from '../machinery/cel.ts';
import { addAuthorizerFunctions } from '../machinery/cel/authorizer-functions.ts';
import { Functions } from '../machinery/cel/overloads.ts';
import * as types from '../machinery/cel/types.ts';
import { type CelType, listOf, mapOf, type ObjectType, objectOf, opaque } from '../machinery/cel/types.ts';

const functions = new Functions(kubernetesFunctions);
addAuthorizerFunctions(functions);

const texts = listOf(types.string);
const textMap = mapOf(types.string, types.string);
const kindType = objectOf('kubernetes.GroupVersionKind', { group: types.string, version: types.string, kind: types.string });
const resourceType = objectOf('kubernetes.GroupVersionResource', { group: types.string, version: types.string, resource: types.string });

const requestType = objectOf('kubernetes.AdmissionRequest', {
  uid: types.string,
  kind: kindType,
  resource: resourceType,
  subResource: types.string,
  requestKind: kindType,
  requestResource: resourceType,
  requestSubResource: types.string,
  name: types.string,
  namespace: types.string,
  operation: types.string,
  userInfo: objectOf('kubernetes.UserInfo', { username: types.string, uid: types.string, groups: texts, extra: mapOf(types.string, texts) }),
  dryRun: types.bool,
  options: types.dyn,
});

const namespaceType = objectOf('kubernetes.Namespace', {
  metadata: objectOf('kubernetes.NamespaceMetadata', {
    name: types.string,
    generateName: types.string,
    namespace: types.string,
    labels: textMap,
    annotations: textMap,
    UID: types.string,
    creationTimestamp: types.timestamp,
    deletionGracePeriodSeconds: types.int,
    deletionTimestamp: types.timestamp,
    generation: types.int,
    resourceVersion: types.string,
    finalizers: texts,
  }),
  spec: objectOf('kubernetes.NamespaceSpec', { finalizers: texts }),
  status: objectOf('kubernetes.NamespaceStatus', { phase: types.string }),
});

/** Under these names expressions see the sender's rights. */
const authorizerTypes: readonly (readonly [string, CelType])[] = [
  ['authorizer', opaque('kubernetes.authorization.Authorizer')],
  ['authorizer.requestResource', opaque('kubernetes.authorization.ResourceCheck')],
];

/** What an expression is about: `dyn` unless checked against what a certain kind's objects are. */
export interface Subjects {
  readonly object: CelType;
  readonly params: CelType | undefined;
}

export const untyped: Subjects = { object: types.dyn, params: undefined };
export const untypedWithParams: Subjects = { object: types.dyn, params: types.dyn };

/** Of webhooks' match conditions. */
export const webhookEnvironment: Environment = {
  variables: new Map<string, CelType>([['object', types.dyn], ['oldObject', types.dyn], ['request', requestType], ...authorizerTypes]),
  functions,
};

/** A variable of a policy, and what its expression evaluates to. */
export interface DeclaredVariable {
  readonly name: string;
  readonly type: CelType;
}

export interface PolicyEnvironment {
  readonly subjects: Subjects;
  readonly variables: readonly DeclaredVariable[];
  /** Messages are told to clients, who shall not learn of rights by them. */
  readonly hasAuthorizer: boolean;
  /** Mutations make objects. */
  readonly isMutating: boolean;
}

export function policyEnvironment({ subjects, variables, hasAuthorizer, isMutating }: PolicyEnvironment): Environment {
  const fields = new Map(variables.map(({ name, type }) => [name, type]));
  const composed: ObjectType = { kind: 'object', name: 'kubernetes.variables', field: (name) => fields.get(name) };
  return {
    functions,
    variables: new Map<string, CelType>([
      ['object', subjects.object],
      ['oldObject', subjects.object],
      ['request', requestType],
      ['namespaceObject', namespaceType],
      ['variables', composed],
      ...(subjects.params ? ([['params', subjects.params]] as const) : []),
      ...(hasAuthorizer ? authorizerTypes : []),
    ]),
    ...(isMutating && { constructible }),
  };
}

const patchType = objectOf('JSONPatch', { op: types.string, path: types.string, from: types.string, value: types.dyn });

/** `Object`, `Object.spec` and so on have the fields of the object that is written, whatever it is. */
function constructible(name: string): ObjectType | undefined {
  if (name === 'JSONPatch') return patchType;
  if (name === 'Object' || name.startsWith('Object.')) return { kind: 'object', name, field: () => types.dyn };
  return undefined;
}

/** The type an expression must evaluate to, and how that is told. */
export interface WantedType {
  readonly shown: string;
  readonly fits: (type: CelType) => boolean;
}

export const wantBool: WantedType = { shown: 'must evaluate to bool', fits: ({ kind }) => kind === 'bool' || kind === 'dyn' };
export const wantString: WantedType = { shown: 'must evaluate to string', fits: ({ kind }) => kind === 'string' || kind === 'dyn' };
export const wantAnnotation: WantedType = {
  shown: 'must evaluate to one of [string null_type]',
  fits: ({ kind }) => kind === 'string' || kind === 'null' || kind === 'dyn',
};
export const wantObject: WantedType = {
  shown: 'must evaluate to Object',
  fits: (type) => type.kind === 'dyn' || (type.kind === 'object' && type.name === 'Object'),
};
export const wantPatches: WantedType = {
  shown: 'must evaluate to list(JSONPatch)',
  fits: (type) =>
    type.kind === 'dyn' || (type.kind === 'list' && (type.item.kind === 'dyn' || (type.item.kind === 'object' && type.item.name === 'JSONPatch'))),
};
export const wantAnything: WantedType = { shown: '', fits: () => true };

/** Throws a {@link CelError}, also for an expression of another type. */
export function compileWanted(text: string, environment: Environment, wanted: WantedType): CelExpression {
  const expression = compileExpression(text, environment);
  if (!wanted.fits(expression.type)) throw new CelError(wanted.shown);
  return expression;
}
