/** Defaults and validation against a real server's answers (`recorded/requests.json`, v1.20), with what 1.36 answers otherwise listed here. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeObject } from '../machinery/decode.ts';
import { clone, deepFreeze } from '../machinery/clone.ts';
import type { FieldError } from '../machinery/field-error.ts';
import type { KubeObject } from '../machinery/object.ts';
import { apiVersionOf, type Kind } from './kind.ts';
import { allKinds, HorizontalPodAutoscaler, Namespace, Node, StatefulSet } from './kinds.ts';
import { validateObject } from './object-meta.ts';
import recorded from './recorded/requests.json' with { type: 'json' };

/** What is wrong with an object as it would be stored: a view of another kind is judged as that. */
function judged(kind: Kind, object: KubeObject): FieldError[] {
  const { storedAs } = kind;
  if (storedAs === undefined) return validateObject(kind, object, undefined);
  const stored = storedAs.toStored(object);
  storedAs.kind().defaults?.(stored);
  return validateObject(storedAs.kind(), stored, undefined);
}

interface RecordedCase {
  readonly case: string;
  /** `apps/deployments`, `/pods`. */
  readonly resource: string;
  readonly body: Readonly<Record<string, unknown>>;
  readonly answer?: object;
  /** `field|reason|message` of each. */
  readonly causes?: readonly string[];
}

const uid = 'a-uid';

function prepared({ resource, body }: RecordedCase): { kind: Kind; object: KubeObject } {
  const [group, plural] = resource.split('/');
  const kind = allKinds.find((kind) => kind.group === group && kind.version === 'v1' && kind.resource === plural);
  assert.ok(kind, resource);
  const { object, unknownFields, typeErrors } = decodeObject({ ...body, apiVersion: apiVersionOf(kind), kind: kind.kind }, kind.schema);
  assert.deepEqual([unknownFields, typeErrors], [[], []]);
  const parsed = object as Record<string, unknown> & KubeObject;
  Object.assign(parsed.metadata, { uid, creationTimestamp: '<time>', ...(kind.namespaced && { namespace: 'golden' }) });
  kind.defaults?.(parsed);
  kind.prepareForCreate?.(parsed);
  return { kind, object: parsed };
}

/** What differs and may: added by admission or the allocators, new in 1.36, or not written any more. */
const otherwise = [
  /^metadata\.(uid|creationTimestamp|finalizers|generation)/,
  /^apiVersion$/,
  /creationTimestamp$/,
  // Admission.
  /^spec\.(volumes|serviceAccountName|serviceAccount|tolerations|priority|preemptionPolicy)$/,
  /^spec\.containers\.0\.volumeMounts$/,
  // Newer defaults.
  /^spec\.(internalTrafficPolicy|allocateLoadBalancerNodePorts|persistentVolumeClaimRetentionPolicy)$/,
  /^spec\.(completionMode|suspend|manualSelector|podReplacementPolicy)$/,
  /^spec\.updateStrategy\.rollingUpdate\.maxSurge$/,
  /^status\.(availableReplicas|conditions)$/,
  // Jobs' labels have a prefix now; the old ones stay on the pods only.
  /(^metadata\.labels|matchLabels|template\.metadata\.labels)\..*(controller-uid|job-name)$/,
];

function differences(recorded: unknown, ours: unknown, path: string): string[] {
  if (typeof recorded === 'object' && recorded !== null && typeof ours === 'object' && ours !== null) {
    const [a, b] = [recorded as Record<string, unknown>, ours as Record<string, unknown>];
    return [...new Set([...Object.keys(a), ...Object.keys(b)])].flatMap((key) => differences(a[key], b[key], path === '' ? key : `${path}.${key}`));
  }
  if (recorded === ours || otherwise.some((pattern) => pattern.test(path))) return [];
  return [`${path}: recorded ${JSON.stringify(recorded)}, ours ${JSON.stringify(ours)}`];
}

/** Later wording of the same complaint. */
const reworded: readonly (readonly [RegExp, string])[] = [
  [/must be less than or equal to cpu limit$/, 'must be less than or equal to cpu limit of 1'],
  [
    /a valid environment variable name must consist of .*/,
    "a valid environment variable name must consist only of printable ASCII characters other than '='",
  ],
  [/Expected exactly 5 fields, found 2: every day$/, 'expected exactly 5 fields, found 2: [every day]'],
  [/"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce"$/, '"ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod"'],
  [/(?<="a\.b": )a lowercase RFC 1123 label .*/, 'must not contain dots'],
  [/not a valid CIDR$/, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'],
  [/\[\]string\(nil\)/, '[]'],
  [/maxUnavailable\|FieldValueInvalid\|.*: cannot be 0$/, 'maxUnavailable|FieldValueRequired|Required value: cannot be 0 when maxSurge is 0'],
];

/** A value that is no plain text or number is shown in the server's own language: what it is does not matter, that it is shown does. */
function withoutValue(cause: string): string {
  return cause.replace(/(?<=(Invalid|Unsupported) value: )(\d+|"[^"]*"|\[[^\]]*\](?!\w)|[\w.[\]]*\{.*\})(?=: )/, '…');
}

const onlySaidNow = [/securityContext\.procMount\|/];

test('what is defaulted is left alone: a write of a part shares the rest with what everybody reads', () => {
  const behavior = { maxReplicas: 2, scaleTargetRef: { kind: 'Deployment', name: 'a' }, behavior: {} };
  const more: readonly (readonly [Kind, object])[] = [
    [HorizontalPodAutoscaler, { metadata: { name: 'a' }, spec: behavior }],
    [Node, { metadata: { name: 'a' }, spec: { podCIDRs: ['10.0.0.0/24', 'fd00::/64'] } }],
    [Namespace, { metadata: { name: 'a' } }],
    [StatefulSet, { metadata: { name: 'a' }, spec: { volumeClaimTemplates: [{ metadata: { name: 'v' }, spec: {} }] } }],
  ];
  const good = (recorded as readonly RecordedCase[]).filter(({ answer }) => answer !== undefined).map(prepared);
  const given = more.map(([kind, body]) => {
    const { object } = decodeObject({ ...body, apiVersion: apiVersionOf(kind), kind: kind.kind }, kind.schema);
    const parsed = object as Record<string, unknown> & KubeObject;
    kind.defaults?.(parsed);
    return { kind, object: parsed };
  });
  for (const { kind, object } of [...good, ...given]) {
    // The topmost level is the write's own; views of other kinds are made anew for each.
    if (kind.storedAs === undefined) assert.doesNotThrow(() => kind.defaults?.({ ...deepFreeze(object) }), kind.kind);
  }
});

for (const recordedCase of recorded as readonly RecordedCase[]) {
  if (recordedCase.answer !== undefined) {
    test(recordedCase.case, () => {
      const { kind, object } = prepared(recordedCase);
      assert.deepEqual(judged(kind, object).map(String), []);
      assert.deepEqual(differences(recordedCase.answer, clone(object), ''), []);
    });
  } else {
    test(recordedCase.case, () => {
      const { kind, object } = prepared(recordedCase);
      const ours = judged(kind, object).map((error) => `${error.field}|${error.reason}|${error.detail()}`);
      const expected = (recordedCase.causes ?? []).map((cause) => reworded.reduce((text, [from, to]) => text.replace(from, to), cause));
      assert.deepEqual(
        new Set(ours.filter((cause) => !onlySaidNow.some((pattern) => pattern.test(cause))).map(withoutValue)),
        new Set(expected.map(withoutValue)),
      );
    });
  }
}
