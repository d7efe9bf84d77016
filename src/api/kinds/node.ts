/** Node (core/v1): a machine that runs pods. */
import { equal } from '../../machinery/equal.ts';
import { at, duplicate, forbiddenField, invalidValue, type FieldError } from '../../machinery/field-error.ts';
import { tryParseCidr } from '../../machinery/ip.ts';
import { labelValueErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import { ageColumn, column, listed, nameColumn } from '../columns.ts';
import { defineKind, proxySubresource, statusSubresource } from '../define-kind.ts';
import { cidr, messages, requiredOneOf, noDuplicates, nonNegativeAmount } from '../field-checks.ts';
import { validateResourceName } from '../pods/validate-resources.ts';
import type { Kind } from '../kind.ts';
import type { V1Node, V1NodeSpec, V1NodeStatus } from '../types.ts';

export type Node = V1Node;

export const Node: Kind<V1Node> = defineKind<V1Node>({
  kind: 'Node',
  resource: 'nodes',
  model: 'V1Node',
  shortNames: ['no'],
  namespaced: false,
  subresources: { proxy: proxySubresource('NodeProxyOptions'), status: statusSubresource },
  defaults({ spec, status }) {
    // The single-address field mirrors the first of the list.
    if (spec.podCIDR !== undefined && (spec.podCIDRs ?? []).length === 0) spec.podCIDRs = [spec.podCIDR];
    else if (spec.podCIDRs?.[0] !== undefined && spec.podCIDR !== spec.podCIDRs[0]) spec.podCIDR = spec.podCIDRs[0];
    if (status.capacity !== undefined) status.allocatable ??= { ...status.capacity };
    status.daemonEndpoints ??= { kubeletEndpoint: { Port: 0 } };
    status.nodeInfo ??= {
      machineID: '',
      systemUUID: '',
      bootID: '',
      kernelVersion: '',
      osImage: '',
      containerRuntimeVersion: '',
      kubeletVersion: '',
      kubeProxyVersion: '',
      operatingSystem: '',
      architecture: '',
    };
  },
  // A kubelet registers itself with its status.
  prepareForCreate() {},
  validate: ({ spec, status }, old) => [
    ...validateSpec('spec', spec),
    ...validateStatus('status', status),
    ...(old === undefined ? [] : validateChange('spec', spec, old.spec)),
  ],
  warnings: ({ spec }) => [
    ...(spec.configSource === undefined ? [] : ['spec.configSource: the feature is removed']),
    ...((spec.externalID ?? '') === '' ? [] : ['spec.externalID: this field is deprecated, and is unused by Kubernetes']),
  ],
  validateStatus: ({ status }) => validateStatus('status', status),
  selectableFields: { 'spec.unschedulable': ({ spec }) => String(spec.unschedulable ?? false) },
  columns: [
    nameColumn,
    column('Status', 'Whether the node takes and runs pods.', statusText),
    column('Roles', 'From labels `node-role.kubernetes.io/…`.', rolesText),
    ageColumn,
    column('Version', "The kubelet's version.", ({ status }) => status.nodeInfo?.kubeletVersion ?? ''),
    column('Internal-IP', 'Where the cluster reaches the node.', (node) => addressOf(node, 'InternalIP'), { wide: true }),
    column('External-IP', 'Where the world reaches the node.', (node) => addressOf(node, 'ExternalIP'), { wide: true }),
    column('OS-Image', 'The operating system.', ({ status }) => orUnknown(status.nodeInfo?.osImage), { wide: true }),
    column('Kernel-Version', 'The kernel.', ({ status }) => orUnknown(status.nodeInfo?.kernelVersion), { wide: true }),
    column('Container-Runtime', 'What runs the containers.', ({ status }) => orUnknown(status.nodeInfo?.containerRuntimeVersion), { wide: true }),
  ],
});

function statusText({ spec, status }: V1Node): string {
  const ready = status.conditions?.find(({ type }) => type === 'Ready');
  const word = ready === undefined ? 'Unknown' : ready.status === 'True' ? 'Ready' : 'NotReady';
  return spec.unschedulable === true ? `${word},SchedulingDisabled` : word;
}

const rolePrefix = 'node-role.kubernetes.io/';

function rolesText({ metadata }: V1Node): string {
  const roles = new Set<string>();
  for (const [key, value] of Object.entries(metadata.labels ?? {})) {
    if (key.startsWith(rolePrefix) && key.length > rolePrefix.length) roles.add(key.slice(rolePrefix.length));
    else if (key === 'kubernetes.io/role' && value !== '') roles.add(value);
  }
  return listed([...roles].toSorted());
}

function addressOf({ status }: V1Node, type: string): string {
  return status.addresses?.find((address) => address.type === type)?.address ?? '<none>';
}

function orUnknown(text: string | undefined): string {
  return text === undefined || text === '' ? '<unknown>' : text;
}

export const taintEffects = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

function validateSpec(field: string, spec: V1NodeSpec): FieldError[] {
  const errors: FieldError[] = [];
  const seen = new Set<string>();
  for (const [index, taint] of (spec.taints ?? []).entries()) {
    const path = at(`${field}.taints`, index);
    errors.push(
      ...messages(`${path}.key`, taint.key, qualifiedNameErrors(taint.key)),
      ...messages(`${path}.value`, taint.value ?? '', labelValueErrors(taint.value ?? '')),
      ...requiredOneOf(`${path}.effect`, taint.effect, taintEffects),
    );
    const id = `${taint.key}:${taint.effect}`;
    if (seen.has(id)) errors.push(duplicate(path, taint));
    seen.add(id);
  }
  const ranges = spec.podCIDRs ?? [];
  errors.push(...ranges.flatMap((range, index) => cidr(at(`${field}.podCIDRs`, index), range)));
  const families = new Set(ranges.map((range) => tryParseCidr(range)?.address.family));
  if (ranges.length > 2 || families.size < ranges.length)
    errors.push(invalidValue(`${field}.podCIDRs`, ranges, 'may specify no more than one CIDR for each IP family'));
  return errors;
}

function validateStatus(field: string, status: V1NodeStatus): FieldError[] {
  const errors = noDuplicates(`${field}.addresses`, status.addresses, ({ type, address }) => `${type}:${address}`);
  for (const part of ['capacity', 'allocatable'] as const) {
    for (const [name, amount] of Object.entries(status[part] ?? {})) {
      const path = at(`${field}.${part}`, name);
      errors.push(...validateResourceName(path, name), ...nonNegativeAmount(path, amount));
    }
  }
  return errors;
}

function validateChange(field: string, spec: V1NodeSpec, old: V1NodeSpec): FieldError[] {
  const errors: FieldError[] = [];
  if ((old.podCIDRs ?? []).length > 0 && !equal(spec.podCIDRs, old.podCIDRs)) {
    errors.push(forbiddenField(`${field}.podCIDRs`, 'node updates may not change podCIDR except from "" to valid'));
  }
  if ((old.providerID ?? '') !== '' && spec.providerID !== old.providerID) {
    errors.push(forbiddenField(`${field}.providerID`, 'node updates may not change providerID except from "" to valid'));
  }
  return errors;
}
