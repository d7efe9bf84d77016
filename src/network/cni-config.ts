/** The CNI configuration of the pod network: standard plugins (bridge, host-local, portmap), configured for this node's share of the addresses. */
import { isV6 } from '../machinery/ip.ts';

export interface CniOptions {
  readonly networkName: string;
  /** Device names are at most 15 characters. */
  readonly bridge: string;
  /** The node's ranges: one, or one of each family; a pod gets an address of each. */
  readonly podCidrs: readonly string[];
  readonly mtu: number;
  /** Where host-local keeps which address is whose. */
  readonly ipamDir: string;
}

/** A `.conflist` as https://www.cni.dev/docs/spec/ describes. Masquerading is ours (`outbound-rules.ts`), not the plugin's. */
export function cniConfig({ networkName, bridge, podCidrs, mtu, ipamDir }: CniOptions): object {
  return {
    cniVersion: '0.4.0',
    name: networkName,
    plugins: [
      {
        type: 'bridge',
        bridge,
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        mtu,
        ipam: {
          type: 'host-local',
          ranges: podCidrs.map((subnet) => [{ subnet }]),
          routes: podCidrs.map((subnet) => ({ dst: isV6(subnet) ? '::/0' : '0.0.0.0/0' })),
          dataDir: ipamDir,
        },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    ],
  };
}
