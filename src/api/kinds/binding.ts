/** Binding (core/v1): puts a pod on a node. Never stored: creating one writes the pod's `spec.nodeName`. */
import { notSupported, required, type FieldError } from '../../machinery/field-error.ts';
import { defineKind, virtualKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import type { V1Binding } from '../types.ts';

export type Binding = V1Binding;

export const Binding: Kind<V1Binding> = defineKind<V1Binding>({
  kind: 'Binding',
  resource: 'bindings',
  model: 'V1Binding',
  ...virtualKind,
  validate: ({ target }): FieldError[] => [
    ...((target?.kind ?? '') === '' || target.kind === 'Node' ? [] : [notSupported('target.kind', target.kind, ['Node', '<empty>'])]),
    ...((target?.name ?? '') === '' ? [required('target.name')] : []),
  ],
});
