/** What of a pod its containers can be told, in variables and in files. Follows `validateObjectFieldSelector` and `validateContainerResourceFieldSelector`. */
import { invalidValue, notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { qualifiedNameErrors } from '../../machinery/names.ts';
import { parseQuantity } from '../../machinery/quantity.ts';
import { messages } from '../field-checks.ts';
import type { V1ObjectFieldSelector, V1ResourceFieldSelector } from '../types.ts';

/** A file can be written again when labels change; a variable cannot, and is read when the pod has its addresses. */
type Place = 'variable' | 'volume';

const fields: Readonly<Record<Place, readonly string[]>> = {
  variable: [
    'metadata.name',
    'metadata.namespace',
    'metadata.uid',
    'spec.nodeName',
    'spec.serviceAccountName',
    'status.hostIP',
    'status.hostIPs',
    'status.podIP',
    'status.podIPs',
  ],
  volume: ['metadata.annotations', 'metadata.labels', 'metadata.name', 'metadata.namespace', 'metadata.uid'],
};
const known: ReadonlySet<string> = new Set([...fields.variable, ...fields.volume, 'spec.restartPolicy', 'spec.schedulerName', 'status.phase']);
const resources = ['limits.cpu', 'limits.ephemeral-storage', 'limits.memory', 'requests.cpu', 'requests.ephemeral-storage', 'requests.memory'];
const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/;

export function validateDownwardField(field: string, { apiVersion = 'v1', fieldPath }: V1ObjectFieldSelector, place: Place): FieldError[] {
  const errors = apiVersion === '' ? [required(`${field}.apiVersion`)] : [];
  const path = `${field}.fieldPath`;
  if (fieldPath === '') return [...errors, required(path)];
  const [, map, key] = keyed.exec(fieldPath) ?? [];
  if (key !== undefined) return [...errors, ...messages(path, key, qualifiedNameErrors(map === 'annotations' ? key.toLowerCase() : key))];
  if (fields[place].includes(fieldPath)) return errors;
  if (known.has(fieldPath)) return [...errors, notSupported(path, fieldPath, fields[place])];
  return [...errors, invalidValue(path, fieldPath, `error converting fieldPath: field label not supported: ${fieldPath}`)];
}

/** What an amount may be divided by: one, or a thousandth for the processor and the usual units for bytes. */
const divisors: Readonly<Record<string, readonly string[]>> = {
  cpu: ['1m', '1'],
  memory: ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei'],
};

export function validateResourceField(field: string, { containerName = '', resource, divisor }: V1ResourceFieldSelector, place: Place): FieldError[] {
  const errors = place === 'volume' && containerName === '' ? [required(`${field}.containerName`)] : [];
  if (resource === '') return [...errors, required(`${field}.resource`)];
  const huge = /^(limits|requests)\.hugepages-/.test(resource);
  if (!huge && !resources.includes(resource)) return [...errors, notSupported(`${field}.resource`, resource, resources)];
  if (divisor === undefined || parseQuantity(divisor).isZero()) return errors;
  const what = resource.endsWith('.cpu') ? 'cpu' : 'memory';
  const allowed = divisors[what] ?? [];
  if (allowed.some((one) => parseQuantity(one).compare(parseQuantity(divisor)) === 0)) return errors;
  const named = huge ? 'hugepages' : resource.replace(/^(limits|requests)\./, '');
  return [
    ...errors,
    invalidValue(`${field}.divisor`, divisor, `only divisor's values ${allowed.join(', ')} are supported with the ${named} resource`),
  ];
}
