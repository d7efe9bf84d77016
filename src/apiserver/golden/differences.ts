/** Where v1.36 answers otherwise than the v1.20 server whose answers are recorded in `requests.json`, each with its reason. */

export interface Difference {
  readonly why: string;
  /** The group's version today, in place of the recorded one in path, body and answer. */
  readonly version?: readonly [from: string, to: string];
  readonly status?: number;
  readonly reason?: string;
  /** All causes as field and reason. */
  readonly causes?: readonly (readonly [string, string])[];
  /** Causes besides the recorded ones. */
  readonly moreCauses?: readonly (readonly [string, string])[];
  /** Managers of `managedFields` that are there besides the recorded ones. */
  readonly moreManagers?: readonly string[];
}

const emptyMapsAreOwned = 'a manager that applies an empty map owns it since structured-merge-diff v4.1';

/** By case. What is left out is as recorded. */
export const differences: Readonly<Record<string, Difference>> = {
  'default pdb': { why: 'policy/v1beta1 was removed in v1.25', version: ['policy/v1beta1', 'policy/v1'] },
  'invalid cronjob bad schedule': { why: 'batch/v1beta1 was removed in v1.25', version: ['batch/v1beta1', 'batch/v1'] },
  'invalid service cluster ip out of range': {
    why: 'dry runs allocate (and give back) since v1.22',
    status: 422,
    reason: 'Invalid',
    causes: [['spec.clusterIPs', 'FieldValueInvalid']],
  },
  'invalid service node port out of range': {
    why: 'dry runs allocate (and give back) since v1.22',
    status: 422,
    reason: 'Invalid',
    causes: [['spec.ports[0].nodePort', 'FieldValueInvalid']],
  },
  'invalid pod bad security context': {
    why: 'procMount was dropped unseen behind its feature gate, which is on since v1.33',
    moreCauses: [['spec.containers[0].securityContext.procMount', 'FieldValueNotSupported']],
  },
  'invalid daemonset bad': {
    why: 'with maxSurge (v1.22) a maxUnavailable of 0 can be right, and is missing only when both are 0',
    causes: [
      ['spec.template.spec.restartPolicy', 'FieldValueNotSupported'],
      ['spec.updateStrategy.rollingUpdate.maxUnavailable', 'FieldValueRequired'],
    ],
  },
  'request bad resource version': { why: "a client's mistake was answered as the server's", status: 400, reason: 'BadRequest', causes: [] },
  'managed apply removes owned': { why: emptyMapsAreOwned, moreManagers: ['one'] },
  'managed update by another': { why: emptyMapsAreOwned, moreManagers: ['one'] },
};

/** Paths no resource is served below: the recorded answers are plain text and a list of paths, from the front and not from the verbs. */
export const answeredByFront: ReadonlySet<string> = new Set(['request unknown group', 'request unknown path']);

/** Fields that are there besides the recorded ones, and why. Items of lists are `[]`. */
export const newFields: readonly (readonly [path: string, why: string])[] = [
  ['.metadata.generation', 'of pods, since v1.33'],
  ['.spec.internalTrafficPolicy', 'default of Services since v1.22'],
  ['.spec.ipFamilyPolicy', 'dual stack is on since v1.21'],
  ['.spec.ipFamilies', 'dual stack is on since v1.21'],
  ['.spec.allocateLoadBalancerNodePorts', 'default of load balancers since v1.22'],
  ['.spec.clusterIP', 'dry runs allocate (and give back) since v1.22'],
  ['.spec.clusterIPs', 'dry runs allocate (and give back) since v1.22'],
  ['.status.availableReplicas', 'of stateful sets, never left out since v1.22'],
  ['.spec.updateStrategy.rollingUpdate.maxSurge', 'of daemon sets, since v1.22'],
  ['.spec.persistentVolumeClaimRetentionPolicy', 'of stateful sets, default since v1.27'],
  ['.spec.suspend', 'default of Jobs since v1.21'],
  ['.spec.completionMode', 'default of Jobs since v1.21'],
  ['.spec.manualSelector', 'default of Jobs since v1.31'],
  ['.spec.podReplacementPolicy', 'default of Jobs since v1.29'],
  ['.metadata.labels.batch.kubernetes.io/job-name', 'prefixed labels of Jobs since v1.27'],
  ['.metadata.labels.batch.kubernetes.io/controller-uid', 'prefixed labels of Jobs since v1.27'],
  ['.spec.template.metadata.labels.batch.kubernetes.io/job-name', 'prefixed labels of Jobs since v1.27'],
  ['.spec.template.metadata.labels.batch.kubernetes.io/controller-uid', 'prefixed labels of Jobs since v1.27'],
  ['.spec.selector.matchLabels.batch.kubernetes.io/controller-uid', 'prefixed labels of Jobs since v1.27'],
];

/** Fields that were recorded and are not there, and why. */
export const goneFields: readonly (readonly [path: string, why: string])[] = [
  ['.spec.selector.matchLabels.controller-uid', 'Jobs select by the prefixed label since v1.27'],
];
