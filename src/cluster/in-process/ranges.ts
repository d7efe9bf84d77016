/** The addresses and names that every cluster in a process has, as one that `k8ts up` starts has them by default. */
import { fixedServiceAddresses } from '../address-ranges.ts';

export const serviceCidr = '10.96.0.0/16';
/** Room for 32,768 nodes. */
export const clusterCidr = '10.128.0.0/9';
export const clusterDomain = 'cluster.local';
export const clusterDns = fixedServiceAddresses(serviceCidr).dns;
