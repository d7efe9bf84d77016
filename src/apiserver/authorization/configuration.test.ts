import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigurationError } from '../configuration-file.ts';
import { parseAuthorizationConfiguration } from './configuration.ts';
import { doesMatch, matchConditionOf } from './match-conditions.ts';
import type { AuthorizerChoice } from './modes.ts';

type Fields = Record<string, unknown>;

const webhook = {
  timeout: '3s',
  subjectAccessReviewVersion: 'v1',
  failurePolicy: 'NoOpinion',
  connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: '/etc/hook.conf' },
};

function parse(...authorizers: Fields[]): AuthorizerChoice[] {
  const document = { apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthorizationConfiguration', authorizers };
  return parseAuthorizationConfiguration(JSON.stringify(document), (file) => ({ server: `https://${file}` }));
}

const hook = (settings: Fields): Fields => ({ type: 'Webhook', name: 'hook', webhook: { ...webhook, ...settings } });

test('authorizers come in their order, webhooks with their settings', () => {
  const choices = parse({ type: 'Node', name: 'n' }, hook({ authorizedTTL: '1m', cacheUnauthorizedRequests: false }), { type: 'RBAC', name: 'r' });
  assert.deepEqual(
    choices.map(({ mode }) => mode),
    ['Node', 'Webhook', 'RBAC'],
  );
  const [, second] = choices;
  assert.ok(second?.mode === 'Webhook');
  const { server, timeoutMs, authorizedTtlMs, unauthorizedTtlMs, failurePolicy } = second.webhook;
  assert.deepEqual([server, timeoutMs, authorizedTtlMs, unauthorizedTtlMs, failurePolicy], ['https:///etc/hook.conf', 3000, 60_000, 0, 'NoOpinion']);
});

const broken: readonly (readonly [Fields[], RegExp])[] = [
  [[], /authorizers: Required value: at least one authorization mode must be defined/],
  [[{ type: 'ABAC', name: 'a' }], /authorizers\[0\]\.type: Unsupported value: "ABAC": supported values: "Node"/],
  [[{ type: 'Node' }], /authorizers\[0\]\.name: Required value/],
  [[{ type: 'Node', name: 'A_' }], /authorizer name is invalid/],
  [
    [
      { type: 'Node', name: 'a' },
      { type: 'RBAC', name: 'a' },
    ],
    /authorizers\[1\]\.name: Duplicate value: "a"/,
  ],
  [
    [
      { type: 'Node', name: 'a' },
      { type: 'Node', name: 'b' },
    ],
    /authorizers\[1\]\.type: Duplicate value: "Node"/,
  ],
  [[{ type: 'Node', name: 'a', webhook: {} }], /may only be specified when type=Webhook/],
  [[{ type: 'Webhook', name: 'a' }], /authorizers\[0\]\.webhook: Required value/],
  [[hook({ timeout: undefined })], /webhook\.timeout: Required value/],
  [[hook({ timeout: '0s' })], /webhook\.timeout: Invalid value: "0s": must be > 0s/],
  [[hook({ timeout: '31s' })], /must be <= 30s/],
  [[hook({ timeout: 'soon' })], /webhook\.timeout: Invalid value: time: invalid duration "soon"/],
  [[hook({ failurePolicy: undefined })], /webhook\.failurePolicy: Required value/],
  [[hook({ subjectAccessReviewVersion: 'v1beta1' })], /subjectAccessReviewVersion: Unsupported value/],
  [[hook({ connectionInfo: { type: 'InClusterConfig' } })], /give a KubeConfigFile/],
  [[hook({ connectionInfo: { type: 'KubeConfigFile', kubeConfigFile: 'x' } })], /must be an absolute path/],
  [[hook({ matchConditions: [{ expression: 'true' }] })], /matchConditionSubjectAccessReviewVersion: Required value/],
  [[hook({ matchConditionSubjectAccessReviewVersion: 'v1', matchConditions: [{ expression: 'request.' }] })], /compilation failed/],
  [[hook({ extra: 1 })], /unknown field "authorizers\[0\]\.webhook\.extra"/],
];

for (const [authorizers, words] of broken) {
  test(`a configuration is refused: ${words.source}`, () => {
    assert.throws(
      () => parse(...authorizers),
      (error: unknown) => error instanceof ConfigurationError && words.test(error.message),
    );
  });
}

const conditions = (...expressions: string[]): ReturnType<typeof matchConditionOf>[] => expressions.map(matchConditionOf);
const pods = { user: 'jo', groups: ['dev'], resourceAttributes: { verb: 'list', resource: 'pods', namespace: 'a' } };

test('all conditions must hold; one that does not settles it even when another fails', () => {
  assert.equal(doesMatch(conditions('has(request.resourceAttributes)', '"dev" in request.groups'), pods), true);
  assert.equal(doesMatch(conditions('request.resourceAttributes.namespace == "b"'), pods), false);
  const failing = 'request.nonResourceAttributes.path == "/"';
  assert.ok(doesMatch(conditions(failing), pods) instanceof Error);
  assert.equal(doesMatch(conditions(failing, 'request.user == "ann"'), pods), false);
});

test('texts that were not given are empty, parts that were not are absent', () => {
  assert.equal(doesMatch(conditions('request.resourceAttributes.name == "" && request.uid == ""'), pods), true);
  assert.equal(doesMatch(conditions('!has(request.nonResourceAttributes)'), pods), true);
});
