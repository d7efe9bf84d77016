/** Pods and nodes for the scheduler's tests: complete objects with the few fields a case is about. */
import type { Namespace, Node, Pod } from '../api/kinds.ts';
import type { V1Container, V1NodeSpec, V1NodeStatus, V1PodSpec } from '../api/types.ts';

const created = { resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' };

export function testPod(name: string, spec: Partial<V1PodSpec> = {}, requests: Record<string, string> = {}): Pod {
  const container: V1Container = { name: 'main', image: 'app', resources: { requests } };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', uid: `uid-${name}`, generation: 1, ...created },
    spec: { containers: [container], schedulerName: 'default-scheduler', ...spec },
    status: { phase: 'Pending' },
  };
}

export function testNode(name: string, spec: V1NodeSpec = {}, labels: Record<string, string> = {}, status: V1NodeStatus = {}): Node {
  return {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, uid: `uid-${name}`, labels, ...created },
    spec,
    status: { allocatable: { cpu: '2', memory: '4Gi', pods: '110' }, ...status },
  };
}

export function testNamespace(name: string, labels: Record<string, string>): Namespace {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name, uid: `uid-${name}`, labels, ...created }, spec: {}, status: { phase: 'Active' } };
}
