/** Makes a pod's sandbox: its network and the namespaces its containers share. */
import type { Pod } from '../api/kinds.ts';
import type { KubeletContext } from './context.ts';
import { podDns } from './dns-config.ts';
import { hostsFile, podHostname } from './hosts-file.ts';
import { type PodDirectories, podLogDirectory } from './pod-directories.ts';
import { handlerOf, type SandboxConfig } from './runtime/runtime.ts';
import { sandboxConfig } from './sandbox-config.ts';
import { ConfigError } from './start-error.ts';

type SandboxContext = Pick<KubeletContext, 'dns' | 'logRoot' | 'host' | 'seccompRoot' | 'runtimeHandler' | 'runtimeStatus' | 'users'>;

export async function sandboxConfigFor(context: SandboxContext, pod: Pod, attempt: number): Promise<SandboxConfig> {
  const runtimeHandler = await context.runtimeHandler(pod);
  // Run on the host's users after all, the pod would be less safe than it asked to be.
  if (pod.spec.hostUsers === false && handlerOf(context.runtimeStatus(), runtimeHandler)?.userNamespaces !== true) {
    throw new ConfigError("can't set `spec.hostUsers: false`, runtime does not support user namespaces");
  }
  const users = await context.users.of(pod);
  return sandboxConfig({
    pod,
    attempt,
    hostname: podHostname(pod, context.dns.clusterDomain),
    logDirectory: podLogDirectory(context.logRoot, pod),
    dns: podDns(pod, context.dns),
    cgroupParent: context.host.cgroups.parentOf(pod),
    runtimeHandler,
    users,
    seccompRoot: context.seccompRoot,
  });
}

export async function createSandbox(context: KubeletContext, pod: Pod, attempt: number, directories: PodDirectories): Promise<SandboxConfig> {
  const config = await context.sandboxConfigOf(pod, attempt);
  await context.host.disk.makeDir(config.logDirectory, 0o755);
  const id = await context.runtime.runPodSandbox(config);
  const sandbox = await context.observed.refreshSandbox(id);
  const ips = pod.spec.hostNetwork === true ? context.nodeIps : (sandbox?.ips ?? []);
  const hosts = hostsFile(pod, ips, podHostname(pod, context.dns.clusterDomain), context.nodeHosts);
  await context.host.disk.writeFile(directories.hostsFile, hosts, 0o644);
  return config;
}
