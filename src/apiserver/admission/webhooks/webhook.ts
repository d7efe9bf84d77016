/** The webhooks that are configured, ready to be matched: parsed once for each change of the configurations, in the order they are called. */
import type { Kind } from '../../../api/kind.ts';
import { type MutatingWebhookConfiguration, Namespace, type ValidatingWebhookConfiguration } from '../../../api/kinds.ts';
import type { AdmissionregistrationV1WebhookClientConfig, V1MutatingWebhook, V1RuleWithOperations, V1ValidatingWebhook } from '../../../api/types.ts';
import { type Selector, selectorOf } from '../../../machinery/selector.ts';
import type { Registry } from '../../registry/registry.ts';
import type { AdmissionRequest } from '../admission.ts';
import { conditionsHold, type MatchCondition, matchConditionsOf } from './match-conditions.ts';

export interface Webhook {
  readonly name: string;
  /** Of its configuration. */
  readonly configuration: string;
  readonly rules: readonly V1RuleWithOperations[];
  readonly namespaceSelector: Selector;
  readonly objectSelector: Selector;
  readonly client: AdmissionregistrationV1WebhookClientConfig;
  /** What is written although the webhook cannot be asked. */
  readonly failsOpen: boolean;
  readonly timeoutSeconds: number;
  readonly hasSideEffects: boolean;
  readonly reviewVersions: readonly string[];
  /** To be asked again when others changed the object after it. */
  readonly reinvoked: boolean;
  readonly matchesEquivalent: boolean;
  readonly matchConditions: readonly MatchCondition[];
}

/** Answers the webhooks of all configurations of one kind; a plain look-up while nothing changes. */
export function configuredWebhooks(
  registry: Registry,
  kind: Kind<MutatingWebhookConfiguration> | Kind<ValidatingWebhookConfiguration>,
): () => readonly Webhook[] {
  let seen = -1;
  let webhooks: readonly Webhook[] = [];
  return () => {
    const revision = registry.revision(kind);
    if (revision !== seen) {
      seen = revision;
      webhooks = registry
        .list<MutatingWebhookConfiguration | ValidatingWebhookConfiguration>(
          kind as Kind<MutatingWebhookConfiguration | ValidatingWebhookConfiguration>,
        )
        .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
        .flatMap(({ metadata, webhooks: declared = [] }) => declared.map((webhook) => webhookOf(metadata.name, webhook)));
    }
    return webhooks;
  };
}

function webhookOf(configuration: string, declared: V1MutatingWebhook | V1ValidatingWebhook): Webhook {
  return {
    name: declared.name,
    configuration,
    rules: declared.rules ?? [],
    namespaceSelector: selectorOf(declared.namespaceSelector ?? {}),
    objectSelector: selectorOf(declared.objectSelector ?? {}),
    client: declared.clientConfig,
    failsOpen: declared.failurePolicy === 'Ignore',
    timeoutSeconds: declared.timeoutSeconds ?? 10,
    hasSideEffects: declared.sideEffects !== 'None' && declared.sideEffects !== 'NoneOnDryRun',
    reviewVersions: declared.admissionReviewVersions,
    reinvoked: 'reinvocationPolicy' in declared && declared.reinvocationPolicy === 'IfNeeded',
    matchesEquivalent: declared.matchPolicy !== 'Exact',
    matchConditions: matchConditionsOf(declared.matchConditions),
  };
}

/** Whether a webhook is to be asked about a write. */
export function isConcerned(webhook: Webhook, request: AdmissionRequest, registry: Registry): boolean {
  if (!webhook.rules.some((rule) => ruleMatches(rule, request) && versionMatches(webhook, rule, request, registry))) return false;
  if (!namespaceMatches(webhook.namespaceSelector, request, registry)) return false;
  const { objectSelector } = webhook;
  const chosen = [request.object, request.oldObject].some((object) => object !== undefined && objectSelector.matches(object.metadata.labels));
  return (chosen || objectSelector.isEmpty()) && conditionsHold(webhook, request);
}

function has(values: readonly string[] | undefined, value: string): boolean {
  return values !== undefined && (values.includes('*') || values.includes(value));
}

function ruleMatches(rule: V1RuleWithOperations, { operation, kind, subresource, namespace }: AdmissionRequest): boolean {
  if (!has(rule.operations, operation) || !has(rule.apiGroups, kind.group)) return false;
  if (rule.scope === 'Namespaced' && namespace === undefined) return false;
  if (rule.scope === 'Cluster' && namespace !== undefined) return false;
  return (rule.resources ?? []).some((pattern) => {
    const [resource = '', sub = ''] = pattern.split('/');
    return (resource === '*' || resource === kind.resource) && (sub === '*' || sub === subresource);
  });
}

/** The version in the path, or any other the resource is served in where they count as the same. */
function versionMatches(webhook: Webhook, rule: V1RuleWithOperations, { kind }: AdmissionRequest, registry: Registry): boolean {
  if (has(rule.apiVersions, kind.version)) return true;
  return webhook.matchesEquivalent && (rule.apiVersions ?? []).some((version) => registry.served(kind.group, version, kind.resource) !== undefined);
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
