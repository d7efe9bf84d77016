/**
 * The house's layers, as data: a folder of `src/` may import only from the folders named behind it. What is not listed is forbidden, a folder
 * without a line is an error, and siblings never import each other. The table is the design's; change both together.
 */
const data = ['client', 'api', 'machinery', 'world'];

export const layers: Readonly<Record<string, readonly string[]>> = {
  world: [],
  machinery: [],
  api: ['machinery'],
  store: ['world'],
  apiserver: ['store', 'api', 'machinery', 'world'],
  client: ['api', 'machinery', 'world'],
  controllers: data,
  scheduler: data,
  kubelet: data,
  nftables: [],
  proxy: [...data, 'nftables'],
  network: [...data, 'nftables'],
  dns: data,
  ingress: data,
  provisioner: data,
  metrics: data,
  kubectl: data,
  kubeadm: data,
  // prettier-ignore
  cluster: [
    'world', 'machinery', 'api', 'store', 'apiserver', 'client', 'controllers', 'scheduler', 'kubelet', 'nftables', 'proxy', 'network', 'dns', 'ingress', 'provisioner', 'metrics',
    'kubectl', 'kubeadm',
  ],
  bin: ['cluster', 'kubectl', 'kubeadm'],
};

/** Folders that may read these globals; everyone else is handed a `World`. */
export const ownersOfTime: readonly string[] = ['world'];

/** Names no file or folder may have: a thing is named for its concept. */
export const bannedNames: readonly string[] = ['util', 'utils', 'helper', 'helpers', 'common', 'misc'];

/** What a process would load for nothing: imports that lead from one of `from` to something below `never`, on whatever way. Imports on demand do not count. */
export interface Unreached {
  readonly from: readonly string[];
  readonly never: readonly string[];
}

export const unreached: readonly Unreached[] = [
  {
    from: ['src/cluster/node-agent.ts', 'src/cluster/nodes/joined-node.ts'],
    never: ['src/api/kinds.ts', 'src/machinery/cel.ts', 'src/apiserver/', 'src/store/', 'src/scheduler/'],
  },
];
