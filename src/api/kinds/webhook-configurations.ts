/** MutatingWebhookConfiguration, ValidatingWebhookConfiguration (admissionregistration.k8s.io/v1): who outside the server looks at writes. */
import { ageColumn, column, nameColumn } from '../columns.ts';
import { at, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { dns1035LabelErrors, dnsSubdomainErrors, fullyQualifiedNameErrors, portNumberErrors } from '../../machinery/names.ts';
import { labelSelector, messages, noDuplicates, oneOf, requiredOneOf } from '../field-checks.ts';
import { webhookEnvironment } from '../admission-expressions.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import { matchConditionErrors } from './admission-policy-checks.ts';
import { validateRule } from './write-rules.ts';
import type {
  AdmissionregistrationV1WebhookClientConfig,
  V1MutatingWebhook,
  V1MutatingWebhookConfiguration,
  V1ValidatingWebhook,
  V1ValidatingWebhookConfiguration,
} from '../types.ts';

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
  validate: ({ webhooks }) => validateWebhooks(webhooks),
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
  validate: ({ webhooks }) => validateWebhooks(webhooks),
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

function validateWebhooks(webhooks: readonly Webhook[] | undefined): FieldError[] {
  return [
    ...(webhooks ?? []).flatMap((webhook, index) => validateWebhook(at('webhooks', index), webhook)),
    ...noDuplicates('webhooks', webhooks, ({ name }) => name, '.name'),
  ];
}

function validateWebhook(field: string, webhook: Webhook): FieldError[] {
  const versions = webhook.admissionReviewVersions ?? [];
  const path = `${field}.admissionReviewVersions`;
  const errors = [
    ...(webhook.name === '' ? [required(`${field}.name`)] : messages(`${field}.name`, webhook.name, fullyQualifiedNameErrors(webhook.name))),
    ...(webhook.rules ?? []).flatMap((rule, index) => validateRule(at(`${field}.rules`, index), rule)),
    ...oneOf(`${field}.failurePolicy`, webhook.failurePolicy, ['Fail', 'Ignore']),
    ...oneOf(`${field}.matchPolicy`, webhook.matchPolicy, ['Equivalent', 'Exact']),
    ...requiredOneOf(`${field}.sideEffects`, webhook.sideEffects, ['None', 'NoneOnDryRun']),
    ...validateTimeout(`${field}.timeoutSeconds`, webhook.timeoutSeconds),
    ...labelSelector(`${field}.namespaceSelector`, webhook.namespaceSelector),
    ...labelSelector(`${field}.objectSelector`, webhook.objectSelector),
    ...validateClientConfig(`${field}.clientConfig`, webhook.clientConfig ?? {}),
    ...matchConditionErrors(`${field}.matchConditions`, webhook.matchConditions ?? [], webhookEnvironment),
  ];
  if ('reinvocationPolicy' in webhook) errors.push(...oneOf(`${field}.reinvocationPolicy`, webhook.reinvocationPolicy, ['IfNeeded', 'Never']));
  if (versions.length === 0) errors.push(required(path, `must specify one of ${reviewVersions.join(', ')}`));
  else if (!versions.some((version) => reviewVersions.includes(version)))
    errors.push(invalidValue(path, versions, `must include at least one of ${reviewVersions.join(', ')}`));
  return [
    ...errors,
    ...versions.flatMap((version, index) => messages(at(path, index), version, dns1035LabelErrors(version))),
    ...noDuplicates(path, versions),
  ];
}

const reviewVersions = ['v1', 'v1beta1'];

function validateTimeout(field: string, seconds: number | undefined): FieldError[] {
  if (seconds === undefined || (seconds >= 1 && seconds <= 30)) return [];
  return [invalidValue(field, seconds, 'the timeout value must be between 1 and 30 seconds')];
}

export function validateClientConfig(field: string, { url, service }: AdmissionregistrationV1WebhookClientConfig): FieldError[] {
  if ((url === undefined) === (service === undefined)) return [required(field, 'exactly one of url or service is required')];
  if (url !== undefined) return validateUrl(`${field}.url`, url);
  if (service === undefined) return [];
  const { name, namespace, path, port } = service;
  return [
    ...(name === '' ? [required(`${field}.service.name`, 'service name is required')] : []),
    ...(namespace === '' ? [required(`${field}.service.namespace`, 'service namespace is required')] : []),
    ...(port === undefined || portNumberErrors(port).length === 0
      ? []
      : [invalidValue(`${field}.service.port`, port, 'port is not valid: must be between 1 and 65535, inclusive')]),
    ...(path === undefined ? [] : validateServicePath(`${field}.service.path`, path)),
  ];
}

const form = 'desired format: https://host[/path]';

function validateUrl(field: string, text: string): FieldError[] {
  if (!URL.canParse(text)) return [required(field, `url must be a valid URL: ${text}; ${form}`)];
  const url = new URL(text);
  const errors: FieldError[] = [];
  if (url.protocol !== 'https:') errors.push(invalidValue(field, url.protocol.slice(0, -1), `'https' is the only allowed URL scheme; ${form}`));
  if (url.host === '') errors.push(invalidValue(field, url.host, `host must be specified; ${form}`));
  if (url.username !== '' || url.password !== '') errors.push(invalidValue(field, '<user>', 'user information is not permitted in the URL'));
  if (url.hash !== '') errors.push(invalidValue(field, url.hash.slice(1), 'fragments are not permitted in the URL'));
  if (url.search !== '') errors.push(invalidValue(field, url.search.slice(1), 'query parameters are not permitted in the URL'));
  return errors;
}

function validateServicePath(field: string, path: string): FieldError[] {
  if (path === '' || path === '/') return [];
  if (!path.startsWith('/')) return [invalidValue(field, path, "must start with a '/'")];
  const steps = path.slice(1).split('/');
  if (steps.at(-1) === '') steps.pop();
  return steps.flatMap((step, index) => {
    if (step === '') return [invalidValue(field, path, `segment[${index}] may not be empty`)];
    return messages(
      field,
      path,
      dnsSubdomainErrors(step).map((why) => `segment[${index}]: ${why}`),
    );
  });
}
