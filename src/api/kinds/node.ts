/** Node (core/v1): a machine that runs pods. */
import { equal } from '../../machinery/equal.ts';
import { at, duplicate, forbiddenField, invalidValue, type FieldError } from '../../machinery/field-error.ts';
import { tryParseCidr } from '../../machinery/ip.ts';
import { labelValueErrors, qualifiedNameErrors } from '../../machinery/names.ts';
import { ageColumn, column, listed, nameColumn } from '../columns.ts';
import { defineKind, proxySubresource, statusSubresource } from '../define-kind.ts';
import { messages, requiredOneOf } from '../field-checks.ts';
import type { Kind } from '../kind.ts';
import type { V1Node, V1NodeSpec } from '../types.ts';

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
    else if (spec.podCIDRs?.[0] !== undefined) spec.podCIDR = spec.podCIDRs[0];
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
  validate: ({ spec }, old) => [...validateSpec('spec', spec), ...(old === undefined ? [] : validateChange('spec', spec, old.spec))],
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
  for (const [index, cidr] of (spec.podCIDRs ?? []).entries()) {
    if (tryParseCidr(cidr) === undefined)
      errors.push(invalidValue(at(`${field}.podCIDRs`, index), cidr, 'must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)'));
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
