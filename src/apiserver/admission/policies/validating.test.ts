import assert from 'node:assert/strict';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { Fixture, type Reply } from '../../verbs/fixture.ts';

const group = '/apis/admissionregistration.k8s.io/v1';
const maps = '/api/v1/namespaces/a/configmaps';
let server: Fixture;
beforeEach(async () => {
  server = await Fixture.open({ rbac: true });
});
afterEach(() => server.close());

const onConfigMaps = {
  resourceRules: [{ operations: ['CREATE', 'UPDATE', 'DELETE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
};

async function policy(name: string, spec: object, ...bindings: readonly object[]): Promise<void> {
  const made = await server.post(`${group}/validatingadmissionpolicies`, { metadata: { name }, spec: { matchConstraints: onConfigMaps, ...spec } });
  assert.equal(made.code, 201, JSON.stringify(made.body));
  for (const [index, binding] of (bindings.length === 0 ? [{}] : bindings).entries()) {
    const body = { metadata: { name: `${name}-${index}` }, spec: { policyName: name, validationActions: ['Deny'], ...binding } };
    const bound = await server.post(`${group}/validatingadmissionpolicybindings`, body);
    assert.equal(bound.code, 201, JSON.stringify(bound.body));
  }
}

function makeMap(name: string, data: object = {}, query = ''): Promise<Reply> {
  return server.post(maps + query, { metadata: { name, labels: { app: name } }, data });
}

function told({ code, body }: Reply): unknown[] {
  return [code, body['reason'], body['message']];
}

const refusal = (why: string, name = 'm', index = 0): string =>
  `configmaps "${name}" is forbidden: ValidatingAdmissionPolicy 'p' with binding 'p-${index}' denied request: ${why}`;

describe('validating admission policies', () => {
  test('refuse what they do not hold for, in upstream words', async () => {
    await policy('p', {
      validations: [
        { expression: 'object.data.size() < 2' },
        { expression: "object.metadata.name != 'bad'", message: 'no bad names', reason: 'Forbidden' },
      ],
    });
    assert.deepEqual(told(await makeMap('m', { a: '1', b: '2' })), [422, 'Invalid', refusal('failed expression: object.data.size() < 2')]);
    assert.deepEqual(told(await makeMap('bad', { a: '1' })), [403, 'Forbidden', refusal('no bad names', 'bad')]);
    assert.equal((await makeMap('good', { a: '1' })).code, 201);
  });

  test('without a binding do nothing, and stop when it goes', async () => {
    await server.post(`${group}/validatingadmissionpolicies`, {
      metadata: { name: 'p' },
      spec: { matchConstraints: onConfigMaps, validations: [{ expression: 'false' }] },
    });
    assert.equal((await makeMap('one')).code, 201);
    await server.post(`${group}/validatingadmissionpolicybindings`, {
      metadata: { name: 'b' },
      spec: { policyName: 'p', validationActions: ['Deny'] },
    });
    assert.equal((await makeMap('two')).code, 422);
    await server.delete(`${group}/validatingadmissionpolicybindings/b`);
    assert.equal((await makeMap('three')).code, 201);
  });

  test('see the old object, the request, the namespace and variables', async () => {
    await policy('p', {
      variables: [
        { name: 'size', expression: 'object.data.size()' },
        { name: 'double', expression: 'variables.size * 2' },
      ],
      validations: [
        {
          expression: "request.operation != 'UPDATE' || variables.double > oldObject.data.size()",
          messageExpression: "'%d is too little in %s for %s'.format([variables.double, namespaceObject.metadata.name, request.userInfo.username])",
        },
      ],
      matchConditions: [{ name: 'no-deletes', expression: "request.operation != 'DELETE'" }],
    });
    await makeMap('m', { a: '1', b: '2' });
    const fewer = await server.put(`${maps}/m`, { metadata: { name: 'm' }, data: { a: '1' } });
    assert.deepEqual(told(fewer), [422, 'Invalid', refusal('2 is too little in a for admin')]);
    assert.equal((await server.delete(`${maps}/m`)).code, 200);
  });

  test('warn, and go on', async () => {
    await policy('p', { validations: [{ expression: 'false', message: 'never' }] }, { validationActions: ['Warn', 'Audit'] });
    const reply = await makeMap('m');
    assert.deepEqual([reply.code, reply.warnings], [201, ["Validation failed for ValidatingAdmissionPolicy 'p' with binding 'p-0': never"]]);
  });

  test('that cannot be evaluated refuse, or do not, as their failure policy says', async () => {
    await policy('p', { validations: [{ expression: 'object.spec.none == 1' }] });
    assert.deepEqual(told(await makeMap('m')), [422, 'Invalid', refusal("expression 'object.spec.none == 1' resulted in error: no such key: spec")]);
    await server.patch(`${group}/validatingadmissionpolicies/p`, { spec: { failurePolicy: 'Ignore' } });
    assert.equal((await makeMap('m')).code, 201);
  });

  describe('with parameters', () => {
    const withMaximum = {
      paramKind: { apiVersion: 'v1', kind: 'ConfigMap' },
      validations: [{ expression: 'object.data.size() <= int(params.data.max)' }],
    };
    const cases: Readonly<Record<string, [paramRef: object, sizes: readonly number[], codes: readonly number[]]>> = {
      'by name': [{ name: 'limit-2', namespace: 'b', parameterNotFoundAction: 'Deny' }, [2, 3], [201, 422]],
      'by selector, all of them': [
        { selector: { matchLabels: { kind: 'limit' } }, namespace: 'b', parameterNotFoundAction: 'Deny' },
        [1, 2],
        [201, 422],
      ],
      'that are not there, which refuses': [{ name: 'other', namespace: 'b', parameterNotFoundAction: 'Deny' }, [0], [422]],
      'that are not there, which does not matter': [{ name: 'other', namespace: 'b', parameterNotFoundAction: 'Allow' }, [3], [201]],
    };
    for (const [name, [paramRef, sizes, codes]] of Object.entries(cases)) {
      test(name, async () => {
        await server.post('/api/v1/namespaces', { metadata: { name: 'b' } });
        for (const max of ['1', '2']) {
          await server.post('/api/v1/namespaces/b/configmaps', { metadata: { name: `limit-${max}`, labels: { kind: 'limit' } }, data: { max } });
        }
        await policy('p', withMaximum, { paramRef });
        for (const [index, size] of sizes.entries()) {
          const data = Object.fromEntries(Array.from({ length: size }, (_, n) => [`k${n}`, '']));
          assert.equal((await makeMap(`m${index}`, data)).code, codes[index]);
        }
      });
    }

    test('of a kind that nobody serves', async () => {
      await policy(
        'p',
        { paramKind: { apiVersion: 'example.com/v1', kind: 'Limit' }, validations: [{ expression: 'true' }] },
        { paramRef: { name: 'x', parameterNotFoundAction: 'Allow' } },
      );
      const why = "failed to configure binding: failed to find resource referenced by paramKind: 'example.com/v1, Kind=Limit'";
      assert.deepEqual(told(await makeMap('m')), [422, 'Invalid', refusal(why)]);
    });
  });

  test('ask what the sender may do', async () => {
    await policy('p', {
      validations: [
        { expression: "authorizer.group('').resource('secrets').namespace('a').check('get').allowed()" },
        {
          expression:
            "authorizer.serviceAccount('a', 'default').path('/healthz').check('get').allowed() || authorizer.requestResource.check('create').allowed()",
        },
      ],
    });
    const user = { name: 'eve', uid: '', groups: [], extra: {} };
    const body = { metadata: { name: 'm' } };
    assert.equal((await server.post(maps, body, { user })).code, 422);
    const rules = [
      { apiGroups: [''], resources: ['secrets'], verbs: ['get'] },
      { apiGroups: [''], resources: ['configmaps'], verbs: ['create'] },
    ];
    await server.post('/apis/rbac.authorization.k8s.io/v1/namespaces/a/roles', { metadata: { name: 'r' }, rules });
    const roleRef = { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' };
    await server.post('/apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings', {
      metadata: { name: 'r' },
      roleRef,
      subjects: [{ kind: 'User', name: 'eve', apiGroup: 'rbac.authorization.k8s.io' }],
    });
    assert.equal((await server.post(maps, body, { user })).code, 201);
  });

  test('match by rules, exclusions, names and selectors, of the policy and of the binding', async () => {
    const [rule] = onConfigMaps.resourceRules;
    const matchConstraints = {
      resourceRules: [rule],
      excludeResourceRules: [{ ...rule, resourceNames: ['spared'] }],
      objectSelector: { matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['unseen'] }] },
    };
    await policy(
      'p',
      { matchConstraints, validations: [{ expression: 'false' }] },
      { matchResources: { namespaceSelector: { matchLabels: { strict: 'yes' } } } },
    );
    assert.equal((await makeMap('m')).code, 201);
    await server.patch('/api/v1/namespaces/a', { metadata: { labels: { strict: 'yes' } } });
    const codes = [];
    for (const name of ['n', 'spared', 'unseen']) codes.push((await makeMap(name)).code);
    assert.deepEqual(codes, [422, 201, 201]);
  });

  test('are matched by any version of a resource, and see it in the version they name', async () => {
    const scaler = (version: string): object => ({
      apiVersion: `autoscaling/${version}`,
      kind: 'HorizontalPodAutoscaler',
      metadata: { name: `h-${version}` },
      spec: {
        maxReplicas: 3,
        scaleTargetRef: { kind: 'Deployment', name: 'd', apiVersion: 'apps/v1' },
        ...(version === 'v1' && { targetCPUUtilizationPercentage: 50 }),
      },
    });
    const resourceRules = [{ operations: ['CREATE'], apiGroups: ['autoscaling'], apiVersions: ['v2'], resources: ['horizontalpodautoscalers'] }];
    await policy('p', {
      matchConstraints: { resourceRules },
      validations: [{ expression: "!has(object.spec.metrics) || object.spec.metrics.all(m, m.type != 'Resource')" }],
    });
    const post = async (version: string): Promise<number> =>
      (await server.post(`/apis/autoscaling/${version}/namespaces/a/horizontalpodautoscalers`, scaler(version))).code;
    assert.equal(await post('v1'), 422);
    await server.patch(`${group}/validatingadmissionpolicies/p`, { spec: { matchConstraints: { matchPolicy: 'Exact' } } });
    assert.equal(await post('v1'), 201);
  });

  test('may not cost too much', async () => {
    await policy('p', { validations: [{ expression: 'lists.range(1000).all(a, lists.range(1000).all(b, a + b >= 0))' }] });
    const { code, body } = await makeMap('m');
    assert.equal(code, 422);
    assert.match(body['message'], /operation cancelled: actual cost limit exceeded/);
  });

  test('have a budget for all their expressions together', async () => {
    const expression = 'lists.range(60000).all(a, a + 1 >= 0)';
    await policy('p', { validations: Array.from({ length: 30 }, () => ({ expression })) });
    assert.deepEqual(told(await makeMap('m')), [
      422,
      'Invalid',
      refusal('validation failed due to running out of cost budget, no further validation rules will be run'),
    ]);
  });

  test('do not judge themselves', async () => {
    const resourceRules = [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }];
    await policy('p', { matchConstraints: { resourceRules }, validations: [{ expression: 'false' }] });
    assert.equal((await makeMap('m')).code, 422);
    assert.equal((await server.delete(`${group}/validatingadmissionpolicybindings/p-0`)).code, 200);
    assert.equal((await server.delete(`${group}/validatingadmissionpolicies/p`)).code, 200);
    assert.equal((await makeMap('m')).code, 201);
  });
});

describe('policies that are refused', () => {
  const cases: Readonly<Record<string, [spec: object, causes: readonly string[]]>> = {
    'without anything to do': [{}, ['spec.validations FieldValueRequired', 'spec.auditAnnotations FieldValueRequired']],
    'with what does not compile': [
      { validations: [{ expression: 'object.' }, { expression: 'nothing == 1' }] },
      ['spec.validations[0].expression FieldValueInvalid', 'spec.validations[1].expression FieldValueInvalid'],
    ],
    'with another type than a truth value': [{ validations: [{ expression: "'a'" }] }, ['spec.validations[0].expression FieldValueInvalid']],
    'with a message that is none': [
      { validations: [{ expression: 'true', messageExpression: '1' }] },
      ['spec.validations[0].messageExpression FieldValueInvalid'],
    ],
    'with an authorizer in a message': [
      { validations: [{ expression: 'true', messageExpression: "authorizer.path('/x').check('get').reason()" }] },
      ['spec.validations[0].messageExpression FieldValueInvalid'],
    ],
    'with parameters nobody declared': [{ validations: [{ expression: 'params.x == 1' }] }, ['spec.validations[0].expression FieldValueInvalid']],
    'with variables used before they are there': [
      {
        variables: [
          { name: 'a', expression: 'variables.b' },
          { name: 'b', expression: '1' },
        ],
        validations: [{ expression: 'true' }],
      },
      ['spec.variables[0].expression FieldValueInvalid'],
    ],
    'with a reason nobody knows': [{ validations: [{ expression: 'true', reason: 'Why' }] }, ['spec.validations[0].reason FieldValueNotSupported']],
    'with a condition that is none': [
      { matchConditions: [{ name: 'x', expression: '1' }], validations: [{ expression: 'true' }] },
      ['spec.matchConditions[0].expression FieldValueInvalid'],
    ],
    'with an unknown field of the request': [
      { validations: [{ expression: "request.verb == 'x'" }] },
      ['spec.validations[0].expression FieldValueInvalid'],
    ],
    'with an annotation that is no text': [
      { auditAnnotations: [{ key: 'k', valueExpression: '1' }] },
      ['spec.auditAnnotations[0].valueExpression FieldValueInvalid'],
    ],
  };
  for (const [name, [spec, causes]] of Object.entries(cases)) {
    test(name, async () => {
      const { code, body } = await server.post(`${group}/validatingadmissionpolicies`, {
        metadata: { name: 'p' },
        spec: { matchConstraints: onConfigMaps, ...spec },
      });
      const found = (body['details']?.causes ?? []).map((cause: { field: string; reason: string }) => `${cause.field} ${cause.reason}`);
      assert.deepEqual([code, found], [422, causes]);
    });
  }

  test('with upstream words', async () => {
    const { body } = await server.post(`${group}/validatingadmissionpolicies`, {
      metadata: { name: 'p' },
      spec: { matchConstraints: onConfigMaps, validations: [{ expression: 'nothing == 1' }] },
    });
    assert.equal(
      body['details'].causes[0].message,
      `Invalid value: "nothing == 1": compilation failed: ERROR: <input>:1:1: undeclared reference to 'nothing' (in container '')\n | nothing == 1\n | ^`,
    );
  });
});
