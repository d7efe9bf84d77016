/** MutatingWebhookConfiguration, ValidatingWebhookConfiguration (admissionregistration.k8s.io/v1): who outside the server looks at writes. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { at, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { fullyQualifiedNameErrors } from '../../machinery/names.ts';
import { inRange, labelSelector, messages, oneOf, requiredOneOf } from '../field-checks.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1MutatingWebhook, V1MutatingWebhookConfiguration, V1ValidatingWebhook, V1ValidatingWebhookConfiguration } from '../types.ts';

export type MutatingWebhookConfiguration = V1MutatingWebhookConfiguration;

export const MutatingWebhookConfiguration: Kind<V1MutatingWebhookConfiguration> = defineKind<V1MutatingWebhookConfiguration>({
  group: 'admissionregistration.k8s.io',
  kind: 'MutatingWebhookConfiguration',
  resource: 'mutatingwebhookconfigurations',
  model: 'V1MutatingWebhookConfiguration',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  defaults({ webhooks }) {
    for (const webhook of webhooks ?? []) {
      defaultWebhook(webhook);
      webhook.reinvocationPolicy ??= 'Never';
    }
  },
  validate: ({ webhooks }) => (webhooks ?? []).flatMap((webhook, index) => validateWebhook(at('webhooks', index), webhook)),
  columns: [nameColumn, column('Webhooks', 'How many there are.', ({ webhooks }) => (webhooks ?? []).length, { type: 'integer' }), ageColumn],
});

export type ValidatingWebhookConfiguration = V1ValidatingWebhookConfiguration;

export const ValidatingWebhookConfiguration: Kind<V1ValidatingWebhookConfiguration> = defineKind<V1ValidatingWebhookConfiguration>({
  group: 'admissionregistration.k8s.io',
  kind: 'ValidatingWebhookConfiguration',
  resource: 'validatingwebhookconfigurations',
  model: 'V1ValidatingWebhookConfiguration',
  categories: ['api-extensions'],
  namespaced: false,
  generation: true,
  defaults({ webhooks }) {
    for (const webhook of webhooks ?? []) defaultWebhook(webhook);
  },
  validate: ({ webhooks }) => (webhooks ?? []).flatMap((webhook, index) => validateWebhook(at('webhooks', index), webhook)),
  columns: [nameColumn, column('Webhooks', 'How many there are.', ({ webhooks }) => (webhooks ?? []).length, { type: 'integer' }), ageColumn],
});

type Webhook = V1MutatingWebhook | V1ValidatingWebhook;

function defaultWebhook(webhook: Webhook): void {
  webhook.failurePolicy ??= 'Fail';
  webhook.matchPolicy ??= 'Equivalent';
  webhook.namespaceSelector ??= {};
  webhook.objectSelector ??= {};
  webhook.timeoutSeconds ??= 10;
  for (const rule of webhook.rules ?? []) rule.scope ??= '*';
  if (webhook.clientConfig?.service !== undefined) webhook.clientConfig.service.port ??= 443;
}

function validateWebhook(field: string, webhook: Webhook): FieldError[] {
  const errors = messages(`${field}.name`, webhook.name, fullyQualifiedNameErrors(webhook.name));
  for (const [index, rule] of (webhook.rules ?? []).entries()) {
    for (const part of ['operations', 'apiGroups', 'apiVersions', 'resources'] as const) {
      if ((rule[part] ?? []).length === 0) errors.push(required(`${at(`${field}.rules`, index)}.${part}`));
    }
    errors.push(...oneOf(`${at(`${field}.rules`, index)}.scope`, rule.scope, ['*', 'Cluster', 'Namespaced']));
  }
  errors.push(
    ...oneOf(`${field}.failurePolicy`, webhook.failurePolicy, ['Fail', 'Ignore']),
    ...oneOf(`${field}.matchPolicy`, webhook.matchPolicy, ['Equivalent', 'Exact']),
    ...requiredOneOf(`${field}.sideEffects`, webhook.sideEffects, ['None', 'NoneOnDryRun']),
    ...inRange(`${field}.timeoutSeconds`, webhook.timeoutSeconds, 1, 30),
    ...labelSelector(`${field}.namespaceSelector`, webhook.namespaceSelector),
    ...labelSelector(`${field}.objectSelector`, webhook.objectSelector),
  );
  const { url, service } = webhook.clientConfig ?? {};
  const path = `${field}.clientConfig`;
  if ((url === undefined) === (service === undefined)) errors.push(required(path, 'exactly one of url or service is required'));
  if (url !== undefined && !url.startsWith('https://')) {
    errors.push(invalidValue(`${path}.url`, url.split(':')[0] ?? '', "'https' is the only allowed URL scheme; desired format: https://host[/path]"));
  }
  if (service !== undefined && service.name === '') errors.push(required(`${path}.service.name`, 'service name is required'));
  if (service !== undefined && service.namespace === '') errors.push(required(`${path}.service.namespace`, 'service namespace is required'));
  if ((webhook.admissionReviewVersions ?? []).length === 0)
    errors.push(required(`${field}.admissionReviewVersions`, 'must specify one of v1, v1beta1'));
  return errors;
}
