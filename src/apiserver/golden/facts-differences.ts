/** What v1.36 (and this server) has otherwise than the recorded v1.20.2, and why. */

export interface Explained {
  /** Matches `path: theirs → ours`. */
  readonly what: RegExp;
  readonly why: string;
}

export const columns: readonly Explained[] = [
  { what: /^\/v1\/persistentvolume(claim)?s: /, why: 'VolumeAttributesClass came with v1.31' },
  { what: /^\/v1\/pods: .*"Restarts:integer"/, why: 'Restarts tells since v1.22 when the last one was, and is text' },
  { what: /^\/v1\/resourcequotas: /, why: 'Age comes last since v1.31' },
  { what: /^\/batch\/v1\/jobs: /, why: 'Status came with v1.31' },
  { what: /^\/certificates\.k8s\.io\/v1\/certificatesigningrequests: /, why: 'RequestedDuration came with v1.22' },
  { what: /^\/storage\.k8s\.io\/v1\/csidrivers: /, why: 'StorageCapacity, TokenRequests and RequiresRepublish came with v1.21' },
  { what: /^\/scheduling\.k8s\.io\/v1\/priorityclasses: /, why: 'PreemptionPolicy came with v1.31' },
];

export const discovery: readonly Explained[] = [
  { what: /^\/v1\/pods\/eviction\/version: v1beta1 → v1$/, why: 'policy/v1beta1 is gone' },
  { what: /^\/v1\/services\/verbs: /, why: 'Services can be deleted as a collection since v1.23' },
];

export const definitions: readonly Explained[] = [
  {
    what: /^\S+: (\S+)(.*) → \1 (?:list-type=\S+(?: list-map-keys=\S+)?|map-type=\S+)\2$/,
    why: 'since v1.30 every list and shared map says how server-side apply merges it',
  },
  { what: /: \{\}array → \{\}\[\]string$/, why: 'the recording leaves out what is in lists inside maps' },
  { what: /: \{\}string → \{\}string:byte$/, why: 'the recording leaves out formats inside maps' },
  { what: /: \[\]integer(!?) → \[\]integer:int(32|64)\1 list-type=/, why: 'the recording leaves out formats inside lists' },
  { what: /: string:byte(!?) list-type=atomic → string:byte\1$/, why: 'bytes are one value, and never a list to merge' },
  { what: /: io\.k8s\.apimachinery\.pkg\.runtime\.RawExtension(!?) → any\1$/, why: 'anything at all is published without a name' },
  {
    what: /\.(HostAlias\/ip|PodIP\/ip|HTTPIngressPath\/pathType|TokenReviewSpec\/token|HorizontalPodAutoscaler\/spec): (\S+) → \2!$/,
    why: 'marked as required since, as it always was',
  },
  {
    what: /\.(StatefulSetSpec\/serviceName|NetworkPolicySpec\/podSelector|RoleRef\/apiGroup|PriorityClass\/value|events\.v1\.Event\/metadata): (\S+)! → \2$/,
    why: 'no longer marked as required: left out, it has a meaning',
  },
  {
    what: /\.authentication\.v1\.TokenRequest\w*\/\w+: (\S+)! → \1( list-type=atomic)?$/,
    why: 'the published model of v1.36 marks nothing in token requests as required',
  },
  { what: /\.ContainerImage\/names: \[\]string! → \[\]string list-type=atomic$/, why: 'an image may have no name since v1.22' },
  {
    what: /\.EphemeralContainer\/ports: .* list-map-keys=containerPort,protocol/,
    why: 'merge facts of containers hold for ephemeral ones since v1.22',
  },
  { what: /\.EphemeralVolumeSource\/readOnly: boolean → absent$/, why: 'it never meant anything and went with v1.21' },
  { what: /\.core\.v1\.(Handler: |Lifecycle\/p\w+: \S+\.Handler → \S+\.LifecycleHandler$)/, why: 'Handler is LifecycleHandler since v1.23' },
  {
    what: /\.PersistentVolumeClaimSpec\/resources: \S+ → io\.k8s\.api\.core\.v1\.VolumeResourceRequirements$/,
    why: 'claims have their own type of requirements since v1.29',
  },
  { what: /\.ServiceSpec\/topologyKeys: \[\]string → absent$/, why: 'topologyKeys went with v1.22' },
  { what: /\.IngressClassSpec\/parameters: \S+ → \S+\.IngressClassParametersReference$/, why: 'parameters may be in a namespace since v1.21' },
  { what: /\.IngressStatus\/loadBalancer: \S+ → \S+\.IngressLoadBalancerStatus$/, why: 'Ingress has its own status type since v1.26' },
  { what: /\.ObjectMeta\/clusterName: string → absent$/, why: 'clusterName went with v1.24' },
  {
    what: /\.LabelSelectorRequirement\/key: string! patch-merge-key=key patch-strategy=merge → string!$/,
    why: 'merge facts of a string went with v1.28',
  },
  {
    what: /^io\.k8s\.apiextensions-apiserver\S*\.(JSON|JSONSchemaPropsOr\w+|CustomResourceSubresourceStatus): .* → absent$|: \S*io\.k8s\.apiextensions-apiserver\S* → (\[\]|\{\})?any( list-type=atomic)?$/,
    why: 'either-or types of schemas of custom resources are published as anything, without names',
  },
  {
    what: /\.(FieldsV1|Patch|RawExtension): .* → absent$|\/fieldsV1: \S+ → any$/,
    why: 'anything at all is published without a name',
  },
  {
    what: /\.(API\w+|GroupVersionForDiscovery|ServerAddressByClientCIDR|WatchEvent|version\.Info): .* → absent$/,
    why: 'discovery documents, watch events and the version are no resources: their types are not published',
  },
];

