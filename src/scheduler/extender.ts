/**
 * Extenders: servers that filter, score, bind or veto evictions over HTTP, as upstream's `extender/v1` describes. They are asked after the plugins, with the
 * nodes the plugins left.
 */
import { http, https } from '../world/http-modules.ts';
import type { World } from '../world/world.ts';
import { Arguments, ConfigurationError } from './config/arguments.ts';
import type { ExtenderConfiguration } from './config/extender-configuration.ts';
import type { PodInfo } from './pod-info.ts';
import type { Candidate } from './preemption.ts';
import type { NodeRow } from './snapshot.ts';

export interface ExtenderVerdict {
  readonly nodes: readonly NodeRow[];
  readonly failed: ReadonlyMap<string, string>;
  readonly failedForGood: ReadonlyMap<string, string>;
}

export interface Extender {
  readonly name: string;
  readonly weight: number;
  readonly ignorable: boolean;
  isInterestedIn(pod: PodInfo): boolean;
  readonly filter?: (pod: PodInfo, nodes: readonly NodeRow[]) => Promise<ExtenderVerdict>;
  /** 0 to 10 by node. */
  readonly prioritize?: (pod: PodInfo, nodes: readonly NodeRow[]) => Promise<ReadonlyMap<string, number>>;
  readonly bind?: (pod: PodInfo, nodeName: string) => Promise<void>;
  /** The candidates it agrees to. */
  readonly preempt?: (pod: PodInfo, candidates: readonly Candidate[]) => Promise<Candidate[]>;
}

/** Extenders give up to 10 points where plugins give up to 100. */
export const maxExtenderScore = 10;

export function createExtender(configuration: ExtenderConfiguration, world: World): Extender {
  const { urlPrefix, filterVerb, prioritizeVerb, bindVerb, preemptVerb, nodeCacheCapable, weight, ignorable } = configuration;
  const managed = new Set(configuration.managedResources.map(({ name }) => name));
  const ask = async (verb: string, body: object): Promise<Arguments> => {
    const path = `${urlPrefix.replace(/\/$/, '')}/${verb}`;
    const answer = Arguments.of(await postJson(path, body, configuration, world), `extender ${path}`);
    const error = answer.text('error') ?? answer.text('Error') ?? '';
    if (error !== '') throw new Error(`extender ${path}: ${error}`);
    return answer;
  };
  const nodesIn = (nodes: readonly NodeRow[]): object =>
    nodeCacheCapable
      ? { nodenames: nodes.map(({ name }) => name) }
      : { nodes: { apiVersion: 'v1', kind: 'NodeList', metadata: {}, items: nodes.map(({ node }) => node) } };
  return {
    name: urlPrefix,
    weight,
    ignorable,
    isInterestedIn: ({ pod }) =>
      managed.size === 0 || [...pod.spec.containers, ...(pod.spec.initContainers ?? [])].some(({ resources }) => asksFor(managed, resources)),
    ...(filterVerb !== '' && {
      async filter({ pod }, nodes) {
        const answer = await ask(filterVerb, { pod, ...nodesIn(nodes) });
        const left = new Set(namesIn(answer));
        return {
          nodes: nodes.filter(({ name }) => left.has(name)),
          failed: textsIn(answer, 'failedNodes'),
          failedForGood: textsIn(answer, 'failedAndUnresolvableNodes'),
        };
      },
    }),
    ...(prioritizeVerb !== '' && {
      async prioritize({ pod }, nodes) {
        const path = `${urlPrefix.replace(/\/$/, '')}/${prioritizeVerb}`;
        const answer = await postJson(path, { pod, ...nodesIn(nodes) }, configuration, world);
        const list = Arguments.of({ scores: answer ?? [] }, `extender ${path}`).objects('scores') ?? [];
        return new Map(
          list.map((one) => [
            one.text('host') ?? one.text('Host') ?? '',
            one.whole('score', 0, maxExtenderScore) ?? one.whole('Score', 0, maxExtenderScore) ?? 0,
          ]),
        );
      },
    }),
    ...(bindVerb !== '' && {
      async bind({ pod }, node) {
        const { name: podName, namespace: podNamespace, uid: podUID } = pod.metadata;
        await ask(bindVerb, { podName, podNamespace, podUID, node });
      },
    }),
    ...(preemptVerb !== '' && {
      async preempt({ pod }, candidates) {
        const field = nodeCacheCapable ? 'nodeNameToMetaVictims' : 'nodeNameToVictims';
        const victims = Object.fromEntries(
          candidates.map(({ node, victims: pods, budgetViolations: numPDBViolations }) => [
            node.name,
            { pods: pods.map(({ pod: victim }) => (nodeCacheCapable ? { uid: victim.metadata.uid } : victim)), numPDBViolations },
          ]),
        );
        const answer = (await ask(preemptVerb, { pod, [field]: victims })).object('nodeNameToMetaVictims');
        return candidates.flatMap((candidate) => {
          const kept = answer?.object(candidate.node.name);
          if (kept === undefined) return [];
          const uids = new Set((kept.objects('pods') ?? []).map((one) => one.text('uid')));
          const left = candidate.victims.filter(({ pod: victim }) => uids.has(victim.metadata.uid));
          return [{ ...candidate, victims: left, budgetViolations: kept.whole('numPDBViolations', 0, 2 ** 31) ?? candidate.budgetViolations }];
        });
      },
    }),
  };
}

function asksFor(managed: ReadonlySet<string>, resources: { readonly requests?: object; readonly limits?: object } | undefined): boolean {
  return [...Object.keys(resources?.requests ?? {}), ...Object.keys(resources?.limits ?? {})].some((name) => managed.has(name));
}

/** Nodes by name, or whole. */
function namesIn(answer: Arguments): string[] {
  const names = answer.texts('nodenames') ?? answer.texts('nodeNames');
  if (names) return names;
  return (answer.object('nodes')?.objects('items') ?? []).flatMap((one) => one.object('metadata')?.text('name') ?? []);
}

function textsIn(answer: Arguments, name: string): Map<string, string> {
  const value = answer.raw(name);
  if (value === undefined) return new Map();
  if (typeof value !== 'object' || value === null) throw new ConfigurationError(`${answer.path}.${name}: must be an object`);
  return new Map(Object.entries(value).map(([key, text]) => [key, String(text)]));
}

/** An answer that takes too long, is no JSON or is not 200 is an error. */
function postJson(url: string, body: object, { tls, timeoutMs }: ExtenderConfiguration, world: World): Promise<unknown> {
  const { ca, certificate, key, insecure, serverName } = tls ?? { insecure: false };
  const text = JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const options = {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) },
      ...(ca !== undefined && { ca }),
      ...(certificate !== undefined && { cert: certificate }),
      ...(key !== undefined && { key }),
      ...(serverName !== undefined && { servername: serverName }),
      rejectUnauthorized: !insecure,
    };
    const call = url.startsWith('https:') ? https().request(url, options) : http().request(url, options);
    const timer = world.clock.after(timeoutMs, () => call.destroy(new Error(`extender ${url} did not answer within ${timeoutMs} ms`)));
    const fail = (error: Error): void => {
      timer.cancel();
      reject(error);
    };
    call.on('error', fail);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('error', fail);
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () => {
        timer.cancel();
        if (response.statusCode !== 200) {
          reject(new Error(`extender ${url} answered ${response.statusCode ?? 0}`));
          return;
        }
        try {
          resolve(JSON.parse(Buffer.concat(chunks).toString('utf8')));
        } catch (error) {
          reject(new Error(`extender ${url} answered no JSON: ${String(error)}`));
        }
      });
    });
    call.end(text);
  });
}
