/** The webhooks that are configured, ready to be matched: parsed once for each change of the configurations, in the order they are called. */
import type { Kind } from '../../../api/kind.ts';
import type { MutatingWebhookConfiguration, ValidatingWebhookConfiguration } from '../../../api/kinds.ts';
import type { AdmissionregistrationV1WebhookClientConfig, V1MutatingWebhook, V1ValidatingWebhook } from '../../../api/types.ts';
import { andThen, type NowOrLater } from '../../now-or-later.ts';
import type { Registry } from '../../registry/registry.ts';
import type { AdmissionRequest } from '../admission.ts';
import type { Rights } from '../expressions.ts';
import { matchedKind, type WriteMatcher, writeMatcher } from '../matching.ts';
import { seenIn } from '../versions.ts';
import { conditionsHold, type MatchCondition, matchConditionsOf } from './match-conditions.ts';

export interface Webhook {
  readonly name: string;
  /** Of its configuration. */
  readonly configuration: string;
  readonly matcher: WriteMatcher;
  readonly client: AdmissionregistrationV1WebhookClientConfig;
  /** What is written although the webhook cannot be asked. */
  readonly failsOpen: boolean;
  readonly timeoutSeconds: number;
  readonly hasSideEffects: boolean;
  readonly reviewVersions: readonly string[];
  /** To be asked again when others changed the object after it. */
  readonly reinvoked: boolean;
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
    matcher: writeMatcher({
      rules: declared.rules,
      namespaceSelector: declared.namespaceSelector,
      objectSelector: declared.objectSelector,
      matchPolicy: declared.matchPolicy,
    }),
    client: declared.clientConfig,
    failsOpen: declared.failurePolicy === 'Ignore',
    timeoutSeconds: declared.timeoutSeconds ?? 10,
    hasSideEffects: declared.sideEffects !== 'None' && declared.sideEffects !== 'NoneOnDryRun',
    reviewVersions: declared.admissionReviewVersions,
    reinvoked: 'reinvocationPolicy' in declared && declared.reinvocationPolicy === 'IfNeeded',
    matchConditions: matchConditionsOf(declared.matchConditions),
  };
}

/** The kind in whose version a webhook is asked about a write; undefined when it is not. */
export function concernedAs(webhook: Webhook, request: AdmissionRequest, registry: Registry, rights: Rights): NowOrLater<Kind | undefined> {
  const kind = matchedKind(webhook.matcher, request, registry);
  if (!kind || webhook.matchConditions.length === 0) return kind;
  return andThen(seenIn(registry, kind, request), (seen) => andThen(conditionsHold(webhook, seen, rights), (holds) => (holds ? kind : undefined)));
}
