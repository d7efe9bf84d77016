/**
 * What other parts of the cluster know about an object and the server does not keep: computed when it is read, authorized like any subresource (`get` on
 * `pods/scheduling` of group `k8ts.io`). Whoever puts the server together registers it.
 */
import type { Call } from './request.ts';

/** `group/version/resource/subresource`, and who answers a GET of it with a JSON value. What it throws is answered like any error. */
export type ComputedResources = ReadonlyMap<string, (call: Call) => object>;
