/** What this machine must have for real containers: each check names what is missing and the command that mends it. `k8ts doctor` shows all of them. */
import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { hasIpv6 } from '../network/forwarding.ts';
import { ClusterError, isRoot } from './config.ts';

export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** What was found, or what is wrong. */
  readonly detail: string;
  /** The command that mends it; absent when fine or when none does. */
  readonly fix?: string;
  /** Without it only a part is missing, and the cluster runs all the same. */
  readonly optional?: boolean;
}

const packages: readonly { readonly command: string; readonly package: string; readonly optional?: boolean }[] = [
  { command: 'containerd', package: 'containerd' },
  { command: 'ctr', package: 'containerd' },
  { command: 'runc', package: 'runc' },
  { command: 'nft', package: 'nftables' },
  { command: 'ip', package: 'iproute2' },
  { command: 'conntrack', package: 'conntrack', optional: true },
];

/** All checks, in the order a person would mend them. */
export function preflight(): readonly Check[] {
  return [rootCheck(), ...packages.map(commandCheck), cniCheck(), ...kernelChecks(), cgroupCheck()];
}

/** Throws {@link ClusterError} that names all that is missing and how it is mended; `otherwise` is what else could be done. */
export function checkRealContainers(otherwise = ''): void {
  const missing = preflight().filter((check) => !check.ok && check.optional !== true);
  if (missing.length === 0) return;
  const lines = missing.map((check) => `  ${check.name}: ${check.detail}${check.fix === undefined ? '' : `. Run: ${check.fix}`}`);
  throw new ClusterError(`this machine lacks what real containers need:\n${lines.join('\n')}${otherwise}`);
}

function rootCheck(): Check {
  return isRoot()
    ? { name: 'root', ok: true, detail: 'running as root' }
    : { name: 'root', ok: false, detail: 'not root: a simulated node only, no real containers', fix: 'sudo ./k8ts up' };
}

function commandCheck({ command, package: name, optional }: (typeof packages)[number]): Check {
  const path = findCommand(command);
  const found = path !== undefined;
  return {
    name: command,
    ok: found,
    detail: path ?? 'not installed',
    ...(!found && { fix: `apt-get install -y ${name}` }),
    ...(optional === true && { optional }),
  };
}

function cniCheck(): Check {
  const directory = ['/usr/lib/cni', '/opt/cni/bin', '/usr/libexec/cni'].find((candidate) => existsSync(join(candidate, 'bridge')));
  return directory === undefined
    ? { name: 'CNI plugins', ok: false, detail: 'not installed', fix: 'apt-get install -y containernetworking-plugins' }
    : { name: 'CNI plugins', ok: true, detail: directory };
}

function kernelChecks(): Check[] {
  const filesystems = existsSync('/proc/filesystems') ? readFileSync('/proc/filesystems', 'utf8') : '';
  const overlay = /\boverlay$/m.test(filesystems);
  const bridge = existsSync('/proc/sys/net/bridge/bridge-nf-call-iptables');
  const v6 = hasIpv6();
  return [
    { name: 'overlayfs', ok: overlay, detail: overlay ? 'in the kernel' : 'not in the kernel', ...(!overlay && { fix: 'modprobe overlay' }) },
    {
      name: 'br_netfilter',
      ok: bridge,
      detail: bridge
        ? 'in the kernel'
        : 'not loaded: a pod cannot reach a Service whose pod is on the same node, and network policies do not hold between pods of one node',
      ...(!bridge && { fix: 'modprobe br_netfilter' }),
    },
    {
      name: 'IPv6',
      ok: v6,
      detail: v6 ? 'in the kernel' : 'switched off, or not in the kernel: no cluster with --dual-stack',
      optional: true,
      ...(!v6 && existsSync('/proc/sys/net/ipv6') && { fix: 'sysctl net.ipv6.conf.all.disable_ipv6=0' }),
    },
  ];
}

function cgroupCheck(): Check {
  const unified = existsSync('/sys/fs/cgroup/cgroup.controllers');
  const legacy = existsSync('/sys/fs/cgroup/memory') && existsSync('/sys/fs/cgroup/cpu');
  if (unified) return { name: 'cgroups', ok: true, detail: 'version 2' };
  return legacy
    ? { name: 'cgroups', ok: true, detail: existsSync('/sys/fs/cgroup/unified') ? 'version 1 (hybrid)' : 'version 1' }
    : { name: 'cgroups', ok: false, detail: 'not mounted at /sys/fs/cgroup', fix: 'mount -t cgroup2 none /sys/fs/cgroup' };
}

export function findCommand(command: string): string | undefined {
  const directories = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];
  for (const directory of directories) {
    const path = join(directory, command);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not here; the next directory may have it.
    }
  }
  return undefined;
}
