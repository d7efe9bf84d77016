/** Deletes bootstrap tokens whose time is over. Upstream's `pkg/controller/bootstrap/tokencleaner.go`. */
import { Secret } from '../../api/kinds.ts';
import { keyOf, splitKey } from '../../machinery/object.ts';
import type { ControllerDefinition } from '../controller.ts';
import { ignoreGone } from '../errors.ts';
import { bootstrapTokenOf } from './tokens.ts';

export const tokenCleaner: ControllerDefinition = {
  name: 'token-cleaner-controller',
  serviceAccount: 'token-cleaner',
  setup(context) {
    const { client, world } = context;
    const enqueue = (secret: Secret): void => {
      if (bootstrapTokenOf(secret)) context.enqueue(keyOf(secret));
    };
    const secrets = context.watch(Secret, { added: enqueue, updated: enqueue });
    return {
      async reconcile(key) {
        const { namespace, name } = splitKey(key);
        const secret = secrets.get(name, namespace);
        const token = secret && bootstrapTokenOf(secret);
        if (!token || token.endMs === Infinity) return undefined;
        const leftMs = token.endMs - world.clock.now();
        if (leftMs > 0) return { requeueAfterMs: leftMs };
        const { uid } = secret.metadata;
        await client.resource(Secret).namespace(secret.metadata.namespace).delete(name, { preconditions: { uid } }).catch(ignoreGone);
        return undefined;
      },
    };
  },
};
