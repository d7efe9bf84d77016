/** Every namespace has a config map `kube-root-ca.crt`, by which pods trust the API server. Upstream's `rootcacertpublisher`. */
import { ConfigMap, Namespace } from '../api/kinds.ts';
import { equal } from '../machinery/equal.ts';
import { isReason } from '../machinery/errors.ts';
import type { ControllerDefinition } from './controller.ts';
import { isNamespaceTerminating } from './errors.ts';

const mapName = 'kube-root-ca.crt';
const descriptionAnnotation = 'kubernetes.io/description';
const description = "The CA that signed the API server's certificate for addresses inside the cluster, such as kubernetes.default.svc.";

export const rootCaPublisher: ControllerDefinition = {
  name: 'root-ca-certificate-publisher-controller',
  serviceAccount: 'root-ca-cert-publisher',
  setup(context) {
    const { client, options } = context;
    const enqueue = (namespace: Namespace): void => {
      if (options.rootCa !== undefined) context.enqueue(namespace.metadata.name);
    };
    const namespaces = context.watch(Namespace, { added: enqueue, updated: enqueue });
    const restore = (map: ConfigMap): void => {
      if (map.metadata.name === mapName) context.enqueue(map.metadata.namespace);
    };
    const maps = context.watch(ConfigMap, { updated: restore, deleted: restore });

    return {
      async reconcile(namespace) {
        const found = namespaces.get(namespace);
        if (options.rootCa === undefined || !found || found.status.phase === 'Terminating') return;
        const data = { 'ca.crt': options.rootCa };
        const map = maps.get(mapName, namespace);
        const annotations = { ...map?.metadata.annotations, [descriptionAnnotation]: description };
        try {
          if (!map) {
            await client
              .resource(ConfigMap)
              .namespace(namespace)
              .create({ metadata: { name: mapName, namespace, annotations }, data });
          } else if (!equal(map.data, data) || !equal(map.metadata.annotations, annotations)) {
            await client
              .resource(ConfigMap)
              .namespace(namespace)
              .update({ ...map, metadata: { ...map.metadata, annotations }, data });
          }
        } catch (error) {
          if (!isReason(error, 'AlreadyExists') && !isNamespaceTerminating(error)) throw error;
        }
      },
    };
  },
};
