/**
 * Signs the ConfigMap `cluster-info`, which anybody may read, with every bootstrap token that may sign: a new node that knows a token can tell whether it speaks with
 * the right cluster. Upstream's `pkg/controller/bootstrap`.
 */
import { ConfigMap, Secret } from '../../api/kinds.ts';
import { equal } from '../../machinery/equal.ts';
import { type ControllerDefinition, onAny } from '../controller.ts';
import { bootstrapTokenOf, detachedSignature } from './tokens.ts';

const [namespace, name] = ['kube-public', 'cluster-info'];
const signaturePrefix = 'jws-kubeconfig-';

export const bootstrapSigner: ControllerDefinition = {
  name: 'bootstrap-signer-controller',
  serviceAccount: 'bootstrap-signer',
  setup(context) {
    const { client, world } = context;
    const enqueue = (): void => context.enqueue(name);
    const infos = context.watch(
      ConfigMap,
      onAny(({ metadata }) => {
        if (metadata.namespace === namespace && metadata.name === name) enqueue();
      }),
    );
    const secrets = context.watch(
      Secret,
      onAny((secret) => {
        if (bootstrapTokenOf(secret)) enqueue();
      }),
    );
    return {
      async reconcile() {
        const info = infos.get(name, namespace);
        const kubeconfig = info?.data?.['kubeconfig'];
        if (!info || kubeconfig === undefined) return undefined;
        const nowMs = world.clock.now();
        const tokens = secrets.list('kube-system').flatMap((secret) => bootstrapTokenOf(secret) ?? []);
        const signing = tokens.filter(({ signs, endMs }) => signs && endMs > nowMs);
        const data = Object.fromEntries(Object.entries(info.data ?? {}).filter(([key]) => !key.startsWith(signaturePrefix)));
        for (const token of signing) data[`${signaturePrefix}${token.id}`] = detachedSignature(kubeconfig, token);
        if (!equal(data, info.data))
          await client
            .resource(ConfigMap)
            .namespace(namespace)
            .update({ ...info, data });
        const nextEndMs = Math.min(...signing.map(({ endMs }) => endMs));
        return nextEndMs === Infinity ? undefined : { requeueAfterMs: nextEndMs - nowMs };
      },
    };
  },
};
