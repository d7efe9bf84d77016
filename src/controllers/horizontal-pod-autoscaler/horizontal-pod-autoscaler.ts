/**
 * Changes the replicas of workloads with their load. Every autoscaler is looked at each 15 seconds: its target's scale and its metrics are read, `decide` says what to do,
 * and the scale subresource is written. Upstream's `pkg/controller/podautoscaler`.
 */
import { CustomResourceDefinition, HorizontalPodAutoscaler, Pod, allKinds } from '../../api/kinds.ts';
import type { Kind } from '../../api/kind.ts';
import type { V2CrossVersionObjectReference, V2HorizontalPodAutoscalerStatus, V2MetricSpec } from '../../api/types.ts';
import { resourcePath } from '../../client/typed-client.ts';
import { equal } from '../../machinery/equal.ts';
import { type KubeObject, keyOf, splitKey } from '../../machinery/object.ts';
import { parseLabelSelector, type Selector } from '../../machinery/selector.ts';
import { timestamp } from '../../world/world.ts';
import type { ControllerDefinition } from '../controller.ts';
import { kindOfDefinition } from '../custom-kinds.ts';
import { messageOf } from '../errors.ts';
import { type AutoscalerDecision, Conditions, decide, type Reading } from './decide.ts';
import { externalMetric, objectMetric, podResources, podsMetric } from './metric-sources.ts';
import { emptyHistory, type History } from './scaling-rules.ts';

interface Scale extends KubeObject {
  readonly spec: { readonly replicas?: number };
  readonly status: { readonly replicas: number; readonly selector?: string };
}

