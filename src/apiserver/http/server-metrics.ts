/** What the server knows about itself without counting: which version it is, whether it is well, how many objects it keeps. */
import type { Verbs } from '../verbs.ts';
import { Exposition, labelText } from '../../machinery/exposition.ts';
import type { HealthCheck, HealthEndpoint } from './health.ts';
import type { MetricSource } from './metrics.ts';
import { versionInfo } from './version.ts';

export function buildMetrics(): string[] {
  const out = new Exposition();
  const { major, minor, gitVersion, gitCommit, gitTreeState, buildDate, goVersion, compiler, platform } = versionInfo;
  const labels = labelText({
    build_date: buildDate,
    compiler,
    git_commit: gitCommit,
    git_tree_state: gitTreeState,
    git_version: gitVersion,
    go_version: goVersion,
    major,
    minor,
    platform,
  });
  out.single('kubernetes_build_info', 'gauge', 'Always 1; its labels say what is running.', 1, labels);
  return out.all();
}

/** 1 for each check that is well. */
export function healthMetrics(checks: Readonly<Record<HealthEndpoint, readonly HealthCheck[]>>): MetricSource {
  return () => {
    const out = new Exposition();
    out.family('kubernetes_healthcheck', 'gauge', 'Whether a health check passes.');
    for (const [type, list] of Object.entries(checks)) {
      for (const { name, failure } of list) out.value('kubernetes_healthcheck', labelText({ name, type }), failure() === undefined ? 1 : 0);
    }
    return out.all();
  };
}

/** `emitted` tells how many audit events there were. */
export function auditMetrics(emitted: () => number): MetricSource {
  return () => {
    const out = new Exposition();
    out.single('apiserver_audit_event_total', 'counter', 'Audit events written.', emitted());
    return out.all();
  };
}

/** Objects by resource, each counted where it is stored. */
export function storageMetrics(verbs: Pick<Verbs, 'kinds' | 'count'>): MetricSource {
  return () => {
    const counted = new Map<string, { readonly group: string; readonly resource: string; readonly objects: number }>();
    for (const kind of verbs.kinds()) {
      if (kind.virtual === true || kind.storedAs !== undefined) continue;
      const { group, resource } = kind;
      counted.set(group === '' ? resource : `${resource}.${group}`, { group, resource, objects: verbs.count(kind) });
    }
    const out = new Exposition();
    out.family('apiserver_resource_objects', 'gauge', 'Objects stored, by group and resource.');
    for (const { group, resource, objects } of counted.values()) out.value('apiserver_resource_objects', labelText({ group, resource }), objects);
    out.family('apiserver_storage_objects', 'gauge', 'Objects stored, by resource.');
    for (const [resource, { objects }] of counted) out.value('apiserver_storage_objects', labelText({ resource }), objects);
    return out.all();
  };
}
