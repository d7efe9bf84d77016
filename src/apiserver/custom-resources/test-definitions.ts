/** For tests: a definition with a bit of everything. */

/** A fresh copy, to be changed freely. */
export function widgets(versions = [widgetVersion()]) {
  const names: { plural: string; kind: string; listKind?: string; shortNames?: string[]; categories?: string[] } = {
    plural: 'widgets',
    kind: 'Widget',
    shortNames: ['wg'],
    categories: ['all'],
  };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names,
      versions,
    },
  };
}

export function widgetVersion() {
  return {
    name: 'v1',
    served: true,
    storage: true,
    subresources: {
      status: {},
      scale: { specReplicasPath: '.spec.replicas', statusReplicasPath: '.status.replicas', labelSelectorPath: '.status.labelSelector' },
    },
    selectableFields: [{ jsonPath: '.spec.colour' }],
    additionalPrinterColumns: [
      { name: 'Size', type: 'integer', jsonPath: '.spec.size' },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ],
    schema: {
      openAPIV3Schema: {
        type: 'object',
        description: 'A widget.',
        required: ['spec'],
        properties: {
          spec: {
            type: 'object',
            description: 'What the widget is to be.',
            required: ['size'],
            properties: {
              size: { type: 'integer', minimum: 1, description: 'How big it is.' },
              colour: { type: 'string', enum: ['red', 'green'], default: 'red' },
              code: { type: 'string', pattern: '^[a-z]{3}$' },
              count: { type: 'integer', maximum: 10 },
              replicas: { type: 'integer' },
              maybe: { type: 'string', nullable: true },
              free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
              labels: { type: 'object', additionalProperties: { type: 'string' } },
              when: { type: 'string', format: 'date-time' },
              port: { 'x-kubernetes-int-or-string': true },
              tags: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
              ports: {
                type: 'array',
                'x-kubernetes-list-type': 'map',
                'x-kubernetes-list-map-keys': ['name'],
                items: { type: 'object', required: ['name'], properties: { name: { type: 'string' }, port: { type: 'integer' } } },
              },
            },
          },
          status: { type: 'object', properties: { replicas: { type: 'integer' }, labelSelector: { type: 'string' } } },
        },
      },
    },
  };
}
