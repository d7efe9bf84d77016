# The definition of a kind in a group of this namespace's own.
cat <<END
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: crontabs.$NS.example.com}
spec:
  group: $NS.example.com
  scope: Namespaced
  names: {plural: crontabs, singular: crontab, kind: CronTab, shortNames: [ct-$NS], categories: [all]}
  versions:
    - name: v1
      served: true
      storage: true
      subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
      additionalPrinterColumns: [{name: Schedule, type: string, jsonPath: .spec.schedule}, {name: Age, type: date, jsonPath: .metadata.creationTimestamp}]
      schema:
        openAPIV3Schema:
          type: object
          description: A thing that comes round again.
          properties:
            spec: {type: object, description: What is wanted., required: [schedule], properties: {schedule: {type: string, description: When., pattern: '^[0-9*/ ]+$'}, replicas: {type: integer, minimum: 0, default: 1}}}
            status: {type: object, properties: {replicas: {type: integer}}}
END