export const horizontalPodAutoscalerController: ControllerDefinition = {
  name: 'horizontal-pod-autoscaler-controller',
  serviceAccount: 'horizontal-pod-autoscaler',
  setup(context) {
    const { client, events, world } = context;
    const timing = context.options.autoscaling;
    const histories = new Map<string, History>();
    /** By autoscaler: where its target is and the pods it says it has, to notice two autoscalers that scale the same. */
    const targets = new Map<string, string>();

    const autoscalers = context.watch(HorizontalPodAutoscaler, {
      added: (autoscaler) => context.enqueue(keyOf(autoscaler)),
      updated(autoscaler, old) {
        if (!equal(autoscaler.spec, old.spec)) context.enqueue(keyOf(autoscaler));
      },
      deleted(autoscaler) {
        histories.delete(keyOf(autoscaler));
        targets.delete(keyOf(autoscaler));
      },
    });
    const pods = context.watch(Pod);
    const definitions = context.watch(CustomResourceDefinition);

    function kindOf({ apiVersion = 'v1', kind }: V2CrossVersionObjectReference): Kind | undefined {
      const group = apiVersion.includes('/') ? apiVersion.slice(0, apiVersion.indexOf('/')) : '';
      const builtIn = allKinds.find((candidate) => candidate.group === group && candidate.kind === kind);
      if (builtIn) return builtIn;
      const definition = definitions.list().find(({ spec }) => spec.group === group && spec.names.kind === kind);
      return definition && kindOfDefinition(definition);
    }

    async function readMetric(metric: V2MetricSpec, namespace: string, selector: Selector): Promise<Reading> {
      const { transport } = client;
      const { resource, containerResource, pods: podMetric, object, external } = metric;
      try {
        if (resource) return { of: 'pods', samples: await podResources(transport, namespace, selector, resource.name).catch(unable(resource.name)) };
        if (containerResource) {
          const { name, container } = containerResource;
          return { of: 'pods', samples: await podResources(transport, namespace, selector, name, container).catch(unable(name)) };
        }
        if (podMetric) return { of: 'pods', samples: await podsMetric(transport, namespace, selector, podMetric.metric) };
        if (external) return { of: 'value', value: await externalMetric(transport, namespace, external.metric) };
        if (!object) return { of: 'nothing', error: new Error(`unknown metric source type "${metric.type}"`) };
        const kind = kindOf(object.describedObject);
        if (!kind) return { of: 'nothing', error: new Error(noMatch(object.describedObject)) };
        const described = {
          namespace: kind.namespaced ? namespace : undefined,
          resource: kind.group === '' ? kind.resource : `${kind.resource}.${kind.group}`,
          name: object.describedObject.name,
        };
        return { of: 'value', value: await objectMetric(transport, described, object.metric) };
      } catch (error) {
        return { of: 'nothing', error };
      }
    }

    async function writeStatus(autoscaler: HorizontalPodAutoscaler, status: V2HorizontalPodAutoscalerStatus): Promise<void> {
      if (equal(withoutAbsent(status), withoutAbsent(autoscaler.status))) return;
      await client
        .resource(HorizontalPodAutoscaler)
        .namespace(autoscaler.metadata.namespace)
        .updateStatus({ ...autoscaler, status });
    }

    /** Says in a condition and an event what keeps the autoscaler from working, and fails. */
    async function refuse(autoscaler: HorizontalPodAutoscaler, type: string, reason: string, message: string, condition = message): Promise<never> {
      events.event(autoscaler, 'Warning', reason, message);
      const conditions = new Conditions(autoscaler.status.conditions, timestamp(world.clock.now()));
      conditions.set(type, 'False', reason, condition);
      await writeStatus(autoscaler, { ...autoscaler.status, conditions: conditions.list });
      throw new Error(message);
    }

    async function readScale(autoscaler: HorizontalPodAutoscaler): Promise<{ scale: Scale; path: string }> {
      const { scaleTargetRef } = autoscaler.spec;
      try {
        const kind = kindOf(scaleTargetRef);
        if (!kind) throw new Error(noMatch(scaleTargetRef));
        const path = resourcePath(kind, autoscaler.metadata.namespace, scaleTargetRef.name, 'scale');
        return { scale: (await client.transport.request({ method: 'GET', path })) as Scale, path };
      } catch (error) {
        const message = messageOf(error);
        return refuse(
          autoscaler,
          'AbleToScale',
          'FailedGetScale',
          message,
          `the HPA controller was unable to get the target's current scale: ${message}`,
        );
      }
    }

    async function readSelector(autoscaler: HorizontalPodAutoscaler, path: string, text: string | undefined): Promise<Selector> {
      const key = keyOf(autoscaler);
      if (text === undefined || text === '') {
        return refuse(autoscaler, 'ScalingActive', 'InvalidSelector', 'selector is required', "the HPA target's scale is missing a selector");
      }
      let selector: Selector;
      try {
        selector = parseLabelSelector(text);
      } catch (error) {
        return refuse(
          autoscaler,
          'ScalingActive',
          'InvalidSelector',
          `couldn't convert selector into a corresponding internal selector object: ${messageOf(error)}`,
        );
      }
      const target = `${path}?${text}`;
      targets.set(key, target);
      const rivals = [...targets].filter(([, other]) => other === target).map(([name]) => name);
      if (rivals.length > 1) {
        const message = `pods by selector ${text} are controlled by multiple HPAs: [${rivals.toSorted().join(' ')}]`;
        return refuse(autoscaler, 'ScalingActive', 'AmbiguousSelector', message);
      }
      return selector;
    }

    async function rescale(autoscaler: HorizontalPodAutoscaler, path: string, scale: Scale, decision: AutoscalerDecision): Promise<void> {
      const { desiredReplicas: size, rescaleReason: reason, status } = decision;
      const now = world.clock.now();
      const conditions = new Conditions(status.conditions, timestamp(now));
      try {
        await client.transport.request({ method: 'PUT', path, body: { ...scale, spec: { ...scale.spec, replicas: size } } });
      } catch (error) {
        const message = messageOf(error);
        events.event(autoscaler, 'Warning', 'FailedRescale', `New size: ${size}; reason: ${reason}; error: ${message}`);
        conditions.set('AbleToScale', 'False', 'FailedUpdateScale', `the HPA controller was unable to update the target scale: ${message}`);
        await writeStatus(autoscaler, { ...status, desiredReplicas: autoscaler.status.desiredReplicas, conditions: conditions.list });
        throw error;
      }
      conditions.set('AbleToScale', 'True', 'SucceededRescale', `the HPA controller was able to update the target scale to ${size}`);
      events.event(autoscaler, 'Normal', 'SuccessfulRescale', `New size: ${size}; reason: ${reason}`);
      const key = keyOf(autoscaler);
      const { recommendations, changes } = histories.get(key) ?? emptyHistory;
      histories.set(key, { recommendations, changes: [...changes, { atMs: now, change: size - (scale.spec.replicas ?? 0) }] });
      await writeStatus(autoscaler, { ...status, lastScaleTime: timestamp(now), conditions: conditions.list });
    }

    async function sync(key: string, autoscaler: HorizontalPodAutoscaler): Promise<void> {
      const { namespace } = autoscaler.metadata;
      const { scale, path } = await readScale(autoscaler);
      const selector = await readSelector(autoscaler, path, scale.status.selector);
      const readings = await Promise.all((autoscaler.spec.metrics ?? []).map((metric) => readMetric(metric, namespace, selector)));
      const decision = decide({
        autoscaler,
        specReplicas: scale.spec.replicas ?? 0,
        statusReplicas: scale.status.replicas,
        pods: pods.list(namespace).filter((pod) => selector.matches(pod.metadata.labels)),
        readings,
        history: histories.get(key) ?? emptyHistory,
        timing,
        nowMs: world.clock.now(),
      });
      histories.set(key, decision.history);
      for (const { reason, message } of decision.warnings) events.event(autoscaler, 'Warning', reason, message);
      if (decision.rescaleReason !== undefined) await rescale(autoscaler, path, scale, decision);
      else await writeStatus(autoscaler, decision.status);
    }

    return {
      async reconcile(key) {
        const { namespace, name } = splitKey(key);
        const autoscaler = autoscalers.get(name, namespace);
        if (!autoscaler) return undefined;
        try {
          await sync(key, autoscaler);
        } catch (error) {
          // The next look comes by itself, at its usual time.
          context.world.log.debug('could not scale', { key, error: messageOf(error) });
        }
        return { requeueAfterMs: timing.syncPeriodMs };
      },
    };
  },
};

function noMatch({ apiVersion = 'v1', kind }: V2CrossVersionObjectReference): string {
  return `no matches for kind "${kind}" in version "${apiVersion}"`;
}

function unable(resource: string): (error: unknown) => never {
  return (error) => {
    throw new Error(`unable to get metrics for resource ${resource}: ${messageOf(error)}`, { cause: error });
  };
}

/** As the server keeps it: an empty list of metrics is none. */
function withoutAbsent(status: V2HorizontalPodAutoscalerStatus): V2HorizontalPodAutoscalerStatus {
  return { ...status, currentMetrics: status.currentMetrics ?? [], currentReplicas: status.currentReplicas ?? 0 };
}
