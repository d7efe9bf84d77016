/** The /etc/hosts a kubelet writes for a pod, and the pod's host name. */
import type { Pod } from '../api/kinds.ts';
import { ConfigError } from './start-error.ts';

export interface PodHostname {
  readonly hostname: string;
  /** The fully qualified name, for a pod with a subdomain. */
  readonly fqdn: string | undefined;
  /** What the kernel is told; '' on the host's network, which has a name. */
  readonly kernelHostname: string;
}

/** A label of a domain name is no longer. */
const maxHostnameLength = 63;
/** Linux takes no longer one. */
const maxKernelHostnameLength = 64;

export function podHostname(pod: Pod, clusterDomain: string): PodHostname {
  const { spec, metadata } = pod;
  const { hostnameOverride } = spec;
  if (hostnameOverride !== undefined && hostnameOverride !== '') {
    return { hostname: hostnameOverride, fqdn: undefined, kernelHostname: spec.hostNetwork === true ? '' : hostnameOverride };
  }
  const hostname =
    spec.hostname !== undefined && spec.hostname !== '' ? spec.hostname : metadata.name.slice(0, maxHostnameLength).replace(/[-.]+$/, '');
  const fqdn =
    spec.subdomain === undefined || spec.subdomain === '' ? undefined : `${hostname}.${spec.subdomain}.${metadata.namespace}.svc.${clusterDomain}`;
  if (spec.hostNetwork === true) return { hostname, fqdn, kernelHostname: '' };
  if (spec.setHostnameAsFQDN !== true || fqdn === undefined) return { hostname, fqdn, kernelHostname: hostname };
  if (fqdn.length > maxKernelHostnameLength) {
    const sizes = `(${maxKernelHostnameLength} characters is the max, ${fqdn.length} characters requested)`;
    throw new ConfigError(`failed to construct FQDN from pod hostname and cluster domain, FQDN ${fqdn} is too long ${sizes}`);
  }
  return { hostname, fqdn, kernelHostname: fqdn };
}

const ownHeader = '# Kubernetes-managed hosts file.\n';
const hostHeader = '# Kubernetes-managed hosts file (host network).\n';
const localNames = [
  '127.0.0.1\tlocalhost',
  '::1\tlocalhost ip6-localhost ip6-loopback',
  'fe00::\tip6-localnet',
  'fe00::\tip6-mcastprefix',
  'fe00::1\tip6-allnodes',
  'fe00::2\tip6-allrouters',
];

export function hostsFile(pod: Pod, ips: readonly string[], { hostname, fqdn }: PodHostname, nodeHosts: string): string {
  const lines = pod.spec.hostNetwork === true ? [`${hostHeader}${nodeHosts}`] : [`${ownHeader}${localNames.join('\n')}\n`];
  if (pod.spec.hostNetwork !== true) for (const ip of ips) lines.push(`${ip}\t${fqdn === undefined ? hostname : `${fqdn}\t${hostname}`}\n`);
  const aliases = pod.spec.hostAliases ?? [];
  if (aliases.length > 0) {
    lines.push('\n# Entries added by HostAliases.\n');
    for (const { ip, hostnames = [] } of aliases) lines.push(`${ip}\t${hostnames.join('\t')}\n`);
  }
  return lines.join('');
}
