/**
 * From a manifest in a file to a pod that this node runs on its own account. Its name carries the node's, its uid is a hash of what the file says, and
 * it tolerates whatever would have it leave. Upstream: the kubelet's file source. https://kubernetes.io/docs/tasks/configure-pod-container/static-pod/
 */
import { createHash } from 'node:crypto';
import { parse as parseYaml } from 'yaml';
import { Pod } from '../../api/node-kinds.ts';
import { decodeObject } from '../../machinery/decode.ts';

export const sourceAnnotation = 'kubernetes.io/config.source';
export const hashAnnotation = 'kubernetes.io/config.hash';
export const seenAnnotation = 'kubernetes.io/config.seen';
export const mirrorAnnotation = 'kubernetes.io/config.mirror';

/** A manifest that is not one: the message says what is wrong, not in which file. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}

export interface ManifestSource {
  readonly path: string;
  readonly text: string;
}

/** Throws `ManifestError`. `seen` is when the file was first read, as a timestamp. */
export function podOfManifest({ path, text }: ManifestSource, nodeName: string, seen: string): Pod {
  const pod = decodePod(text);
  const given = pod.metadata;
  if (given.name === undefined || given.name === '') throw new ManifestError('metadata.name: Required value');
  // What the file says, not how: a comment more starts nothing anew.
  const hash = createHash('md5')
    .update(JSON.stringify([nodeName, path, given.name, given.namespace ?? '', given.labels ?? {}, given.annotations ?? {}, pod.spec]))
    .digest('hex');
  pod.metadata = {
    ...given,
    name: `${given.name}-${nodeName}`,
    namespace: given.namespace === undefined || given.namespace === '' ? 'default' : given.namespace,
    uid: given.uid === undefined || given.uid === '' ? hash : given.uid,
    creationTimestamp: seen,
    resourceVersion: '',
    annotations: { ...given.annotations, [hashAnnotation]: hash, [seenAnnotation]: seen, [sourceAnnotation]: 'file' },
  };
  pod.spec.nodeName = nodeName;
  pod.spec.tolerations = [...(pod.spec.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }];
  pod.status = { phase: 'Pending' };
  Pod.defaults?.(pod);
  const errors = Pod.validate?.(pod, undefined) ?? [];
  if (errors.length > 0) throw new ManifestError(errors.map(String).join(', '));
  return pod;
}

export function isStaticPod({ metadata }: Pod): boolean {
  const source = metadata.annotations?.[sourceAnnotation];
  return source !== undefined && source !== 'api';
}

function decodePod(text: string): Pod {
  let value: unknown;
  try {
    value = parseYaml(text);
  } catch (error) {
    throw new ManifestError(`is neither YAML nor JSON: ${error instanceof Error ? error.message.split('\n')[0] : String(error)}`);
  }
  if (!isRecord(value)) throw new ManifestError('holds no object');
  if (value.kind !== 'Pod' || value.apiVersion !== 'v1') {
    throw new ManifestError(`holds a ${String(value.apiVersion)} ${String(value.kind)}; only a v1 Pod can be run from a file`);
  }
  if (!isRecord(value.spec) || !Array.isArray(value.spec.containers) || value.spec.containers.length === 0) {
    throw new ManifestError('spec.containers: Required value');
  }
  const { object, unknownFields, typeErrors } = decodeObject({ metadata: {}, ...value }, Pod.schema);
  const problems = [...typeErrors, ...unknownFields.map((field) => `unknown field ${JSON.stringify(field)}`)];
  if (problems.length > 0) throw new ManifestError(problems.join(', '));
  // What the schema let through is a pod.
  return object as Record<string, unknown> & Pod;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
