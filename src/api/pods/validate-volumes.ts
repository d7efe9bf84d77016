/** Rules for volumes: each has one source, and names what the source needs. Follows `ValidateVolumes`. */
import { at, duplicate, forbiddenField, invalidValue, required, type FieldError } from '../../machinery/field-error.ts';
import { dnsLabelErrors, domainPrefixedPathErrors } from '../../machinery/names.ts';
import { parseQuantity, Quantity } from '../../machinery/quantity.ts';
import { labels, labelSelector, messages, oneOf, requiredName, requiredOneOf, tokenLifetime } from '../field-checks.ts';
import { validateClaimSpec } from '../kinds/claim-spec.ts';
import { annotations } from '../object-meta.ts';
import type {
  V1ClusterTrustBundleProjection,
  V1DownwardAPIVolumeFile,
  V1KeyToPath,
  V1PodCertificateProjection,
  V1Volume,
  V1VolumeProjection,
} from '../types.ts';
import { volumeSources } from './defaults.ts';
import { validateDownwardField, validateResourceField } from './downward-fields.ts';
import { relativePath, surplusSources, validateVolumeSource } from './volume-sources.ts';

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

const modeWrong = 'must be a number between 0 and 0777 (octal), both inclusive';

function validateSource(field: string, volume: V1Volume): FieldError[] {
  const sources = volumeSources(volume);
  if (sources.length === 0) return [required(field, 'must specify a volume type')];
  const errors = surplusSources(field, sources);
  for (const name of sources) {
    const source = volume[name];
    if (typeof source === 'object') errors.push(...validateVolumeSource(`${field}.${name}`, name, source));
  }
  const { emptyDir, secret, configMap, persistentVolumeClaim: claim, downwardAPI, projected, image, ephemeral } = volume;
  if (emptyDir?.sizeLimit !== undefined && parseQuantity(emptyDir.sizeLimit).compare(Quantity.zero) < 0) {
    errors.push(forbiddenField(`${field}.emptyDir.sizeLimit`, 'SizeLimit field must be a valid resource quantity'));
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
    errors.push(
      ...validateMode(`${field}.projected.defaultMode`, projected.defaultMode),
      ...validateProjections(`${field}.projected`, projected.sources ?? []),
    );
  }
  if (image !== undefined) {
    if ((image.reference ?? '') === '') errors.push(required(`${field}.image.reference`));
    errors.push(...oneOf(`${field}.image.pullPolicy`, image.pullPolicy, ['Always', 'IfNotPresent', 'Never']));
  }
  if (ephemeral !== undefined) {
    const template = ephemeral.volumeClaimTemplate;
    const path = `${field}.ephemeral.volumeClaimTemplate`;
    if (template === undefined) errors.push(required(path));
    else {
      errors.push(
        ...labels(`${path}.metadata.labels`, template.metadata?.labels),
        ...annotations(`${path}.metadata.annotations`, template.metadata?.annotations),
        ...validateClaimSpec(`${path}.spec`, template.spec ?? {}),
      );
    }
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
    if (fieldRef !== undefined) errors.push(...validateDownwardField(`${where}.fieldRef`, fieldRef, 'volume'));
    if (resourceFieldRef !== undefined) errors.push(...validateResourceField(`${where}.resourceFieldRef`, resourceFieldRef, 'volume'));
    return [...errors, ...validateMode(`${where}.mode`, mode)];
  });
}

const projections = ['secret', 'configMap', 'downwardAPI', 'serviceAccountToken', 'clusterTrustBundle', 'podCertificate'] as const;

function validateProjections(field: string, sources: readonly V1VolumeProjection[]): FieldError[] {
  const errors = sources.flatMap((source, index) => validateProjection(at(`${field}.sources`, index), source));
  const seen = new Set<string>();
  for (const { from, path } of sources.flatMap(projectedPaths)) {
    if (path === '') continue;
    if (seen.has(path)) errors.push(invalidValue(field, from, 'conflicting duplicate paths'));
    seen.add(path);
  }
  return errors;
}

