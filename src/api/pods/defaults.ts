/**
 * Defaults of pods and pod templates, as `pkg/apis/core/v1/defaults.go` gives them. What a template leaves open until a pod is made from it (service
 * links, requests from limits, host ports) is filled in on pods only.
 */
import type {
  V1Container,
  V1ContainerPort,
  V1EphemeralContainer,
  V1HTTPGetAction,
  V1Lifecycle,
  V1Pod,
  V1PodSpec,
  V1PodTemplateSpec,
  V1Probe,
  V1ResourceRequirements,
  V1Volume,
} from '../types.ts';
import { parseImage } from './image-name.ts';

export function defaultPod(pod: V1Pod): void {
  defaultPodSpec(pod.spec);
  const { spec } = pod;
  spec.enableServiceLinks ??= true;
  for (const container of [...(spec.containers ?? []), ...(spec.initContainers ?? [])]) {
    defaultRequests(container.resources);
    if (spec.hostNetwork === true) for (const port of container.ports ?? []) port.hostPort ??= port.containerPort;
  }
}

/** The template's `metadata` and `spec` are always there afterwards. */
export function defaultPodTemplate(template: V1PodTemplateSpec): void {
  template.metadata ??= {};
  template.spec ??= { containers: [] };
  defaultPodSpec(template.spec);
}

export function defaultPodSpec(spec: V1PodSpec): void {
  spec.containers ??= [];
  spec.restartPolicy ??= 'Always';
  spec.terminationGracePeriodSeconds ??= 30;
  spec.dnsPolicy ??= 'ClusterFirst';
  spec.securityContext ??= {};
  spec.schedulerName ??= 'default-scheduler';
  const serviceAccount = spec.serviceAccountName ?? spec.serviceAccount;
  if (serviceAccount !== undefined && serviceAccount !== '') {
    if (spec.serviceAccountName !== serviceAccount) spec.serviceAccountName = serviceAccount;
    if (spec.serviceAccount !== serviceAccount) spec.serviceAccount = serviceAccount;
  }
  for (const volume of spec.volumes ?? []) defaultVolume(volume);
  for (const container of spec.containers ?? []) defaultContainer(container);
  for (const container of spec.initContainers ?? []) defaultContainer(container);
  for (const container of spec.ephemeralContainers ?? []) defaultContainer(container);
}

function defaultContainer(container: V1Container | V1EphemeralContainer): void {
  container.resources ??= {};
  container.terminationMessagePath ??= '/dev/termination-log';
  container.terminationMessagePolicy ??= 'File';
  container.imagePullPolicy ??= pullPolicyOf(container.image);
  for (const port of container.ports ?? []) defaultPort(port);
  for (const variable of container.env ?? []) {
    if (variable.valueFrom?.fieldRef !== undefined) variable.valueFrom.fieldRef.apiVersion ??= 'v1';
    if (variable.valueFrom?.resourceFieldRef !== undefined) variable.valueFrom.resourceFieldRef.divisor ??= '0';
    if (variable.valueFrom?.fileKeyRef !== undefined) variable.valueFrom.fileKeyRef.optional ??= false;
  }
  for (const probe of [container.livenessProbe, container.readinessProbe, container.startupProbe]) if (probe !== undefined) defaultProbe(probe);
  defaultLifecycle(container.lifecycle);
}

function defaultPort(port: V1ContainerPort): void {
  port.protocol ??= 'TCP';
}

function pullPolicyOf(image: string | undefined): string {
  return parseImage(image ?? '').tag === 'latest' ? 'Always' : 'IfNotPresent';
}

function defaultProbe(probe: V1Probe): void {
  probe.timeoutSeconds ||= 1;
  probe.periodSeconds ||= 10;
  probe.successThreshold ||= 1;
  probe.failureThreshold ||= 3;
  defaultHttpGet(probe.httpGet);
  if (probe.grpc !== undefined) probe.grpc.service ??= '';
}

function defaultLifecycle(lifecycle: V1Lifecycle | undefined): void {
  defaultHttpGet(lifecycle?.postStart?.httpGet);
  defaultHttpGet(lifecycle?.preStop?.httpGet);
}

function defaultHttpGet(action: V1HTTPGetAction | undefined): void {
  if (action === undefined) return;
  action.path ||= '/';
  action.scheme ||= 'HTTP';
}

/** A limit without a request asks for as much as it may use. */
function defaultRequests(resources: V1ResourceRequirements | undefined): void {
  if (resources?.limits === undefined) return;
  for (const [name, limit] of Object.entries(resources.limits)) {
    resources.requests ??= {};
    resources.requests[name] ??= limit;
  }
}

const sourceNames: readonly (keyof V1Volume)[] = [
  'awsElasticBlockStore',
  'azureDisk',
  'azureFile',
  'cephfs',
  'cinder',
  'configMap',
  'csi',
  'downwardAPI',
  'emptyDir',
  'ephemeral',
  'fc',
  'flexVolume',
  'flocker',
  'gcePersistentDisk',
  'gitRepo',
  'glusterfs',
  'hostPath',
  'image',
  'iscsi',
  'nfs',
  'persistentVolumeClaim',
  'photonPersistentDisk',
  'portworxVolume',
  'projected',
  'quobyte',
  'rbd',
  'scaleIO',
  'secret',
  'storageos',
  'vsphereVolume',
];

/** The names of the sources a volume has; more than one is an error that validation finds. */
export function volumeSources(volume: V1Volume): (keyof V1Volume)[] {
  return sourceNames.filter((name) => volume[name] !== undefined);
}

/** 0644. */
const fileMode = 0o644;

function defaultVolume(volume: V1Volume): void {
  if (volumeSources(volume).length === 0) volume.emptyDir = {};
  if (volume.secret !== undefined) volume.secret.defaultMode ??= fileMode;
  if (volume.configMap !== undefined) volume.configMap.defaultMode ??= fileMode;
  if (volume.hostPath !== undefined) volume.hostPath.type ??= '';
  if (volume.downwardAPI !== undefined) {
    volume.downwardAPI.defaultMode ??= fileMode;
    for (const item of volume.downwardAPI.items ?? []) defaultDownwardItem(item);
  }
  if (volume.projected !== undefined) {
    volume.projected.defaultMode ??= fileMode;
    for (const source of volume.projected.sources ?? []) {
      if (source.serviceAccountToken !== undefined) source.serviceAccountToken.expirationSeconds ??= 3600;
      for (const item of source.downwardAPI?.items ?? []) defaultDownwardItem(item);
    }
  }
  if (volume.ephemeral?.volumeClaimTemplate?.spec !== undefined) volume.ephemeral.volumeClaimTemplate.spec.volumeMode ??= 'Filesystem';
  if (volume.image !== undefined) volume.image.pullPolicy ??= pullPolicyOf(volume.image.reference);
  if (volume.iscsi !== undefined) volume.iscsi.iscsiInterface ||= 'default';
}

function defaultDownwardItem(item: { fieldRef?: { apiVersion?: string }; resourceFieldRef?: { divisor?: string } }): void {
  if (item.fieldRef !== undefined) item.fieldRef.apiVersion ??= 'v1';
  if (item.resourceFieldRef !== undefined) item.resourceFieldRef.divisor ??= '0';
}
