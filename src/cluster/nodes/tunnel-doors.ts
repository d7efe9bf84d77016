/**
 * How machines elsewhere reach the tunnels of nodes that are behind this host: each node has a UDP port of the host, which leads to its tunnel. A node says so
 * on its Node object, and machines that are not on the link write it down. The other way nothing is needed: nodes go out as the host.
 */
import { type ClusterConfig, podNetworkOf } from '../config.ts';

export interface TunnelDoor {
  readonly address: string;
  readonly port: number;
}

const firstPort = 33_000;
/** So many nodes a link holds. */
const portsPerCluster = 253;

/** Undefined where there is no tunnel, or nobody can come to the host. */
export function tunnelDoorOf(config: ClusterConfig, address: string): TunnelDoor | undefined {
  const { mode, vni } = podNetworkOf(config);
  if (mode === 'none' || mode === 'host-routes' || config.nodeIp === '127.0.0.1') return undefined;
  const number = Number(address.slice(address.lastIndexOf('.') + 1));
  return { address: config.nodeIp, port: firstPort + (vni - 1) * portsPerCluster + number - 2 };
}

/** A chain for the link's table. */
export function tunnelDoorChain(config: ClusterConfig, addresses: readonly string[]): string {
  const { port } = podNetworkOf(config);
  const doors = addresses.flatMap((address) => {
    const door = tunnelDoorOf(config, address);
    return door === undefined ? [] : [`${door.port} : ${address} . ${port}`];
  });
  if (doors.length === 0) return '';
  return `  chain prerouting { type nat hook prerouting priority dstnat; policy accept;
    fib daddr type local dnat to udp dport map { ${doors.join(', ')} }
  }
`;
}
