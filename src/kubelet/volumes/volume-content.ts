/** The files of volumes that the API provides: config maps, secrets, the downward API, tokens, and projections of them together. */
import type { ConfigMap, Pod, Secret } from '../../api/kinds.ts';
import type { V1DownwardAPIVolumeFile, V1KeyToPath, V1ServiceAccountTokenProjection, V1Volume, V1VolumeProjection } from '../../api/types.ts';
import type { VolumeFile } from '../disk.ts';
import { type Allocatable, type PodAddresses, fieldValue, resourceValue } from '../field-ref.ts';
import { ConfigError } from '../start-error.ts';

export interface ContentSources {
  readonly pod: Pod;
  readonly addresses: PodAddresses;
  readonly allocatable: Allocatable;
  readonly configMap: (name: string) => Promise<ConfigMap | undefined>;
  readonly secret: (name: string) => Promise<Secret | undefined>;
  readonly token: (projection: V1ServiceAccountTokenProjection) => Promise<string>;
}

export type VolumeContent = Map<string, VolumeFile>;

/** Undefined when the volume's files do not come from the API. */
export async function volumeContent(volume: V1Volume, sources: ContentSources): Promise<VolumeContent | undefined> {
  const files: VolumeContent = new Map();
  if (volume.configMap) {
    await addKeyed(files, sources, { kind: 'configmap', ...volume.configMap }, volume.configMap.defaultMode ?? 0o644);
    return files;
  }
  if (volume.secret) {
    const { secretName: name, items, defaultMode, optional } = volume.secret;
    await addKeyed(files, sources, { kind: 'secret', name, items, optional }, defaultMode ?? 0o644);
    return files;
  }
  if (volume.downwardAPI) {
    addDownward(files, sources, volume.downwardAPI.items ?? [], volume.downwardAPI.defaultMode ?? 0o644);
    return files;
  }
  if (!volume.projected) return undefined;
  const mode = volume.projected.defaultMode ?? 0o644;
  for (const source of volume.projected.sources ?? []) {
    const { configMap, secret } = source;
    if (configMap) await addKeyed(files, sources, { kind: 'configmap', ...configMap }, mode);
    if (secret) await addKeyed(files, sources, { kind: 'secret', ...secret }, mode);
    if (source.downwardAPI) addDownward(files, sources, source.downwardAPI.items ?? [], mode);
    refuseUnserved(source);
    if (source.serviceAccountToken) {
      const token = await sources.token(source.serviceAccountToken);
      put(files, source.serviceAccountToken.path, { content: Buffer.from(token), ...tokenAccess(sources.pod, mode) });
    }
  }
  return files;
}

/** As in upstream by default, the API does not have the kinds that these come from: a pod is better told than left without its file. */
function refuseUnserved({ clusterTrustBundle, podCertificate }: V1VolumeProjection): void {
  if (clusterTrustBundle && clusterTrustBundle.optional !== true) {
    throw new ConfigError('ClusterTrustBundle projection is not supported: the API does not serve cluster trust bundles');
  }
  if (podCertificate) throw new ConfigError('PodCertificate projection is not supported: the API does not serve pod certificate requests');
}

/** What config maps and secrets have in common; they differ in what they are called and in how their values are written. */
interface KeyedSource {
  readonly kind: 'configmap' | 'secret';
  readonly name?: string | undefined;
  readonly items?: readonly V1KeyToPath[] | undefined;
  readonly optional?: boolean | undefined;
}

/** Values by key; undefined when there is no such object. */
type KeyedData = ReadonlyMap<string, Buffer> | undefined;

async function addKeyed(files: VolumeContent, sources: ContentSources, source: KeyedSource, mode: number): Promise<void> {
  const { kind, name = '', optional = false } = source;
  const data = kind === 'configmap' ? configMapData(await sources.configMap(name)) : secretData(await sources.secret(name));
  if (data !== undefined) addKeys(files, data, source, mode);
  else if (!optional) throw new ConfigError(`${kind} "${name}" not found`);
}

function configMapData(configMap: ConfigMap | undefined): KeyedData {
  if (configMap === undefined) return undefined;
  const { data = {}, binaryData = {} } = configMap;
  return new Map([...Object.entries(data).map(([key, text]) => [key, Buffer.from(text)] as const), ...decoded(binaryData)]);
}

function secretData(secret: Secret | undefined): KeyedData {
  return secret && new Map(decoded(secret.data ?? {}));
}

function decoded(data: Readonly<Record<string, string>>): (readonly [string, Buffer])[] {
  return Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64')]);
}

/** All keys under their own names, or the listed ones under theirs. */
function addKeys(files: VolumeContent, data: ReadonlyMap<string, Buffer>, { kind, items, optional }: KeyedSource, mode: number): void {
  if (!items || items.length === 0) {
    for (const [key, content] of data) put(files, key, { content, mode });
    return;
  }
  for (const item of items) {
    const content = data.get(item.key);
    if (content) put(files, item.path, { content, mode: item.mode ?? mode });
    else if (optional !== true) throw new ConfigError(`${kind} references non-existent ${kind === 'secret' ? 'secret' : 'config'} key: ${item.key}`);
  }
}

function addDownward(
  files: VolumeContent,
  { pod, addresses, allocatable }: ContentSources,
  items: readonly V1DownwardAPIVolumeFile[],
  mode: number,
): void {
  for (const item of items) {
    let text = '';
    if (item.fieldRef) text = fieldValue(pod, item.fieldRef.fieldPath, addresses);
    else if (item.resourceFieldRef) {
      const container = pod.spec.containers[0];
      if (container) text = resourceValue(pod, container, item.resourceFieldRef, allocatable);
    }
    put(files, item.path, { content: Buffer.from(text), mode: item.mode ?? mode });
  }
}

/** A token is readable by its user alone when that user is known: by fsGroup, or because all containers run as the same user. */
function tokenAccess(pod: Pod, mode: number): { mode: number; uid?: number } {
  if (pod.spec.securityContext?.fsGroup !== undefined) return { mode: 0o640 };
  const users = new Set(
    [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map(
      ({ securityContext }) => securityContext?.runAsUser ?? pod.spec.securityContext?.runAsUser,
    ),
  );
  const [uid] = users;
  return users.size === 1 && uid !== undefined ? { mode: 0o600, uid } : { mode };
}

function put(files: VolumeContent, path: string, file: VolumeFile): void {
  const parts = path.split('/');
  if (path === '' || path.startsWith('/') || parts.includes('..')) throw new ConfigError(`invalid path: ${path}`);
  files.set(parts.filter((part) => part !== '' && part !== '.').join('/'), file);
}
