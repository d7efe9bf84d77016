/**
 * The conformance behaviours of sig-apps, sig-network, sig-node and sig-storage that nothing simulated can show, by what in them needs a real container.
 * All others of these groups have a test of their name in this folder.
 */
export interface NeedsContainers {
  readonly because: string;
  readonly behaviours: readonly string[];
}

export const needsContainers: readonly NeedsContainers[] = [
  {
    because: "names are resolved from inside a pod, by the cluster's DNS server",
    behaviours: [
      '[sig-network] DNS should provide /etc/hosts entries for the cluster [LinuxOnly] [Conformance]',
      '[sig-network] DNS should provide DNS for ExternalName services [Conformance]',
      '[sig-network] DNS should provide DNS for pods for Hostname [LinuxOnly] [Conformance]',
      '[sig-network] DNS should provide DNS for pods for Subdomain [Conformance]',
      '[sig-network] DNS should provide DNS for services [Conformance]',
      '[sig-network] DNS should provide DNS for the cluster [Conformance]',
      '[sig-network] DNS should resolve DNS of partial qualified names for services [LinuxOnly] [Conformance]',
    ],
  },
  {
    because: "packets flow between pods and through the service proxy's rules",
    behaviours: [
      '[sig-network] Networking Granular Checks: Pods should function for node-pod communication: http [LinuxOnly] [NodeConformance] [Conformance]',
      '[sig-network] Networking Granular Checks: Pods should function for node-pod communication: udp [LinuxOnly] [NodeConformance] [Conformance]',
      '[sig-network] Proxy version v1 should proxy through a service and a pod [Conformance]',
      '[sig-network] Services should be able to switch session affinity for NodePort service [LinuxOnly] [Conformance]',
      '[sig-network] Services should be able to switch session affinity for service with type clusterIP [LinuxOnly] [Conformance]',
      '[sig-network] Services should have session affinity timeout work for NodePort service [LinuxOnly] [Conformance]',
      '[sig-network] Services should have session affinity timeout work for service with type clusterIP [LinuxOnly] [Conformance]',
      '[sig-network] Services should have session affinity work for NodePort service [LinuxOnly] [Conformance]',
      '[sig-network] Services should have session affinity work for service with type clusterIP [LinuxOnly] [Conformance]',
    ],
  },
];
