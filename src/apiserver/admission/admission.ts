/**
 * Admission: plugins that may change a write (first) and refuse it (then), after authorization and before it is stored. One file per plugin, in
 * the order upstream runs them. See https://kubernetes.io/docs/reference/access-authn-authz/admission-controllers/
 */
import type { Kind } from '../../api/kind.ts';
import type { GroupResource } from '../../machinery/errors.ts';
import type { AnyObject } from '../registry/decoding.ts';
import type { User } from '../request.ts';

export type AdmissionOperation = 'CREATE' | 'UPDATE' | 'DELETE';

/** What a plugin is told about a write. */
export interface AdmissionRequest {
  readonly operation: AdmissionOperation;
  /** The kind in the path, and the resource with its group. */
  readonly kind: Kind;
  readonly resource: GroupResource;
  /** '' for the object itself. */
  readonly subresource: string;
  readonly namespace: string | undefined;
  /** '' while a generated name is not there yet. */
  readonly name: string;
  readonly user: User;
  readonly dryRun: boolean;
  /** What is going to be stored, the plugin's to change in `admit`; undefined for a delete. In the version of {@link kind}. */
  readonly object: AnyObject | undefined;
  /** What is stored now; never to be changed. Undefined for a create. */
  readonly oldObject: AnyObject | undefined;
  readonly warnings: string[];
}

/** Both hooks throw an `ApiError` to refuse. A plugin that needs nothing asynchronous answers nothing, and costs nothing. */
export interface AdmissionPlugin {
  readonly name: string;
  /** Changes `request.object` in place. */
  admit?(request: AdmissionRequest): void | Promise<void>;
  /** Looks at the final object. */
  validate?(request: AdmissionRequest): void | Promise<void>;
}

export class AdmissionChain {
  readonly #plugins: readonly AdmissionPlugin[];

  constructor(plugins: readonly AdmissionPlugin[]) {
    this.#plugins = plugins;
  }

  async admit(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.#plugins) {
      const pending = plugin.admit?.(request);
      if (pending) await pending;
    }
  }

  async validate(request: AdmissionRequest): Promise<void> {
    for (const plugin of this.#plugins) {
      const pending = plugin.validate?.(request);
      if (pending) await pending;
    }
  }
}

/** True for writes of the kind's objects themselves, in one of the operations. */
export function isWriteOf(request: AdmissionRequest, kind: Pick<Kind, 'group' | 'resource'>, ...operations: readonly AdmissionOperation[]): boolean {
  return (
    request.subresource === '' &&
    request.resource.resource === kind.resource &&
    request.resource.group === kind.group &&
    operations.includes(request.operation)
  );
}
