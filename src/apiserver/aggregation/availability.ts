/** Whether a remote API can be asked: its Service, a port, addresses behind it, and an answer to discovery. The reasons are upstream's. */
import type { V1APIServiceCondition } from '../../api/types.ts';
import { endpointsOf, Unreachable } from '../service-endpoint.ts';
import type { ObjectReader } from '../verbs.ts';
import { isFields } from '../custom-resources/structure.ts';
import type { RemoteApi, RemoteResource } from './remote-api.ts';

/** As upstream. */
const discoveryTimeoutMs = 5_000;
/** Of many endpoints one that answers is enough. */
const attempts = 5;

export interface Verdict {
  readonly condition: V1APIServiceCondition;
  /** What the server said it has, when it answered. */
  readonly resources?: readonly RemoteResource[];
}

const passed: V1APIServiceCondition = { type: 'Available', status: 'True', reason: 'Passed', message: 'all checks passed' };

export async function checkAvailability(objects: ObjectReader, api: RemoteApi): Promise<Verdict> {
  const { group = '', version = '' } = api.spec;
  const path = `/apis/${group}/${version}`;
  const { name, namespace, port } = api.service;
  const url = `https://${name}.${namespace}.svc:${port}${path}`;
  let failure = '';
  try {
    const endpoints = endpointsOf(objects, api.service);
    for (let attempt = 0; attempt < attempts && attempt < Math.max(1, endpoints.length); attempt++) {
      const endpoint = endpoints[attempt];
      if (endpoint === undefined) break;
      try {
        const { code, body } = await api.fetch(path, { timeoutMs: discoveryTimeoutMs, endpoint });
        if (code >= 200 && code <= 299) return { condition: passed, resources: resourcesOf(body) };
        failure = `failing or missing response from ${url}: bad status from ${url}: ${code}`;
      } catch (error) {
        failure = `failing or missing response from ${url}: Get ${JSON.stringify(url)}: ${error instanceof Error ? error.message : String(error)}`;
      }
    }
    return { condition: unavailable('FailedDiscoveryCheck', failure) };
  } catch (error) {
    if (error instanceof Unreachable) return { condition: unavailable(error.reason, error.message) };
    const why = error instanceof Error ? error.message : String(error);
    return { condition: unavailable('ServiceAccessError', `service/${name} in ${JSON.stringify(namespace)} cannot be checked due to: ${why}`) };
  }
}

function unavailable(reason: string, message: string): V1APIServiceCondition {
  return { type: 'Available', status: 'False', reason, message };
}

/** What is no list of resources has none: the server was there, which is what availability means. */
function resourcesOf(body: Buffer): RemoteResource[] {
  try {
    const list: unknown = JSON.parse(body.toString('utf8'));
    const resources = isFields(list) ? list['resources'] : undefined;
    return Array.isArray(resources) ? resources.filter((resource): resource is RemoteResource => isResource(resource)) : [];
  } catch {
    return [];
  }
}

function isResource(value: unknown): boolean {
  return isFields(value) && typeof value['name'] === 'string' && typeof value['kind'] === 'string';
}
