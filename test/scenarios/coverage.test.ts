/** Every controller and every scheduler plugin has a scenario that would fail without it. */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { allControllers } from '../../src/controllers/all-controllers.ts';
import { defaultPlugins } from '../../src/scheduler/plugins.ts';
import { readScenarios } from './scenario.ts';

const controllers: Readonly<Record<string, string>> = {
  'serviceaccount-controller': "identities: every namespace has an account and the cluster's authority, and gets them back",
  'serviceaccount-token-controller': "identities: a Secret that asks for an account's token gets one that opens the API, and goes with the account",
  'root-ca-certificate-publisher-controller': "identities: every namespace has an account and the cluster's authority, and gets them back",
  'node-ipam-controller': 'nodes: every node has a block of the pod network and a lease',
  'node-lifecycle-controller': 'nodes: a node that says no more is left by its pods, and comes back',
  'taint-eviction-controller': 'nodes: a NoExecute taint drives pods out, after as long as they tolerate it',
  'device-taint-eviction-controller':
    "devices: a claim is made from the pod's template and has a device allocated; pods leave a device with a NoExecute taint they do not tolerate",
  'ttl-controller': 'nodes: nodes are registered, and told how long kubelets may go on with what they read',
  'endpoints-controller': 'endpoints: slices follow the pods that are ready, and name those that are not',
  'endpointslice-controller': 'endpoints: slices follow the pods that are ready, and name those that are not',
  'endpointslice-mirroring-controller': 'endpoints: endpoints somebody writes are mirrored',
  'replicaset-controller': 'deployments: a replica set adopts what matches and releases what no longer does',
  'replicationcontroller-controller': 'replication-controllers: as many pods as asked for, whoever made them',
  'deployment-controller': 'deployments: a rolling update keeps within maxSurge and maxUnavailable',
  'daemonset-controller': 'daemon-sets: one pod on every node that fits, also on new ones',
  'statefulset-controller': 'stateful-sets: pods come in order, keep their names, and go in reverse order',
  'job-controller': 'jobs: as many at once as may be, as often as must be',
  'cronjob-controller': 'cron-jobs: jobs are made when it is time, in the zone that is said',
  'ttl-after-finished-controller': 'jobs: a job has a deadline, and is gone some time after its end',
  'service-lb-controller': "load-balancers: a LoadBalancer's address comes and goes with its type",
  'service-cidr-controller': 'cluster-configuration: a ServiceCIDR adds addresses, and stays while they are used',
  'disruption-controller': 'disruption: a budget counts what may be disrupted, and evictions cannot overshoot it',
  'horizontal-pod-autoscaler-controller':
    'autoscaling: an autoscaler follows the load, upwards at most to twice the size, downwards after five quiet minutes',
  'namespace-controller': 'deletion: a namespace that cannot go says what is left in it, and why',
  'pod-garbage-collector-controller': 'garbage: ended pods past their time, and pods of nodes that are gone',
  'clusterrole-aggregation-controller': 'identities: a cluster role that is made of others follows them',
  'validatingadmissionpolicy-status-controller': "cluster-configuration: what is wrong with an admission policy's expressions is told in its status",
  'certificatesigningrequest-approving-controller': 'identities: a kubelet that joins has its certificate approved without a human, if it may',
  'certificatesigningrequest-signing-controller':
    'identities: an approved request gets its certificate, one that asks for too much fails, and one whose certificate has ended is swept',
  'certificatesigningrequest-cleaner-controller':
    'identities: an approved request gets its certificate, one that asks for too much fails, and one whose certificate has ended is swept',
  'bootstrap-signer-controller': 'identities: bootstrap tokens sign what anybody may read of the cluster, and end',
  'token-cleaner-controller': 'identities: bootstrap tokens sign what anybody may read of the cluster, and end',
  'resourcequota-controller': 'quota: a quota counts exactly, refuses what is too much, and gives back',
  'resourceclaim-controller':
    "devices: a claim is made from the pod's template and has a device allocated; pods leave a device with a NoExecute taint they do not tolerate",
  'persistentvolume-binder-controller': 'storage: a claim takes the smallest volume that suits, and says so on both sides',
  'persistentvolume-attach-detach-controller': "storage: a driver's volume is attached to its node, and detached after the pod",
  'persistentvolume-expander-controller': 'storage: an expansion is left to the driver, where the class allows one',
  'ephemeral-volume-controller': "storage: a pod's ephemeral volume has a claim of its own, gone with the pod",
  'persistentvolumeclaim-protection-controller': 'storage: a claim in use is not deleted before its pod is gone',
  'persistentvolume-protection-controller': 'storage: a volume in use is not deleted before its claim is gone',
  'volumeattributesclass-protection-controller': 'storage: a class of attributes stays as long as a claim asks for it',
  'garbage-collector-controller': 'deletion: deleting an owner in the background takes what it owns',
};