/** Roles that include another's rules. */
const humans = '(admin|edit|view|system:aggregate-to-(admin|edit|view))';

export const clusterRoles: readonly Explained[] = [
  { what: new RegExp(`^${humans}: adds get pods/scheduling\\.k8ts\\.io$`), why: 'the same, by aggregation' },
  {
    what: new RegExp(`^${humans}: lacks (create|delete|deletecollection|patch|update) endpoints$`),
    why: 'endpoints may redirect traffic: CVE-2021-25740, v1.22',
  },
  { what: new RegExp(`^${humans}: adds .* pods/eviction$`), why: 'who may delete pods may evict them since v1.22' },
  {
    what: new RegExp(`^${humans}: adds create serviceaccounts/token$`),
    why: 'who may impersonate a service account may ask for its token since v1.22',
  },
  { what: new RegExp(`^${humans}: adds \\w+ leases\\.coordination\\.k8s\\.io$`), why: 'leases since v1.23' },
  { what: new RegExp(`^${humans}: adds \\w+ resourceclaim`), why: 'dynamic resources since v1.34' },
  { what: new RegExp(`^${humans}: adds \\w+ endpointslices`), why: 'endpoint slices since v1.22' },
  { what: /^system:basic-user: adds create selfsubjectreviews/, why: 'everybody may ask who they are since v1.26' },
  { what: /: adds patch pods\/status$/, why: 'controllers set DisruptionTarget since v1.26' },
  { what: /^system:controller:node-controller: adds get pods$/, why: 'it reads a pod before it changes its status, v1.26' },
  {
    what: /^system:controller:(expand-controller|persistent-volume-binder): lacks \w+ (endpoints|services|secrets)$/,
    why: 'for storage plugins inside the controller manager, gone since v1.31',
  },
  { what: /heapster/, why: 'heapster is gone' },
  { what: /^system:controller:horizontal-pod-autoscaler: adds \w+ \*\.external\.metrics/, why: 'external metrics' },
  { what: /^system:controller:statefulset-controller: adds \w+ persistentvolumeclaims$/, why: 'claims may go with their StatefulSet since v1.23' },
  { what: /^system:kube-(controller-manager|scheduler): lacks \w+ endpoints/, why: 'leaders are elected by leases alone since v1.24' },
  { what: /^system:kube-(controller-manager|scheduler): adds \w+ leasecandidates/, why: 'coordinated leader election' },
  {
    what: /^system:kube-dns: adds (list|watch) (endpointslices\.discovery\.k8s\.io|namespaces|pods)$/,
    why: 'what CoreDNS reads, as kubeadm gives it in a role of its own; here the DNS server has this one',
  },
  {
    what: /^system:kube-scheduler: adds \w+ (namespaces$|c\w+\.storage|volumeattachments|\w+(\/status)?\.resource\.k8s\.io|pods\/finalizers)/,
    why: 'namespace selectors (v1.24), storage capacity (v1.24), dynamic resources (v1.34), attachments (v1.35)',
  },
  { what: /^system:kubelet-api-admin: adds \* nodes\//, why: 'fine-grained access to the kubelet since v1.33' },
  { what: /^system:node: adds \w+ (events\.events|resourceclaims|resourceslices)/, why: 'newer events, and drivers of dynamic resources (v1.34)' },
  { what: /^system:node-proxier: adds (list|watch) servicecidrs/, why: 'ServiceCIDR since v1.33' },
];

export const roles: readonly Explained[] = [];
export const clusterRoleBindings: readonly Explained[] = [];
export const roleBindings: readonly Explained[] = [];

export const flowSchemas: readonly Explained[] = [
  { what: /^\/(system|workload)-leader-election\/spec\/rules: /, why: 'leaders are elected by leases alone since v1.24' },
];

export const priorityLevels: readonly Explained[] = [
  { what: /\/limited\/lendablePercent: absent → \d+$/, why: 'levels lend each other seats since v1.26' },
  { what: /^\/exempt\/spec\/exempt: absent → /, why: 'the exempt level has settings since v1.28' },
];
