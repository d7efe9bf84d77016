/** Rules for volumes: each has one source, and names what the source needs. Follows `ValidateVolumes`. */
import { at, duplicate, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsLabelErrors } from '../../machinery/names.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { validateClaimSpec } from '../kinds/claim-spec.ts';
import { messages, oneOf } from '../field-checks.ts';
import type { V1DownwardAPIVolumeFile, V1KeyToPath, V1Volume, V1VolumeProjection } from '../types.ts';
import { volumeSources } from './defaults.ts';

export function validateVolumes(field: string, volumes: readonly V1Volume[]): FieldError[] {
  const seen = new Set<string>();
  return volumes.flatMap((volume, index) => {
    const path = at(field, index);
    const errors = validateSource(path, volume);
    if ((volume.name ?? '') === '') errors.push(required(`${path}.name`));
    else errors.push(...messages(`${path}.name`, volume.name, dnsLabelErrors(volume.name)));
    if (seen.has(volume.name)) errors.push(duplicate(`${path}.name`, volume.name));
    seen.add(volume.name);
    return errors;
  });
}

const hostPathTypes = ['', 'BlockDevice', 'CharDevice', 'Directory', 'DirectoryOrCreate', 'File', 'FileOrCreate', 'Socket'];
const modeWrong = 'must be a number between 0 and 0777 (octal), both inclusive';