const plugins: Readonly<Record<string, string>> = {
  SchedulingGates: 'scheduling: scheduling gates hold a pod back',
  PrioritySort: 'scheduling-plugins: PrioritySort tries the most important of those that wait first',
  NodeUnschedulable: 'scheduling-plugins: NodeUnschedulable keeps pods off cordoned nodes, but for those that tolerate it or name their node',
  TaintToleration: 'scheduling: taints keep pods away or drive them out, tolerations let them stay',
  NodeAffinity: 'scheduling: required and preferred node affinity',
  NodePorts: 'scheduling-plugins: NodePorts lets one pod have a port of the host',
  NodeResourcesFit: 'scheduling-plugins: NodeResourcesFit and NodeResourcesBalancedAllocation choose the node that is left best off',
  VolumeRestrictions: 'scheduling-plugins: VolumeRestrictions lets one pod have a claim that is for one pod',
  NodeVolumeLimits: "scheduling-plugins: NodeVolumeLimits counts a driver's volumes",
  VolumeBinding: 'scheduling-plugins: VolumeBinding says which volumes are missing',
  VolumeZone: 'scheduling-plugins: VolumeZone keeps a pod in the zone of its volume',
  PodTopologySpread: 'scheduling-plugins: PodTopologySpread spreads over zones, and over as many as minDomains asks for',
  InterPodAffinity: 'scheduling-plugins: InterPodAffinity waits for company, and keeps apart what wants to be',
  DynamicResources: 'scheduling-plugins: DynamicResources waits for a claim and for devices',
  DefaultPreemption: 'scheduling-plugins: DefaultPreemption makes room for a more important pod, and not for one that is told to wait',
  NodeResourcesBalancedAllocation: 'scheduling-plugins: NodeResourcesFit and NodeResourcesBalancedAllocation choose the node that is left best off',
  ImageLocality: 'scheduling-plugins: ImageLocality goes where the image is',
};

/** What no scenario can show, and where it is shown. */
const elsewhere: Readonly<Record<string, string>> = {
  'legacy-serviceaccount-token-cleaner-controller': 'it waits for years: test/controllers/credentials.test.ts',
  NodeName: 'pods that name their node do not come to the scheduler: src/scheduler/plugins/placement.test.ts',
  DefaultBinder: 'every scenario with a pod',
};

test('each controller and plugin has a scenario, or a reason why not', () => {
  const names = new Set(
    globSync('*.yaml', { cwd: import.meta.dirname }).flatMap((file) =>
      readScenarios(join(import.meta.dirname, file)).map((one) => `${one.file}: ${one.name}`),
    ),
  );
  const shown = { ...controllers, ...plugins };
  assert.deepEqual(
    Object.values(shown).filter((name) => !names.has(name)),
    [],
  );
  const all = [...allControllers, ...defaultPlugins].map(({ name }) => name);
  assert.deepEqual([...Object.keys(shown), ...Object.keys(elsewhere)].toSorted(), all.toSorted());
});
