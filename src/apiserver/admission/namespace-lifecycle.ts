/** NamespaceLifecycle: nothing is created in a namespace that is not there or is going away, and the system's own namespaces stay. */
import { Namespace } from '../../api/kinds.ts';
import { ApiError, forbidden, notFound } from '../../machinery/errors.ts';
import type { Registry } from '../registry/registry.ts';
import type { AdmissionPlugin, AdmissionRequest } from './admission.ts';
import { isWriteOf } from './admission.ts';

const immortal: readonly string[] = ['default', 'kube-system', 'kube-public'];

export function namespaceLifecycle(registry: Registry): AdmissionPlugin {
  return {
    name: 'NamespaceLifecycle',
    admit(request) {
      if (isWriteOf(request, Namespace, 'DELETE')) {
        if (immortal.includes(request.name)) throw forbidden(request.resource, request.name, 'this namespace may not be deleted');
        return;
      }
      const { namespace } = request;
      if (namespace === undefined || request.operation !== 'CREATE') return;
      const found = registry.get(Namespace, undefined, namespace);
      if (!found) throw notFound(Namespace, namespace);
      if (request.subresource === '' && found.metadata.deletionTimestamp !== undefined && !isReview(request)) throw terminating(request, namespace);
    },
  };
}

/** Asking what one may do must work in a namespace that is going away, or nobody could finish its deletion. */
function isReview(request: AdmissionRequest): boolean {
  return request.resource.group === 'authorization.k8s.io';
}

function terminating(request: AdmissionRequest, namespace: string): ApiError {
  const why = `unable to create new content in namespace ${namespace} because it is being terminated`;
  const error = forbidden(request.resource, request.name, why);
  return new ApiError('Forbidden', error.message, {
    ...error.details,
    causes: [{ reason: 'NamespaceTerminating', message: `namespace ${namespace} is being terminated`, field: 'metadata.namespace' }],
  });
}
