/** Which pod, and which of its containers, a streaming subresource is about; with upstream's words for what can be wrong. */
import { Pod } from '../../api/kinds.ts';
import { badRequest, notFound } from '../../machinery/errors.ts';
import type { ResourceTarget } from '../request.ts';
import type { ObjectReader } from '../verbs.ts';

export function podOf({ namespace = '', name = '' }: ResourceTarget, objects: ObjectReader): Pod {
  const pod = objects.get(Pod, namespace, name);
  if (pod === undefined) throw notFound({ group: '', resource: 'pods' }, name);
  return pod;
}

/** The node the pod is on. Throws a 400 for a pod that is on none yet. */
export function hostOf(pod: Pod): string {
  const { nodeName = '' } = pod.spec;
  if (nodeName === '') throw badRequest(`pod ${pod.metadata.name} does not have a host assigned`);
  return nodeName;
}

/** The container asked for, or the only one. */
export function containerOf(pod: Pod, asked: string | null): string {
  const { containers, initContainers = [], ephemeralContainers = [] } = pod.spec;
  const { name } = pod.metadata;
  if (asked !== null && asked !== '') {
    if ([...containers, ...initContainers, ...ephemeralContainers].some((container) => container.name === asked)) return asked;
    throw badRequest(`container ${asked} is not valid for pod ${name}`);
  }
  const [only, second] = containers;
  if (only !== undefined && second === undefined) return only.name;
  const choices = [
    `choose one of: [${namesOf(containers)}]`,
    ...(initContainers.length > 0 ? [`one of the init containers: [${namesOf(initContainers)}]`] : []),
    ...(ephemeralContainers.length > 0 ? [`one of the ephemeral containers: [${namesOf(ephemeralContainers)}]`] : []),
  ];
  throw badRequest(`a container name must be specified for pod ${name}, ${choices.join(' or ')}`);
}

function namesOf(containers: readonly { readonly name: string }[]): string {
  return containers.map((container) => container.name).join(' ');
}
