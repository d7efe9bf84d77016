/** What this ingress controller is called by others. */

/** In an IngressClass's `spec.controller`. */
export const ingressControllerName = 'k8ts.io/ingress';

/** The class that Ingresses are of which name none. */
export const ingressClassName = 'k8ts';

export const ingressNamespace = 'kube-system';

/** The Service whose endpoints are the nodes that serve; also the Lease of the one that writes statuses. */
export const ingressServiceName = 'k8ts-ingress';
