/** Fills in what a custom kind's schema gives for fields that are not there, in place, from the outside in: a default may bring fields with defaults. */
import { clone } from '../../machinery/clone.ts';
import { type Fields, isFields, metaFields, setOwn, type Structure } from './structure.ts';

export function applyDefaults(object: object, root: Structure): void {
  if (root.hasDefaults) fillFields(object as Fields, root, true);
}

function fill(value: unknown, structure: Structure): void {
  if (!structure.hasDefaults) return;
  if (Array.isArray(value)) {
    const { items } = structure;
    if (items) for (const item of value) fill(item, items);
  } else if (isFields(value)) fillFields(value, structure, structure.isEmbedded);
}

function fillFields(value: Fields, { properties, additional }: Structure, isWhole: boolean): void {
  for (const [name, inner] of properties) {
    if (isWhole && metaFields.has(name)) continue;
    const present = Object.hasOwn(value, name) && value[name] !== undefined;
    if (!present && inner.props.default !== undefined) setOwn(value, name, clone(inner.props.default));
    if (inner.hasDefaults && Object.hasOwn(value, name)) fill(value[name], inner);
  }
  if (typeof additional !== 'object' || !additional.hasDefaults) return;
  for (const [key, item] of Object.entries(value)) if (!properties.has(key)) fill(item, additional);
}
