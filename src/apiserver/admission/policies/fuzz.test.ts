import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fixture } from '../../verbs/fixture.ts';

const group = '/apis/admissionregistration.k8s.io/v1';

const expression = fc.oneof(
  fc.constantFrom(
    'true',
    'object.data.size() > 0',
    'object == oldObject',
    'variables.v',
    'params.data.x == 1',
    'Object{}',
    'Object{data: {"k": "v"}}',
    'Object{data: {"k": 1}}',
    'Object{metadata: Object.metadata{name: "other"}}',
    'Object{data: Object.data{k: object}}',
    '[JSONPatch{op: "remove", path: "/metadata"}]',
    '[JSONPatch{op: "add", path: "/data/x", value: object}]',
    '[JSONPatch{op: "nothing", path: "x", value: null}]',
    "authorizer.requestResource.check('get').allowed()",
    "namespaceObject.metadata.labels['a'] == request.userInfo.extra['b'][0]",
  ),
  fc.string({ maxLength: 20 }),
);
const junk = fc.oneof(fc.constantFrom(null, 1, '', {}, [], [null], 'x'), expression);
const rules = fc.constantFrom<unknown>(
  [{ operations: ['*'], apiGroups: ['*'], apiVersions: ['*'], resources: ['*'] }],
  [{ operations: ['CREATE'], apiGroups: [''], apiVersions: ['v1'], resources: ['configmaps'] }],
  [{}],
  [],
  null,
);
const sometimes = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<unknown> => fc.oneof({ weight: 5, arbitrary: value }, { weight: 1, arbitrary: junk });
const spec = fc.record(
  {
    failurePolicy: fc.constantFrom('Fail', 'Ignore', 'x'),
    reinvocationPolicy: fc.constantFrom('Never', 'IfNeeded'),
    matchConstraints: sometimes(fc.record({ resourceRules: rules, excludeResourceRules: rules }, { requiredKeys: ['resourceRules'] })),
    paramKind: sometimes(fc.constantFrom({ apiVersion: 'v1', kind: 'ConfigMap' }, { apiVersion: 'a/b/c', kind: '' })),
    matchConditions: sometimes(fc.array(fc.record({ name: fc.constantFrom('a', 'b'), expression }), { maxLength: 2 })),
    variables: sometimes(fc.array(fc.record({ name: fc.constantFrom('v', 'w', 'a-b'), expression }), { maxLength: 2 })),
    validations: sometimes(
      fc.array(fc.record({ expression, messageExpression: expression, message: junk }, { requiredKeys: ['expression'] }), { maxLength: 2 }),
    ),
    auditAnnotations: sometimes(fc.array(fc.record({ key: fc.constantFrom('k', ''), valueExpression: expression }), { maxLength: 2 })),
    mutations: sometimes(
      fc.array(
        fc.record(
          {
            patchType: fc.constantFrom('JSONPatch', 'ApplyConfiguration'),
            jsonPatch: fc.record({ expression }),
            applyConfiguration: fc.record({ expression }),
          },
          { requiredKeys: ['patchType'] },
        ),
        { maxLength: 2 },
      ),
    ),
  },
  { requiredKeys: ['matchConstraints', 'failurePolicy'] },
);
const binding = fc.record(
  {
    validationActions: sometimes(fc.subarray(['Deny', 'Warn', 'Audit'], { minLength: 1 })),
    paramRef: sometimes(
      fc.record({
        name: fc.constantFrom('m', 'none', ''),
        namespace: fc.constantFrom('a', 'x'),
        parameterNotFoundAction: fc.constantFrom('Allow', 'Deny'),
      }),
    ),
    matchResources: sometimes(fc.record({ resourceRules: rules })),
  },
  { requiredKeys: ['validationActions'] },
);

for (const type of ['validating', 'mutating'] as const) {
  test(`${type} policies of any content are refused or judged by, without a failure of the server`, async () => {
    const server = await Fixture.open();
    await fc.assert(
      fc.asyncProperty(spec, binding, async (policySpec, bindingSpec) => {
        const mine =
          type === 'validating'
            ? { ...policySpec, reinvocationPolicy: undefined, mutations: undefined }
            : { ...policySpec, validations: undefined, auditAnnotations: undefined };
        const policy = await server.post(`${group}/${type}admissionpolicies`, { metadata: { name: 'p' }, spec: mine });
        const bound = await server.post(`${group}/${type}admissionpolicybindings`, {
          metadata: { name: 'p' },
          spec: { policyName: 'p', ...bindingSpec },
        });
        const made = await server.post('/api/v1/namespaces/a/configmaps', { metadata: { name: 'm' }, data: { a: 'b' } });
        const changed = await server.patch('/api/v1/namespaces/a/configmaps/m', { data: { c: 'd' } });
        for (const { code, body } of [policy, bound, made, changed]) {
          assert.ok(code < 500, `${code} ${String(body['message'])}`);
        }
        await server.delete(`${group}/${type}admissionpolicybindings/p`);
        await server.delete(`${group}/${type}admissionpolicies/p`);
        await server.delete('/api/v1/namespaces/a/configmaps/m');
      }),
      { numRuns: 60 },
    );
    await server.close();
  });
}
