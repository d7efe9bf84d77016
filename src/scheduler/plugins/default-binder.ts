/** DefaultBinder: writes the decision to the pod, by `pods/binding`. */
import { Pod } from '../../api/kinds.ts';
import type { PluginDefinition } from '../plugin.ts';

export const defaultBinder: PluginDefinition = {
  name: 'DefaultBinder',
  create: (_, { client }) => {
    const pods = client.resource(Pod);
    return {
      name: 'DefaultBinder',
      hints: [],
      async bind({ pod }, nodeName) {
        const { name, namespace, uid } = pod.metadata;
        await pods.namespace(namespace).createSubresource(name, 'binding', {
          apiVersion: 'v1',
          kind: 'Binding',
          metadata: { name, namespace, uid },
          target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
        });
        return true;
      },
    };
  },
};
