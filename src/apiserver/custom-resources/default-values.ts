/** Defaults of a definition's schemas are judged by those schemas when the definition is written: a wrong one would make every object that lacks the field wrong. */
import { CustomResourceDefinition } from '../../api/kinds.ts';
import { errorsOfSchemas } from '../../api/kinds/custom-resource-definition.ts';
import { invalid } from '../../machinery/errors.ts';
import { at, FieldError, invalidValue } from '../../machinery/field-error.ts';
import { type AdmissionPlugin, concernsOnly } from '../admission/admission.ts';
import { readCustomObject } from './pruning.ts';
import { type Structure, structureOf } from './structure.ts';
import { validateValue } from './value-validation.ts';

export const definitionDefaults: AdmissionPlugin = {
  name: 'CustomResourceDefaults',
  concerns: concernsOnly(CustomResourceDefinition),
  validate({ operation, object, name }) {
    if (object === undefined || (operation !== 'CREATE' && operation !== 'UPDATE')) return;
    const { spec } = object as typeof object & CustomResourceDefinition;
    const errors = errorsOfSchemas('spec', spec, (field, schema) => defaultErrors(field, structureOf(schema)));
    if (errors.length > 0) throw invalid(CustomResourceDefinition, name, errors);
  },
};

function defaultErrors(field: string, structure: Structure): FieldError[] {
  if (!structure.hasDefaults) return [];
  const { props, properties, items, additional } = structure;
  const errors = props.default === undefined ? [] : judged(`${field}.default`, props.default, structure);
  for (const [name, inner] of properties) errors.push(...defaultErrors(at(`${field}.properties`, name), inner));
  if (items) errors.push(...defaultErrors(`${field}.items`, items));
  if (typeof additional === 'object') errors.push(...defaultErrors(`${field}.additionalProperties`, additional));
  return errors;
}

/** The default as the only field of an object. */
function judged(field: string, value: unknown, structure: Structure): FieldError[] {
  const holder = structureOf({ type: 'object', properties: { default: structure.props } });
  const { unknownFields } = readCustomObject({ default: value }, holder);
  if (unknownFields.length > 0) return [invalidValue(field, value, 'must not have unknown fields')];
  return validateValue({ default: value }, undefined, holder).map(
    (error) => new FieldError(error.reason, error.field === '<nil>' ? field : error.field.replace(/^default/, field), error.detail()),
  );
}
