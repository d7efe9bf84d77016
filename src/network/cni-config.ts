/** The CNI configuration of the pod network: standard plugins (bridge, host-local, portmap), configured for this node's share of the addresses. */

export interface CniOptions {
  readonly networkName: string;
  /** Device names are at most 15 characters. */
  readonly bridge: string;
  readonly podCidr: string;
  readonly mtu: number;
  /** Where host-local keeps which address is whose. */
  readonly ipamDir: string;
}

/** A `.conflist` as https://www.cni.dev/docs/spec/ describes. Masquerading is ours (`pod-network.ts`), not the plugin's. */
export function cniConfig(options: CniOptions): object {
  return {
    cniVersion: '0.4.0',
    name: options.networkName,
    plugins: [
      {
        type: 'bridge',
        bridge: options.bridge,
        isGateway: true,
        ipMasq: false,
        hairpinMode: true,
        mtu: options.mtu,
        ipam: { type: 'host-local', ranges: [[{ subnet: options.podCidr }]], routes: [{ dst: '0.0.0.0/0' }], dataDir: options.ipamDir },
      },
      { type: 'portmap', capabilities: { portMappings: true }, snat: true },
    ],
  };
}
