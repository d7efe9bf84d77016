/** How packets get from one node's pods to another's: `auto` takes host routes where nodes share a link and VXLAN elsewhere; `none` leaves it to another CNI plugin. */
export type PodNetworkMode = 'auto' | 'vxlan' | 'host-routes' | 'none';

export const podNetworkModes: readonly PodNetworkMode[] = ['auto', 'vxlan', 'host-routes', 'none'];
