/** PodTemplate (core/v1): a template kept by itself. */
import { column, containerColumns, labelsText, nameColumn } from '../columns.ts';
import { defineKind } from '../define-kind.ts';
import type { Kind } from '../kind.ts';
import { templateWarnings } from '../pods/warnings.ts';
import { defaultPodTemplate } from '../pods/defaults.ts';
import { validatePodTemplate } from '../pods/validate-template.ts';
import type { V1PodTemplate } from '../types.ts';

export type PodTemplate = V1PodTemplate;

export const PodTemplate: Kind<V1PodTemplate> = defineKind<V1PodTemplate>({
  kind: 'PodTemplate',
  resource: 'podtemplates',
  model: 'V1PodTemplate',
  defaults(object) {
    object.template ??= {};
    defaultPodTemplate(object.template);
  },
  validate: ({ template }) => validatePodTemplate('template', template ?? {}),
  warnings: ({ template }) => templateWarnings('template', template),
  columns: [
    nameColumn,
    ...containerColumns<V1PodTemplate>(({ template }) => template, {}),
    column('Pod Labels', 'Labels of pods made from it.', ({ template }) => labelsText(template?.metadata?.labels)),
  ],
});
