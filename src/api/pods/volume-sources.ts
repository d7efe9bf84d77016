/**
 * What each kind of storage needs, for volumes of pods and PersistentVolumes alike: fields that must be there, and checks of some. Follows the
 * `validate…VolumeSource` functions of `pkg/apis/core/validation`.
 */
import { at, forbiddenField, invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsSubdomainErrors } from '../../machinery/names.ts';
import { csiDriverName } from '../kinds/csi.ts';
import { messages } from '../field-checks.ts';

/** A source as it is on the wire; its fields are of the types that decoding has checked. */
type Source = Readonly<Record<string, unknown>>;
type Check = (field: string, source: Source) => FieldError[];

interface SourceRules {
  readonly required?: readonly string[];
  readonly checks?: readonly Check[];
}

const partition = between('partition', 0, 255);

const rules: Readonly<Record<string, SourceRules | undefined>> = {
  awsElasticBlockStore: { required: ['volumeID'], checks: [partition] },
  azureDisk: { required: ['diskName', 'diskURI'], checks: [oneOfWords('cachingMode', ['None', 'ReadOnly', 'ReadWrite']), azureDiskUri] },
  azureFile: { required: ['secretName', 'shareName'], checks: [notEmpty('secretNamespace')] },
  cephfs: { required: ['monitors'] },
  cinder: { required: ['volumeID'], checks: [namedSecret('secretRef')] },
  csi: { checks: [csiSource] },
  fc: { checks: [fibreChannel] },
  flexVolume: { required: ['driver'] },
  flocker: { checks: [flocker] },
  gcePersistentDisk: { required: ['pdName'], checks: [partition] },
  gitRepo: { required: ['repository'], checks: [localPath('directory')] },
  glusterfs: { required: ['endpoints', 'path'] },
  hostPath: { required: ['path'], checks: [noBackstepsIn('path'), hostPathType] },
  iscsi: { required: ['targetPortal', 'iqn'], checks: [iscsi] },
  local: { required: ['path'], checks: [noBackstepsIn('path')] },
  nfs: { required: ['server', 'path'], checks: [absolutePath('path')] },
  photonPersistentDisk: { required: ['pdID'] },
  portworxVolume: { required: ['volumeID'] },
  quobyte: { required: ['registry', 'volume'] },
  rbd: { required: ['monitors', 'image'] },
  scaleIO: { required: ['gateway', 'system', 'volumeName'] },
  vsphereVolume: { required: ['volumePath'] },
};

/** The rules of the source called `name`; `field` is its own path. */
export function validateVolumeSource(field: string, name: string, source: object): FieldError[] {
  const { required: needed = [], checks = [] } = rules[name] ?? {};
  const fields = source as Source;
  const missing = needed.filter((part) => isEmpty(fields[part])).map((part) => required(`${field}.${part}`));
  return [...missing, ...checks.flatMap((check) => check(field, fields))];
}

function isEmpty(value: unknown): boolean {
  return value === undefined || value === '' || (Array.isArray(value) && value.length === 0);
}

function text(source: Source, part: string): string {
  const value = source[part];
  return typeof value === 'string' ? value : '';
}

function between(part: string, from: number, to: number): Check {
  return (field, source) => {
    const value = source[part];
    const fits = typeof value !== 'number' || (value >= from && value <= to);
    return fits ? [] : [invalidValue(`${field}.${part}`, value, `must be between ${from} and ${to}, inclusive`)];
  };
}

function oneOfWords(part: string, words: readonly string[]): Check {
  return (field, source) => {
    const value = text(source, part);
    return value === '' || words.includes(value) ? [] : [notSupported(`${field}.${part}`, value, words)];
  };
}

function notEmpty(part: string): Check {
  return (field, source) => (source[part] === '' ? [required(`${field}.${part}`)] : []);
}

/** A reference to a secret says which. */
function namedSecret(part: string): Check {
  return (field, source) => {
    const reference = source[part];
    const named = typeof reference !== 'object' || reference === null || text(reference as Source, 'name') !== '';
    return named ? [] : [required(`${field}.${part}.name`)];
  };
}

function absolutePath(part: string): Check {
  return (field, source) => {
    const path = text(source, part);
    return path === '' || path.startsWith('/') ? [] : [invalidValue(`${field}.${part}`, path, 'must be an absolute path')];
  };
}

function noBackstepsIn(part: string): Check {
  return (field, source) => noBacksteps(`${field}.${part}`, text(source, part));
}

function localPath(part: string): Check {
  return (field, source) => (text(source, part) === '' ? [] : relativePath(`${field}.${part}`, text(source, part)));
}

