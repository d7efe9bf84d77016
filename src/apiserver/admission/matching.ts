/** Which writes webhooks and admission policies are about: rules, selectors, and the version in which each sees a write. */
import type { Kind } from '../../api/kind.ts';
import { Namespace } from '../../api/kinds.ts';
import type { V1NamedRuleWithOperations } from '../../api/types.ts';
import { selectorOf, type LabelSelector, type Selector } from '../../machinery/selector.ts';
import type { Registry } from '../registry/registry.ts';
import type { AdmissionRequest } from './admission.ts';

export interface WriteMatcher {
  readonly rules: readonly V1NamedRuleWithOperations[];
  readonly excluded: readonly V1NamedRuleWithOperations[];
  readonly namespaceSelector: Selector;
  readonly objectSelector: Selector;
  /** A rule about one version of a resource is about all of them. */
  readonly matchesEquivalent: boolean;
}

/** What declarations of webhooks and of policies have in common. */
export interface DeclaredMatch {
  readonly rules: readonly V1NamedRuleWithOperations[] | undefined;
  readonly excluded?: readonly V1NamedRuleWithOperations[] | undefined;
  readonly namespaceSelector: LabelSelector | undefined;
  readonly objectSelector: LabelSelector | undefined;
  readonly matchPolicy: string | undefined;
}

export function writeMatcher(declared: DeclaredMatch): WriteMatcher {
  return {
    rules: declared.rules ?? [],
    excluded: declared.excluded ?? [],
    namespaceSelector: selectorOf(declared.namespaceSelector ?? {}),
    objectSelector: selectorOf(declared.objectSelector ?? {}),
    matchesEquivalent: declared.matchPolicy !== 'Exact',
  };
}

/** The kind in whose version the write is to be seen; undefined when it is none of the matcher's business. */
export function matchedKind(matcher: WriteMatcher, request: AdmissionRequest, registry: Registry): Kind | undefined {
  if (ruledKind(matcher.excluded, matcher, request, registry)) return undefined;
  const kind = ruledKind(matcher.rules, matcher, request, registry);
  if (!kind || !namespaceMatches(matcher.namespaceSelector, request, registry)) return undefined;
  const { objectSelector } = matcher;
  if (objectSelector.isEmpty()) return kind;
  const chosen = [request.object, request.oldObject].some((object) => object !== undefined && objectSelector.matches(object.metadata.labels));
  return chosen ? kind : undefined;
}

/** By the version in the path if a rule names it, otherwise by another the resource is served in. */
function ruledKind(
  rules: readonly V1NamedRuleWithOperations[],
  { matchesEquivalent }: WriteMatcher,
  request: AdmissionRequest,
  registry: Registry,
): Kind | undefined {
  const { kind } = request;
  const applying = rules.filter((rule) => ruleMatches(rule, request));
  if (applying.some(({ apiVersions }) => has(apiVersions, kind.version))) return kind;
  if (!matchesEquivalent) return undefined;
  for (const version of applying.flatMap(({ apiVersions = [] }) => apiVersions)) {
    const other = registry.served(kind.group, version, kind.resource);
    if (other) return other.kind;
  }
  return undefined;
}

function has(values: readonly string[] | undefined, value: string): boolean {
  return values !== undefined && (values.includes('*') || values.includes(value));
}

function ruleMatches(rule: V1NamedRuleWithOperations, { operation, kind, subresource, namespace, name }: AdmissionRequest): boolean {
  if (!has(rule.operations, operation) || !has(rule.apiGroups, kind.group)) return false;
  if (rule.scope === 'Namespaced' && namespace === undefined) return false;
  if (rule.scope === 'Cluster' && namespace !== undefined) return false;
  if ((rule.resourceNames ?? []).length > 0 && !rule.resourceNames?.includes(name)) return false;
  return (rule.resources ?? []).some((pattern) => {
    const [resource = '', sub = ''] = pattern.split('/');
    return (resource === '*' || resource === kind.resource) && (sub === '*' || sub === subresource);
  });
}

/** A namespace is chosen by its own labels; what lies in no namespace is always chosen. */
function namespaceMatches(selector: Selector, request: AdmissionRequest, registry: Registry): boolean {
  if (selector.isEmpty()) return true;
  if (request.kind.group === '' && request.kind.resource === 'namespaces') {
    return selector.matches((request.object ?? request.oldObject)?.metadata.labels);
  }
  if (request.namespace === undefined) return true;
  return selector.matches(registry.get(Namespace, undefined, request.namespace)?.metadata.labels);
}
