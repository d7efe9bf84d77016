/** What a pod finds in /etc/resolv.conf, by its DNS policy. See https://kubernetes.io/docs/concepts/services-networking/dns-pod-service/ */
import type { Pod } from '../api/kinds.ts';

export interface DnsConfig {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: readonly string[];
}

export interface DnsSettings {
  readonly clusterDns: readonly string[];
  readonly clusterDomain: string;
  /** The node's own. */
  readonly host: DnsConfig;
}

const maxServers = 3;
const maxSearches = 32;

export function podDns(pod: Pod, { clusterDns, clusterDomain, host }: DnsSettings): DnsConfig {
  const { dnsPolicy = 'ClusterFirst', dnsConfig, hostNetwork } = pod.spec;
  let base: DnsConfig;
  if (dnsPolicy === 'None') base = { servers: [], searches: [], options: [] };
  else if (dnsPolicy === 'Default' || (dnsPolicy === 'ClusterFirst' && hostNetwork === true) || clusterDns.length === 0) base = host;
  else {
    const { namespace } = pod.metadata;
    const cluster = clusterDomain === '' ? [] : [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain];
    base = { servers: clusterDns, searches: [...cluster, ...host.searches], options: ['ndots:5'] };
  }
  const options = new Map(base.options.map((option): [string, string] => [option.split(':')[0] ?? option, option]));
  for (const { name = '', value } of dnsConfig?.options ?? []) options.set(name, value === undefined || value === '' ? name : `${name}:${value}`);
  return {
    servers: unique([...base.servers, ...(dnsConfig?.nameservers ?? [])]).slice(0, maxServers),
    searches: unique([...base.searches, ...(dnsConfig?.searches ?? [])]).slice(0, maxSearches),
    options: [...options.values()],
  };
}

/** Reads a resolv.conf. */
export function parseResolvConf(text: string): DnsConfig {
  const servers: string[] = [];
  let searches: string[] = [];
  let options: string[] = [];
  for (const line of text.split('\n')) {
    const [word, ...rest] = line
      .replace(/[#;].*/, '')
      .trim()
      .split(/\s+/);
    if (word === 'nameserver' && rest[0] !== undefined) servers.push(rest[0]);
    else if (word === 'search') searches = rest.map((search) => (search === '.' ? search : search.replace(/\.$/, '')));
    else if (word === 'options') options = rest;
  }
  return { servers, searches, options };
}

function unique(list: readonly string[]): string[] {
  return [...new Set(list)];
}
