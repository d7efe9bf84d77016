/**
 * `k8ts host-dns on|off`: lets programs on this host resolve the cluster's names, by putting its name server first in `/etc/resolv.conf`, between two
 * comments that tell whose it is. `off` and `down` take exactly that out again; what others changed meanwhile stays.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fixedServiceAddresses } from './address-ranges.ts';
import { ClusterError, type ClusterConfig, hasHostNode, isRoot, readConfig } from './config.ts';

export const resolverFile = '/etc/resolv.conf';

/** `text` of a resolver file with the cluster's name server before all others. */
export function withNameServer(text: string, id: string, address: string): string {
  return `# k8ts ${id}: begin\nnameserver ${address}\n# k8ts ${id}: end\n${withoutNameServer(text, id)}`;
}

/** Its inverse; any cluster's when no id is given. */
export function withoutNameServer(text: string, id = '[0-9a-f]{6}'): string {
  return text.replace(new RegExp(`^# k8ts (${id}): begin\\n(?:.*\\n)*?# k8ts \\1: end\\n`, 'gm'), '');
}

export function hostDns(on: boolean, dataDir: string, say: (line: string) => void, path = resolverFile): void {
  const config = readConfig(dataDir);
  if (!config) throw new ClusterError(`there is no cluster in ${dataDir}`);
  if (!isRoot()) throw new ClusterError(`${path} is root's to change: run with sudo`);
  if (!on) {
    say(forgetHostDns(config, path) ? `${path} is as it was.` : `${path} does not name this cluster.`);
    return;
  }
  if (config.runtime !== 'containerd' || !hasHostNode(config)) {
    throw new ClusterError('no node of the cluster is on this host itself, so that its Services cannot be reached from here');
  }
  const { dns } = fixedServiceAddresses(config.serviceCidr);
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  // Written in place: the file may be mounted, or a link to one that somebody else keeps.
  writeFileSync(path, withNameServer(before, config.id, dns));
  say(`Names such as kubernetes.default.svc.${config.clusterDomain} are resolved on this host, until: k8ts host-dns off, or k8ts down.`);
}

/** False when there was nothing of ours. */
export function forgetHostDns({ id }: Pick<ClusterConfig, 'id'>, path = resolverFile): boolean {
  const before = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const after = withoutNameServer(before, id);
  if (after === before) return false;
  writeFileSync(path, after);
  return true;
}
