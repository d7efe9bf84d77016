/** The command line: reads arguments and hands over to `cluster/`. Nothing else happens here. */
import { Argument, Command, Option } from 'commander';
import { type ClusterChoices, ClusterError, command } from '../cluster/commands.ts';
import { type PodNetworkMode, podNetworkModes } from '../kubeadm/pod-network-modes.ts';
import { addComponents } from './components.ts';
import { count, portNumber, words } from './flag-values.ts';
import { addNodes } from './nodes.ts';

interface UpOptions {
  readonly advertiseAddress?: string;
  readonly dualStack?: boolean;
  readonly clusterCidr?: string;
  readonly serviceClusterIpRange?: string;
  readonly nodes?: number;
  readonly podNetwork?: PodNetworkMode;
  readonly runtime?: 'containerd' | 'simulated';
  readonly store?: string;
  readonly dataDir?: string;
  readonly port?: number;
  readonly bindAddress?: string;
  readonly controlPlaneOnly?: boolean;
  readonly tokenAuthFile?: string;
  readonly loadBalancerPool?: readonly string[];
  readonly historyRevisions?: number;
  readonly ingressHttpPort?: number;
  readonly ingressHttpsPort?: number;
  readonly podMaxPids?: number;
  readonly kubeletConfig?: string;
  readonly foreground?: boolean;
}

const program = new Command('k8ts').description('Kubernetes, whole, in TypeScript').showHelpAfterError().configureHelp({ sortSubcommands: false });

const dataDir = (): Option =>
  new Option('--data-dir <directory>', 'where the cluster keeps its data (root: /var/lib/k8ts, else ~/.local/share/k8ts)');

program
  .command('up')
  .description('start a cluster, or what is missing of it, and wait until it is ready')
  .option('--nodes <count>', 'how many nodes: one on the host itself (1), or more in network namespaces of their own', count)
  .addOption(new Option('--runtime <name>', 'real containers, or pretended ones').choices(['containerd', 'simulated']))
  .option('--store <store>', 'lmdb, memory or etcd=URL,…')
  .addOption(dataDir())
  .option('--port <port>', "the API server's port (6443)", portNumber)
  .option('--bind-address <address>', 'the address it listens on (0.0.0.0)')
  .option('--advertise-address <address>', "where nodes reach it (the host's address; with --nodes the one on their link)")
  .option('--control-plane-only', 'no node on this machine')
  .option('--token-auth-file <file>', 'static tokens, a line each: token,user,uid,"group1,group2"')
  .option('--load-balancer-pool <list>', "addresses, ranges and CIDRs for Services of type LoadBalancer (the node's own address)", words)
  .option('--history-revisions <count>', 'how many revisions back the past can be read (20000)', count)
  .option('--ingress-http-port <port>', 'where Ingresses are served (80)', portNumber)
  .option('--ingress-https-port <port>', 'where they are served with TLS (443)', portNumber)
  .option('--pod-max-pids <count>', 'how many processes a pod may have (any number)', count)
  .option('--kubelet-config <file>', 'a KubeletConfiguration for the nodes')
  .addOption(
    new Option(
      '--pod-network <way>',
      "between nodes: host routes where they share a link and VXLAN elsewhere (auto), or one of both; none: another CNI plugin's",
    ).choices(podNetworkModes),
  )
  .option('--dual-stack', 'IPv6 beside IPv4 for nodes, pods and Services')
  .option('--cluster-cidr <cidr>', "pods' addresses, or one range of each family (10.244.0.0/16)")
  .option('--service-cluster-ip-range <cidr>', 'addresses of Services, or one range of each family (10.96.0.0/16)')
  .option('--foreground', 'stay in the foreground, and stop the cluster with Ctrl-C')
  .action(async (options: UpOptions) => {
    const { foreground, ...choices } = options;
    await command.up(choices satisfies ClusterChoices, foreground === true);
  });

program
  .command('down')
  .description('stop the cluster and clean up the host; containers end, data stays')
  .addOption(dataDir())
  .option('--purge', 'forget the data too')
  .action((options: { dataDir?: string; purge?: boolean }) => command.down(options.dataDir, options.purge === true));

program
  .command('status')
  .description('what runs, and how the nodes are')
  .addOption(dataDir())
  .action((options: { dataDir?: string }) => command.status(options.dataDir));

program
  .command('host-dns')
  .addArgument(new Argument('<state>', 'whether').choices(['on', 'off']))
  .description("let this host resolve the cluster's names, by way of /etc/resolv.conf; down undoes it")
  .addOption(dataDir())
  .action((state: string, options: { dataDir?: string }) => command.hostDns(state === 'on', options.dataDir));

const image = program.command('image').description("images in the cluster's runtime");
image
  .command('load <path>')
  .description('bring in an OCI archive, an OCI layout or an archive of docker save')
  .addOption(dataDir())
  .action((path: string, options: { dataDir?: string }) => command.imageLoad(path, options.dataDir));
image
  .command('list')
  .description('what is there')
  .addOption(dataDir())
  .action((options: { dataDir?: string }) => command.imageList(options.dataDir));

program.command('doctor').description('check what this machine has and lacks').action(command.doctor);
program.command('version').description('the versions of k8ts and of Kubernetes it speaks').action(command.version);

addComponents(program);
addNodes(program, dataDir);

try {
  await program.parseAsync();
} catch (error) {
  // What the operating system refuses (a file that may not be read, a full disk) is no bug either, and its message names the file.
  if (!(error instanceof ClusterError) && !(error instanceof Error && 'syscall' in error)) throw error;
  console.error(`k8ts: ${error.message}`);
  process.exitCode = 1;
}
