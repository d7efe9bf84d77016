/**
 * Begins with the first Ingress that is this controller's to serve: until then a node watches Ingresses and their classes, loads nothing and takes no port.
 */
import { Ingress, IngressClass } from '../api/node-kinds.ts';
import type { IngressController, IngressControllerOptions } from './ingress-controller.ts';
import { ingressControllerName } from './names.ts';

export type IngressOptions = Omit<IngressControllerOptions, 'ingresses' | 'classes'>;

export function startIngress(options: IngressOptions): IngressController {
  const { world, informers } = options;
  const ingresses = informers.of(Ingress);
  const classes = informers.of(IngressClass);
  let controller: Promise<IngressController> | undefined;
  let closed = false;

  function look(): void {
    if (controller !== undefined || closed || ingresses.list().length === 0) return;
    if (!classes.list().some(({ spec }) => spec.controller === ingressControllerName)) return;
    controller = import('./ingress-controller.ts').then(({ startIngressController }) => startIngressController({ ...options, ingresses, classes }));
    controller.catch((error: unknown) => world.log.child('ingress').error('Ingresses cannot be served', { error: String(error) }));
  }
  const stops = [ingresses.subscribe({ added: look }), classes.subscribe({ added: look })];

  return {
    async close() {
      closed = true;
      for (const stop of stops) stop();
      const started = await controller?.catch(() => undefined);
      await started?.close();
    },
  };
}