function validateSource(field: string, volume: V1Volume): FieldError[] {
  const sources = volumeSources(volume);
  if (sources.length === 0) return [required(field, 'must specify a volume type')];
  const errors = sources.slice(1).map((source) => forbiddenField(`${field}.${source}`, 'may not specify more than 1 volume type'));
  const { hostPath, emptyDir, secret, configMap, persistentVolumeClaim: claim, downwardAPI, projected, nfs, csi, image, ephemeral } = volume;
  if (emptyDir?.sizeLimit !== undefined && parseQuantity(emptyDir.sizeLimit).compare(Quantity.zero) < 0) {
    errors.push(forbiddenField(`${field}.emptyDir.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
  }
  if (hostPath !== undefined) {
    if ((hostPath.path ?? '') === '') errors.push(required(`${field}.hostPath.path`));
    else errors.push(...noBacksteps(`${field}.hostPath.path`, hostPath.path));
    errors.push(...oneOf(`${field}.hostPath.type`, hostPath.type, hostPathTypes));
  }
  if (secret !== undefined) {
    if ((secret.secretName ?? '') === '') errors.push(required(`${field}.secret.secretName`));
    errors.push(...validateMode(`${field}.secret.defaultMode`, secret.defaultMode), ...validateItems(`${field}.secret.items`, secret.items));
  }
  if (configMap !== undefined) {
    if ((configMap.name ?? '') === '') errors.push(required(`${field}.configMap.name`));
    errors.push(
      ...validateMode(`${field}.configMap.defaultMode`, configMap.defaultMode),
      ...validateItems(`${field}.configMap.items`, configMap.items),
    );
  }
  if (claim !== undefined && (claim.claimName ?? '') === '') errors.push(required(`${field}.persistentVolumeClaim.claimName`));
  if (downwardAPI !== undefined) {
    errors.push(
      ...validateMode(`${field}.downwardAPI.defaultMode`, downwardAPI.defaultMode),
      ...validateDownward(`${field}.downwardAPI`, downwardAPI.items),
    );
  }
  if (projected !== undefined) {
    errors.push(...validateMode(`${field}.projected.defaultMode`, projected.defaultMode));
    for (const [index, source] of (projected.sources ?? []).entries())
      errors.push(...validateProjection(at(`${field}.projected.sources`, index), source));
  }
  if (nfs !== undefined) {
    if ((nfs.server ?? '') === '') errors.push(required(`${field}.nfs.server`));
    if ((nfs.path ?? '') === '') errors.push(required(`${field}.nfs.path`));
    else if (!nfs.path.startsWith('/')) errors.push(invalidValue(`${field}.nfs.path`, nfs.path, 'must be an absolute path'));
  }
  if (csi !== undefined && (csi.driver ?? '') === '') errors.push(required(`${field}.csi.driver`));
  if (image !== undefined && (image.reference ?? '') === '') errors.push(required(`${field}.image.reference`));
  if (ephemeral !== undefined) {
    if (ephemeral.volumeClaimTemplate === undefined) errors.push(required(`${field}.ephemeral.volumeClaimTemplate`));
    else errors.push(...validateClaimSpec(`${field}.ephemeral.volumeClaimTemplate.spec`, ephemeral.volumeClaimTemplate.spec));
  }
  return errors;
}

function validateMode(field: string, mode: number | undefined): FieldError[] {
  return mode !== undefined && (mode < 0 || mode > 0o777) ? [invalidValue(field, mode, modeWrong)] : [];
}

function validateItems(field: string, items: readonly V1KeyToPath[] | undefined): FieldError[] {
  return (items ?? []).flatMap(({ key, path, mode }, index) => [
    ...((key ?? '') === '' ? [required(`${at(field, index)}.key`)] : []),
    ...((path ?? '') === '' ? [required(`${at(field, index)}.path`)] : relativePath(`${at(field, index)}.path`, path)),
    ...validateMode(`${at(field, index)}.mode`, mode),
  ]);
}

function validateDownward(field: string, items: readonly V1DownwardAPIVolumeFile[] | undefined): FieldError[] {
  return (items ?? []).flatMap(({ path, fieldRef, resourceFieldRef, mode }, index) => {
    const where = field;
    const errors = (path ?? '') === '' ? [required(`${where}.path`)] : relativePath(`${at(`${where}.items`, index)}.path`, path);
    if (fieldRef !== undefined && resourceFieldRef !== undefined) {
      errors.push(invalidValue(where, 'resource', 'fieldRef and resourceFieldRef can not be specified simultaneously'));
    } else if (fieldRef === undefined && resourceFieldRef === undefined) {
      errors.push(required(where, 'one of fieldRef and resourceFieldRef is required'));
    }
    return [...errors, ...validateMode(`${where}.mode`, mode)];
  });
}

const projections = ['secret', 'configMap', 'downwardAPI', 'serviceAccountToken', 'clusterTrustBundle', 'podCertificate'] as const;

function validateProjection(field: string, source: V1VolumeProjection): FieldError[] {
  const found = projections.filter((name) => source[name] !== undefined);
  const errors = found.slice(1).map((name) => forbiddenField(`${field}.${name}`, 'may not specify more than 1 volume type'));
  if (found.length === 0) errors.push(required(field, 'must specify a volume type'));
  const { secret, configMap, downwardAPI, serviceAccountToken: token } = source;
  if (secret !== undefined)
    errors.push(...((secret.name ?? '') === '' ? [required(`${field}.secret.name`)] : []), ...validateItems(`${field}.secret.items`, secret.items));
  if (configMap !== undefined) {
    errors.push(
      ...((configMap.name ?? '') === '' ? [required(`${field}.configMap.name`)] : []),
      ...validateItems(`${field}.configMap.items`, configMap.items),
    );
  }
  if (downwardAPI !== undefined) errors.push(...validateDownward(`${field}.downwardAPI`, downwardAPI.items));
  if (token !== undefined) {
    const seconds = token.expirationSeconds ?? 3600;
    if (seconds < 600)
      errors.push(invalidValue(`${field}.serviceAccountToken.expirationSeconds`, seconds, 'may not specify a duration less than 10 minutes'));
    if (seconds > 2 ** 32)
      errors.push(invalidValue(`${field}.serviceAccountToken.expirationSeconds`, seconds, 'may not specify a duration larger than 2^32 seconds'));
    if ((token.path ?? '') === '') errors.push(required(`${field}.serviceAccountToken.path`));
    else errors.push(...relativePath(`${field}.serviceAccountToken.path`, token.path));
  }
  return errors;
}

function noBacksteps(field: string, path: string): FieldError[] {
  return path.split('/').includes('..') ? [invalidValue(field, path, "must not contain '..'")] : [];
}

/** A path inside a volume. */
export function relativePath(field: string, path: string): FieldError[] {
  if (path.startsWith('/')) return [invalidValue(field, path, 'must be a relative path')];
  return path.startsWith('..') && !path.split('/').includes('..')
    ? [invalidValue(field, path, "must not start with '..'")]
    : noBacksteps(field, path);
}
