/**
 * AuthorizationConfiguration (`apiserver.config.k8s.io/v1`): who decides, in which order; several webhooks, each for the requests its conditions match.
 * See https://kubernetes.io/docs/reference/access-authn-authz/authorization/#using-configuration-file-for-authorization
 */
import { CelError } from '../../machinery/cel.ts';
import { DurationError, parseDuration } from '../../machinery/duration.ts';
import { readConfiguration, type Section } from '../configuration-file.ts';
import type { WebhookOptions } from '../webhook-connection.ts';
import { type MatchCondition, matchConditionOf } from './match-conditions.ts';
import { type AuthorizationMode, authorizationModes, type AuthorizerChoice } from './modes.ts';
import type { AuthorizationWebhookOptions } from './webhook.ts';

/** As upstream. */
const mostConditions = 64;
const longestTimeoutMs = 30_000;

/** Reads a configuration file, YAML or JSON. `connectionOf` reads a kubeconfig file. Throws a `ConfigurationError`. */
export function parseAuthorizationConfiguration(text: string, connectionOf: (kubeconfig: string) => WebhookOptions): AuthorizerChoice[] {
  const document = readConfiguration(text, 'AuthorizationConfiguration', ['v1', 'v1beta1']);
  document.allow('apiVersion', 'kind', 'authorizers');
  const names = new Set<string>();
  const modes = new Set<AuthorizationMode>();
  const choices = document.sections('authorizers').map((section): AuthorizerChoice => {
    section.allow('type', 'name', 'webhook');
    const mode = section.oneOf('type', authorizationModes) ?? section.fail('type', 'Required value');
    if (mode !== 'Webhook' && modes.has(mode)) section.fail('type', 'Duplicate value', JSON.stringify(mode));
    modes.add(mode);
    const name = section.requiredText('name');
    if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) section.fail('name', 'Invalid value', `${JSON.stringify(name)}: authorizer name is invalid`);
    if (names.has(name)) section.fail('name', 'Duplicate value', JSON.stringify(name));
    names.add(name);
    if (mode === 'Webhook') return { mode, webhook: { ...webhookOf(section.section('webhook'), connectionOf), name } };
    if (section.has('webhook')) section.fail('webhook', 'Invalid value', 'may only be specified when type=Webhook');
    return { mode };
  });
  if (choices.length === 0) document.fail('authorizers', 'Required value', 'at least one authorization mode must be defined');
  return choices;
}

function webhookOf(section: Section, connectionOf: (kubeconfig: string) => WebhookOptions): AuthorizationWebhookOptions {
  section.allow(
    'authorizedTTL',
    'cacheAuthorizedRequests',
    'unauthorizedTTL',
    'cacheUnauthorizedRequests',
    'timeout',
    'subjectAccessReviewVersion',
    'matchConditionSubjectAccessReviewVersion',
    'failurePolicy',
    'connectionInfo',
    'matchConditions',
  );
  const timeoutMs = section.has('timeout') ? milliseconds(section, 'timeout', 0) : section.fail('timeout', 'Required value');
  if (timeoutMs <= 0) section.fail('timeout', 'Invalid value', `${JSON.stringify(section.text('timeout'))}: must be > 0s`);
  if (timeoutMs > longestTimeoutMs) section.fail('timeout', 'Invalid value', `${JSON.stringify(section.text('timeout'))}: must be <= 30s`);
  if (section.oneOf('subjectAccessReviewVersion', ['v1']) === undefined) section.fail('subjectAccessReviewVersion', 'Required value');
  const failurePolicy = section.oneOf('failurePolicy', ['NoOpinion', 'Deny']) ?? section.fail('failurePolicy', 'Required value');
  const matchConditions = conditionsOf(section);
  if (matchConditions.length > 0 && section.oneOf('matchConditionSubjectAccessReviewVersion', ['v1']) === undefined) {
    section.fail('matchConditionSubjectAccessReviewVersion', 'Required value', 'required if match conditions are specified');
  }
  return {
    ...serverOf(section.section('connectionInfo'), connectionOf),
    authorizedTtlMs: section.truth('cacheAuthorizedRequests') === false ? 0 : ttl(section, 'authorizedTTL', 300_000),
    unauthorizedTtlMs: section.truth('cacheUnauthorizedRequests') === false ? 0 : ttl(section, 'unauthorizedTTL', 30_000),
    timeoutMs,
    failurePolicy,
    matchConditions,
  };
}

function serverOf(section: Section, connectionOf: (kubeconfig: string) => WebhookOptions): WebhookOptions {
  section.allow('type', 'kubeConfigFile');
  const type = section.oneOf('type', ['KubeConfigFile', 'InClusterConfig']) ?? section.fail('type', 'Required value');
  if (type === 'InClusterConfig') section.fail('type', 'Forbidden', 'k8ts serves outside of its pods: give a KubeConfigFile');
  const file = section.requiredText('kubeConfigFile');
  if (!file.startsWith('/')) section.fail('kubeConfigFile', 'Invalid value', `${JSON.stringify(file)}: must be an absolute path`);
  return connectionOf(file);
}

function conditionsOf(section: Section): MatchCondition[] {
  const sections = section.sections('matchConditions');
  if (sections.length > mostConditions) section.fail('matchConditions', 'Invalid value', `must have at most ${mostConditions} items`);
  const expressions = new Set<string>();
  return sections.map((condition) => {
    condition.allow('expression');
    const expression = condition.requiredText('expression').trim();
    if (expressions.has(expression)) condition.fail('expression', 'Duplicate value', JSON.stringify(expression));
    expressions.add(expression);
    try {
      return matchConditionOf(expression);
    } catch (error) {
      if (!(error instanceof CelError)) throw error;
      return condition.fail('expression', 'Invalid value', `${JSON.stringify(expression)}: compilation failed: ${error.message}`);
    }
  });
}

function ttl(section: Section, field: string, defaultMs: number): number {
  const ms = milliseconds(section, field, defaultMs);
  return ms > 0 ? ms : section.fail(field, 'Invalid value', `${JSON.stringify(section.text(field))}: must be > 0s`);
}

function milliseconds(section: Section, field: string, defaultMs: number): number {
  if (!section.has(field)) return defaultMs;
  try {
    return parseDuration(section.text(field));
  } catch (error) {
    if (!(error instanceof DurationError)) throw error;
    return section.fail(field, 'Invalid value', error.message);
  }
}