export function noBacksteps(field: string, path: string): FieldError[] {
  return path.split('/').includes('..') ? [invalidValue(field, path, "must not contain '..'")] : [];
}

/** A path inside a volume. */
export function relativePath(field: string, path: string): FieldError[] {
  if (path.startsWith('/')) return [invalidValue(field, path, 'must be a relative path')];
  return path.startsWith('..') && !path.split('/').includes('..')
    ? [invalidValue(field, path, "must not start with '..'")]
    : noBacksteps(field, path);
}

const hostPathTypes = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'];

function hostPathType(field: string, source: Source): FieldError[] {
  const type = text(source, 'type');
  return hostPathTypes.includes(type) ? [] : [notSupported(`${field}.type`, type, hostPathTypes)];
}

function azureDiskUri(field: string, source: Source): FieldError[] {
  const [kind, uri] = [text(source, 'kind'), text(source, 'diskURI')];
  const [start, wanted] =
    kind === 'Managed'
      ? ['/subscriptions/', '/subscriptions/{sub-id}/resourcegroups/{group-name}/…']
      : ['https://', 'https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd'];
  if (kind !== '' && !['Dedicated', 'Managed', 'Shared'].includes(kind))
    return [notSupported(`${field}.kind`, kind, ['Dedicated', 'Managed', 'Shared'])];
  return uri === '' || kind === '' || uri.startsWith(start) ? [] : [notSupported(`${field}.diskURI`, uri, [wanted])];
}

function csiSource(field: string, source: Source): FieldError[] {
  return [...csiDriverName(`${field}.driver`, text(source, 'driver')), ...namedSecret('nodePublishSecretRef')(field, source)];
}

function fibreChannel(field: string, source: Source): FieldError[] {
  const names = !isEmpty(source['targetWWNs']);
  const ids = !isEmpty(source['wwids']);
  const which = 'must specify either targetWWNs or wwids, but not both';
  if (!names && !ids) return [required(`${field}.targetWWNs`, which)];
  if (names && ids) return [invalidValue(`${field}.targetWWNs`, source['targetWWNs'], which)];
  if (names && source['lun'] === undefined) return [required(`${field}.lun`, 'lun is required if targetWWNs is specified')];
  return between('lun', 0, 255)(field, source);
}

function flocker(field: string, source: Source): FieldError[] {
  const [name, uuid] = [text(source, 'datasetName'), text(source, 'datasetUUID')];
  if (name === '' && uuid === '') return [required(`${field}.datasetName`, 'one of datasetName and datasetUUID is required')];
  if (name !== '' && uuid !== '') return [invalidValue(field, 'resource', 'datasetName and datasetUUID can not be specified simultaneously')];
  return name.includes('/') ? [invalidValue(`${field}.datasetName`, name, "must not contain '/'")] : [];
}

const qualifiedName =
  /^(iqn\.\d{4}-\d\d\.([a-z0-9]([-a-z0-9]*[a-z0-9])?\.?)+(:[^\s,]*)?|eui\.[0-9A-Fa-f]{16}|naa\.[0-9A-Fa-f]{16}([0-9A-Fa-f]{16})?)$/i;

function iscsi(field: string, source: Source): FieldError[] {
  const errors = between('lun', 0, 255)(field, source);
  for (const part of ['iqn', 'initiatorName']) {
    const name = text(source, part);
    if (name !== '' && !qualifiedName.test(name)) errors.push(invalidValue(`${field}.${part}`, name, 'must be valid format'));
  }
  const authenticates = source['chapAuthDiscovery'] === true || source['chapAuthSession'] === true;
  if (authenticates && source['secretRef'] === undefined) errors.push(required(`${field}.secretRef`));
  return [...errors, ...namedSecret('secretRef')(field, source)];
}

/** More than one source is one too many: each further one is refused by its name. */
export function surplusSources(field: string, sources: readonly string[]): FieldError[] {
  return sources.slice(1).map((source) => forbiddenField(`${field}.${source}`, 'may not specify more than 1 volume type'));
}

/** Names of secrets that a persistent volume's driver is given at each step. */
export function secretReference(field: string, reference: { readonly name?: string; readonly namespace?: string } | undefined): FieldError[] {
  if (reference === undefined) return [];
  return [
    ...((reference.name ?? '') === '' ? [required(`${field}.name`)] : []),
    ...((reference.namespace ?? '') === ''
      ? [required(`${field}.namespace`)]
      : messages(`${field}.namespace`, reference.namespace, dnsSubdomainErrors(reference.namespace ?? ''))),
  ];
}

export function mountOptions(field: string, options: readonly string[] | undefined): FieldError[] {
  return (options ?? []).flatMap((option, index) => (option === '' ? [required(at(field, index))] : []));
}
