import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { Fixture } from '../verbs/fixture.ts';
import { startTestWebhook } from './webhooks/test-webhook.ts';

let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open();
});
afterEach(() => server.close());

function value(name: string, ...labels: readonly string[]): number {
  const line = server.verbs.admissionMetrics().find((each) => each.startsWith(`${name}{`) && labels.every((label) => each.includes(label)));
  return line === undefined ? 0 : Number(line.slice(line.lastIndexOf(' ') + 1));
}

test('steps and plugins are counted, refusals apart', async () => {
  const step = 'apiserver_admission_step_admission_duration_seconds_count';
  const controller = 'apiserver_admission_controller_admission_duration_seconds_count';
  const labels = ['name="NamespaceLifecycle"', 'operation="CREATE"', 'rejected="true"', 'type="admit"'];
  const [steps, refusals] = [value(step, 'operation="CREATE"', 'rejected="false"', 'type="validate"'), value(controller, ...labels)];
  await server.post('/api/v1/namespaces/a/configmaps', { metadata: { name: 'm' } });
  await server.post('/api/v1/namespaces/nowhere/configmaps', { metadata: { name: 'm' } });
  assert.equal(value(step, 'operation="CREATE"', 'rejected="false"', 'type="validate"'), steps + 1);
  assert.equal(value(controller, ...labels), refusals + 1);
});

test('webhooks are counted by answer, refusal and failure', async (t) => {
  const hook = await startTestWebhook(({ name }) => ({ allowed: name !== 'bad' }), []);
  t.after(() => hook.close());
  const rule = { operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] };
  const usual = { rules: [rule], sideEffects: 'None', admissionReviewVersions: ['v1'] };
  const made = await server.post('/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations', {
    metadata: { name: 'v' },
    webhooks: [
      { ...usual, name: 'deny.example.com', clientConfig: { url: hook.url('/deny'), caBundle: hook.caBundle } },
      { ...usual, name: 'absent.example.com', clientConfig: { url: 'https://127.0.0.1:1/x' }, failurePolicy: 'Ignore' },
    ],
  });
  assert.equal(made.code, 201, JSON.stringify(made.body));
  await server.post('/api/v1/namespaces/a/configmaps', { metadata: { name: 'good' } });
  await server.post('/api/v1/namespaces/a/configmaps', { metadata: { name: 'bad' } });
  const prefix = 'apiserver_admission_webhook';
  assert.equal(value(`${prefix}_request_total`, 'code="200"', 'name="deny.example.com"', 'rejected="false"'), 1);
  assert.equal(value(`${prefix}_request_total`, 'code="200"', 'name="deny.example.com"', 'rejected="true"'), 1);
  assert.equal(value(`${prefix}_rejection_count`, 'error_type="no_error"', 'rejection_code="400"'), 1);
  assert.equal(value(`${prefix}_fail_open_count`, 'name="absent.example.com"'), 2);
  assert.equal(value(`${prefix}_admission_duration_seconds_count`, 'name="deny.example.com"', 'rejected="true"'), 1);
});