/** Where each part of a projection will be found. */
function projectedPaths({
  secret,
  configMap,
  downwardAPI,
  serviceAccountToken,
  clusterTrustBundle,
}: V1VolumeProjection): { from: string; path: string }[] {
  const items = (from: string, list: readonly { path: string }[] | undefined): { from: string; path: string }[] =>
    (list ?? []).map(({ path }) => ({ from, path }));
  return [
    ...items(secret?.name ?? '', secret?.items),
    ...items(configMap?.name ?? '', configMap?.items),
    ...items('downwardAPI', downwardAPI?.items),
    ...items('serviceAccountToken', serviceAccountToken && [serviceAccountToken]),
    ...items('clusterTrustBundle', clusterTrustBundle && [clusterTrustBundle]),
  ];
}

function validateProjection(field: string, source: V1VolumeProjection): FieldError[] {
  const found = projections.filter((name) => source[name] !== undefined);
  const errors = surplusSources(field, found);
  if (found.length === 0) errors.push(required(field, 'must specify a volume type'));
  const { secret, configMap, downwardAPI, serviceAccountToken: token, clusterTrustBundle: bundle, podCertificate: certificate } = source;
  for (const [name, reference] of Object.entries({ secret, configMap })) {
    if (reference === undefined) continue;
    if ((reference.name ?? '') === '') errors.push(required(`${field}.${name}.name`));
    errors.push(...validateItems(`${field}.${name}.items`, reference.items));
  }
  if (downwardAPI !== undefined) errors.push(...validateDownward(`${field}.downwardAPI`, downwardAPI.items));
  if (token !== undefined) {
    const path = `${field}.serviceAccountToken`;
    errors.push(...tokenLifetime(`${path}.expirationSeconds`, token.expirationSeconds), ...neededPath(`${path}.path`, token.path));
  }
  if (bundle !== undefined) errors.push(...validateTrustBundle(`${field}.clusterTrustBundle`, bundle));
  if (certificate !== undefined) errors.push(...validateCertificate(`${field}.podCertificate`, certificate));
  return errors;
}

function neededPath(field: string, path: string | undefined): FieldError[] {
  return path === undefined || path === '' ? [required(field)] : relativePath(field, path);
}

function validateTrustBundle(field: string, bundle: V1ClusterTrustBundleProjection): FieldError[] {
  const { name, signerName, labelSelector: selector } = bundle;
  const errors: FieldError[] = [];
  if (name !== undefined && signerName !== undefined) {
    errors.push(invalidValue(field, bundle, 'only one of name and signerName may be used'));
  } else if (name === undefined && signerName === undefined) {
    errors.push(required(field, 'either name or signerName must be specified'));
  }
  if (name === '') errors.push(required(`${field}.name`, 'must be a valid object name'));
  if (signerName === '') errors.push(required(`${field}.signerName`, 'must be a valid signer name'));
  if (name !== undefined && selector !== undefined)
    errors.push(invalidValue(`${field}.labelSelector`, selector, 'labelSelector must be unset if name is specified'));
  return [...errors, ...labelSelector(`${field}.labelSelector`, selector), ...neededPath(`${field}.path`, bundle.path)];
}

const keyTypes = ['ECDSAP256', 'ECDSAP384', 'ECDSAP521', 'ED25519', 'RSA3072', 'RSA4096'];
const shortestCertificate = 3600;
const longestCertificate = 91 * 86_400;

function validateCertificate(field: string, certificate: V1PodCertificateProjection): FieldError[] {
  const { signerName, keyType, maxExpirationSeconds: seconds, ...paths } = certificate;
  const errors = [
    ...requiredName(`${field}.signerName`, signerName, domainPrefixedPathErrors),
    ...requiredOneOf(`${field}.keyType`, keyType, keyTypes),
  ];
  if (seconds !== undefined && (seconds < shortestCertificate || seconds > longestCertificate)) {
    const why = `must be between ${shortestCertificate} and ${longestCertificate}, inclusive`;
    errors.push(invalidValue(`${field}.maxExpirationSeconds`, seconds, why));
  }
  const found = (['credentialBundlePath', 'keyPath', 'certificateChainPath'] as const).filter((name) => (paths[name] ?? '') !== '');
  if (found.length === 0) errors.push(required(field, 'specify at least one of credentialBundlePath, keyPath, and certificateChainPath'));
  return [...errors, ...found.flatMap((name) => relativePath(`${field}.${name}`, paths[name] ?? ''))];
}
