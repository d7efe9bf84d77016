import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ValidatingAdmissionPolicy } from '../../src/api/kinds.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';

async function policy(plane: ControlPlane, expressions: readonly string[], rule: object = {}): Promise<ValidatingAdmissionPolicy> {
  const resourceRules = [{ operations: ['*'], apiGroups: ['apps'], apiVersions: ['v1'], resources: ['deployments', 'statefulsets'], ...rule }];
  const validations = expressions.map((expression) => ({ expression }));
  const variables = [{ name: 'replicas', expression: 'object.spec.replicas' }];
  await plane.create(ValidatingAdmissionPolicy, {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: { name: 'p' },
    spec: { matchConstraints: { resourceRules }, variables, validations },
  });
  await plane.settle();
  return plane.get(ValidatingAdmissionPolicy, 'p', undefined);
}

test('what is wrong for a kind a policy matches is told in its status', async () => {
  const plane = await startControlPlane();
  const expressions = [
    'variables.replicas > 1',
    'object.spec.replicsa > 1',
    "variables.replicas > 'a'",
    "object.metadata.labels['x'] == 'y'",
    'object.spec.serviceName == "x"',
  ];
  const { status, metadata } = await policy(plane, expressions);
  assert.equal(status.observedGeneration, metadata.generation);
  const misspelt = (kind: string): string =>
    `apps/v1, Kind=${kind}: ERROR: <input>:1:12: undefined field 'replicsa'\n | object.spec.replicsa > 1\n | ...........^`;
  const wrong = (kind: string): string =>
    `apps/v1, Kind=${kind}: ERROR: <input>:1:20: found no matching overload for '_>_' applied to '(int, string)'\n | variables.replicas > 'a'\n | ...................^`;
  assert.deepEqual(status.typeChecking, {
    expressionWarnings: [
      { fieldRef: 'spec.validations[1].expression', warning: `${misspelt('Deployment')}\n${misspelt('StatefulSet')}` },
      { fieldRef: 'spec.validations[2].expression', warning: `${wrong('Deployment')}\n${wrong('StatefulSet')}` },
      {
        fieldRef: 'spec.validations[4].expression',
        warning: `apps/v1, Kind=Deployment: ERROR: <input>:1:12: undefined field 'serviceName'\n | object.spec.serviceName == "x"\n | ...........^`,
      },
    ],
  });
  await plane.close();
});

test('nothing is wrong with what may be about any kind', async () => {
  const plane = await startControlPlane();
  const { status } = await policy(plane, ['object.anything > 1'], { apiGroups: ['*'], resources: ['*'] });
  assert.deepEqual([status.observedGeneration, status.typeChecking], [1, {}]);
  await plane.close();
});
