/** Components under their upstream names, to be run alone, with upstream's flag names where they mean the same. Each loads its own part only. */
import { type Command, Option } from 'commander';
import type { ApiServerFlags } from '../cluster/components/api-server.ts';
import type { ControllerManagerFlags } from '../cluster/components/controller-manager.ts';
import type { KubeletFlags } from '../cluster/components/kubelet.ts';
import type { ProxyFlags } from '../cluster/components/proxy.ts';
import type { SchedulerFlags } from '../cluster/components/scheduler.ts';
import { concurrencyFlags } from '../cluster/components/concurrency-flags.ts';
import { signerFlags } from '../cluster/components/signing-flags.ts';
import { tuningFlags } from '../cluster/components/tuning-flags.ts';
import { addSecurityFlags } from './api-server-security.ts';
import { amount, anyNumber, count, duration, labels, level, portNumber, portOrNone, repeated, taints, truth, words } from './flag-values.ts';

export function addComponents(program: Command): void {
  addApiServer(addSecurityFlags(component(program, 'kube-apiserver', 'the API server alone')));
  addControllerManager(component(program, 'kube-controller-manager', 'the controllers alone'));
  addScheduler(component(program, 'kube-scheduler', 'the scheduler alone'));
  addKubelet(component(program, 'kubelet', 'the node agent alone'));
  addProxy(component(program, 'kube-proxy', 'the service proxy alone'));
}

function component(program: Command, name: string, description: string): Command {
  return program.command(name).description(description).option('--v <level>', 'how much to log: 4 and above is everything', level, 0);
}

function addApiServer(command: Command): void {
  command
    .requiredOption('--tls-cert-file <file>', 'PEM chain to serve')
    .requiredOption('--tls-private-key-file <file>', 'its key')
    .requiredOption('--client-ca-file <file>', 'authorities of client certificates')
    .requiredOption('--service-account-signing-key-file <file>', 'PEM private key (RSA or EC) that signs service account tokens')
    .option('--service-account-key-file <file>', 'public keys whose tokens are good, too; may be repeated', repeated, [])
    .option('--service-account-issuer <url>', 'who issues the tokens; repeated: who did before', issuers, defaultIssuers)
    .option('--service-account-jwks-uri <url>', 'where others find the keys; below the issuer when absent')
    .option('--service-account-max-token-expiration <duration>', 'the longest a token may be asked to last', duration)
    .option('--enable-admission-plugins <list>', 'plugins besides those that are on', words, [])
    .option('--disable-admission-plugins <list>', 'plugins to leave out', words, [])
    .option('--tls-min-version <version>', 'VersionTLS12 or VersionTLS13', 'VersionTLS12')
    .option('--tls-cipher-suites <list>', 'suites of TLS 1.2', words)
    .option('--tls-curve-preferences <list>', 'curves for the key exchange', words)
    .option('--tls-sni-cert-key <certificate,key:names>', 'served to who asks for these names; may be repeated', repeated, [])
    .option('--service-cluster-ip-range <cidr>', 'addresses of Services', '10.96.0.0/16')
    .option('--service-node-port-range <from-to>', 'node ports, both ends included', '30000-32767')
    .option('--secure-port <port>', 'the port', portNumber, 6443)
    .option('--bind-address <address>', 'the address', '0.0.0.0')
    .option('--advertise-address <address>', 'where others reach it: the endpoint of the kubernetes Service')
    .option('--token-auth-file <file>', 'static tokens, a line each: token,user,uid,"group1,group2"')
    .option('--proxy-client-cert-file <file>', 'shown to servers of aggregated APIs')
    .option('--proxy-client-key-file <file>', 'the key of --proxy-client-cert-file')
    .option('--kubelet-client-certificate <file>', 'shown to kubelets')
    .option('--kubelet-client-key <file>', 'its key')
    .option('--kubelet-certificate-authority <file>', "authorities of kubelets' certificates")
    .option('--storage <directory>', 'where data is kept; in memory when absent')
    .option('--history-revisions <count>', 'how many revisions back the past can be read (20000)', count)
    .addOption(new Option('--etcd-servers <urls>', 'not there yet').hideHelp())
    .action(async (flags: ApiServerFlags) => (await import('../cluster/components/api-server.ts')).runApiServer(flags));
}

const defaultIssuers: readonly string[] = ['https://kubernetes.default.svc.cluster.local'];

/** The first given takes the place of the default. */
function issuers(text: string, before: readonly string[]): string[] {
  return before === defaultIssuers ? [text] : [...before, text];
}

function addControllerManager(command: Command): void {
  securePort(leaderElection(command, 'kube-controller-manager'), 10_257)
    .requiredOption('--kubeconfig <file>', 'how to reach the API server')
    .option('--controllers <list>', '* for all, names to add, -name to leave out', '*')
    .option('--allocate-node-cidrs [boolean]', 'nodes get ranges of --cluster-cidr', truth, true)
    .option('--cluster-cidr <cidr>', "pods' addresses, or one range of each family", '10.244.0.0/16')
    .option('--node-cidr-mask-size <bits>', "how long the prefix of a node's range is (24)", count)
    .option('--node-cidr-mask-size-ipv4 <bits>', 'the same for IPv4, with two families', count)
    .option('--node-cidr-mask-size-ipv6 <bits>', 'the same for IPv6 (64)', count)
    .option('--node-monitor-grace-period <duration>', 'silence after which a node is not ready', duration, 40_000)
    .option('--terminated-pod-gc-threshold <count>', 'how many ended pods are kept; 0 for all', amount, 12_500)
    .option('--root-ca-file <file>', 'published to every namespace')
    .option('--service-account-private-key-file <file>', 'signs the tokens that Secrets of service accounts get; none get any when absent')
    .option('--use-service-account-credentials [boolean]', 'each controller acts as its own service account', truth, true)
    .option('--concurrency <count>', 'keys a controller works on at once, where there is no flag for it alone', count, 5)
    .option('--load-balancer-pool <list>', "addresses, ranges and CIDRs for Services of type LoadBalancer; the nodes' own when absent", words, [])
    .option('--cluster-signing-cert-file <file>', 'the authority that signs certificate requests; none are signed when absent')
    .option('--cluster-signing-key-file <file>', 'its key')
    .option('--cluster-signing-duration <duration>', 'how long signed certificates hold at most', duration, 365 * 24 * 60 * 60_000)
    .action(async (flags: ControllerManagerFlags) => (await import('../cluster/components/controller-manager.ts')).runControllerManager(flags));
  for (const { flag, controller, count: usual } of concurrencyFlags) {
    command.option(`--${flag} <count>`, `how many keys the ${controller} works on at once`, count, usual);
  }
  for (const { flag, signer } of signerFlags) {
    command.option(`--${flag}-cert-file <file>`, `the authority that signs requests to ${signer}`);
    command.option(`--${flag}-key-file <file>`, 'its key');
  }
  for (const { flag, value, about, usual } of tuningFlags) {
    const parsed = { duration, count: amount, number: anyNumber }[value];
    command.option(`--${flag} <${value}>`, about, parsed, usual);
  }
  withoutMeaning(command, [
    ['--kube-api-qps <number>', 'the API server says itself when it has too much to do'],
    ['--kube-api-burst <number>', 'see --kube-api-qps'],
    ['--service-cluster-ip-range <cidr>', "the API server's"],
    ['--cluster-name <name>', 'there is no cloud to tell it to'],
    ['--cluster-signing-legacy-unknown-cert-file <file>', 'nobody can ask this signer any more'],
    ['--cluster-signing-legacy-unknown-key-file <file>', 'see --cluster-signing-legacy-unknown-cert-file'],
    ['--node-monitor-period <duration>', 'a node is looked at when it changes or its grace period is over'],
    ['--min-resync-period <duration>', 'caches are told of everything'],
  ]);
}

function addScheduler(command: Command): void {
  securePort(leaderElection(command, 'kube-scheduler'), 10_259)
    .requiredOption('--kubeconfig <file>', 'how to reach the API server')
    .option('--config <file>', 'a KubeSchedulerConfiguration: profiles, plugins and their arguments, extenders')
    .action(async (flags: SchedulerFlags) => (await import('../cluster/components/scheduler.ts')).runScheduler(flags));
}

function addKubelet(command: Command): void {
  command
    .requiredOption('--kubeconfig <file>', 'how to reach the API server')
    .option('--client-ca-file <file>', 'authorities of the certificates of who calls')
    .option('--config <file>', 'a KubeletConfiguration; flags go before it')
    .option('--container-runtime-endpoint <socket>', 'the runtime, such as unix:///run/containerd/containerd.sock')
    .addOption(new Option('--runtime <name>', 'pretended containers').choices(['simulated']).conflicts('containerRuntimeEndpoint'))
    .option('--hostname-override <name>', "the node's name, when it is not the host's")
    .option('--node-ip <addresses>', "the node's address, or one of each family")
    .option('--node-labels <labels>', 'labels the node is registered with: a=1,b=2', labels, {})
    .option('--register-with-taints <taints>', 'taints the node is registered with: key=value:NoSchedule', taints, [])
    .option('--root-dir <directory>', "where volumes and pods' files live", '/var/lib/kubelet')
    .option('--pod-logs-dir <directory>', "where containers' logs live (/var/log/pods; simulated: below --root-dir)")
    .option('--cgroup-root <path>', "the cgroup pods' own are made in")
    .option('--cluster-dns <addresses>', 'name servers for pods', words, [])
    .option('--cluster-domain <domain>', "the cluster's domain (cluster.local)")
    .option('--pod-manifest-path <path>', 'a directory, or a file, of pods to run whatever the API says')
    .option('--eviction-hard <list>', 'when the node is short of something: memory.available<100Mi,nodefs.available<10%')
    .option('--kube-reserved <list>', 'kept from pods for Kubernetes itself: cpu=100m,memory=200Mi', labels)
    .option('--system-reserved <list>', 'kept from pods for the rest of the machine', labels)
    .option('--image-credential-provider-config <file>', 'a CredentialProviderConfig: programs that know the credentials of registries')
    .option('--image-credential-provider-bin-dir <directory>', 'where those programs are')
    .option('--max-pods <count>', 'how many pods the node takes', count)
    .option('--address <address>', 'the address its own server listens on (0.0.0.0)')
    .option('--port <port>', 'the port of its own server (10250)', portNumber)
    .option('--tls-cert-file <file>', 'PEM chain to serve; signed by itself when absent')
    .option('--tls-private-key-file <file>', 'its key')
    .action(async (flags: KubeletFlags) => (await import('../cluster/components/kubelet.ts')).runKubelet(flags));
}

function addProxy(command: Command): void {
  command
    .option('--kubeconfig <file>', 'how to reach the API server')
    .option('--cluster-cidr <cidr>', "pods' addresses, or one range of each family")
    .option('--hostname-override <name>', "the node's name, when it is not the host's")
    .option('--nodeport-addresses <cidrs>', "addresses that node ports answer on; all of the node's when absent", words, [])
    .option('--healthz-bind-address <address>', 'where health is shown, over HTTP', '0.0.0.0:10256')
    .option('--metrics-bind-address <address>', 'where metrics are shown, over HTTP', '127.0.0.1:10249')
    .addOption(new Option('--proxy-mode <mode>', 'how rules are kept').choices(['nftables']).default('nftables'))
    .option('--cleanup', 'take the rules off this machine, and end', false)
    .action(async (flags: ProxyFlags) => (await import('../cluster/components/proxy.ts')).runProxy(flags));
  withoutMeaning(command, [
    ['--detect-local-mode <mode>', 'pods are known by --cluster-cidr'],
    ['--nftables-sync-period <duration>', 'every change is applied when it comes'],
    ['--nftables-min-sync-period <duration>', 'see --nftables-sync-period'],
    ['--conntrack-max-per-core <count>', "the kernel's own limit stays"],
    ['--conntrack-min <count>', 'see --conntrack-max-per-core'],
  ]);
}

function securePort(command: Command, port: number): Command {
  command
    .option('--secure-port <port>', 'where health and metrics are served, over HTTPS; 0 for nowhere', portOrNone, port)
    .option('--bind-address <address>', 'the address they are served on', '0.0.0.0')
    .option('--tls-cert-file <file>', 'PEM chain to serve; signed by itself when absent')
    .option('--tls-private-key-file <file>', 'its key')
    .option('--client-ca-file <file>', 'authorities of client certificates; those the cluster names when absent')
    .option('--authorization-always-allow-paths <list>', 'pages anybody may see', words, ['/healthz', '/readyz', '/livez']);
  withoutMeaning(command, [
    ['--authentication-kubeconfig <file>', '--kubeconfig is used'],
    ['--authorization-kubeconfig <file>', '--kubeconfig is used'],
    ['--requestheader-client-ca-file <file>', 'nobody comes through a front proxy'],
  ]);
  return command;
}

/** Flags of upstream's that manifests give and that change nothing here. */
function withoutMeaning(command: Command, flags: readonly (readonly [flag: string, why: string])[]): void {
  for (const [flag, why] of flags) command.addOption(new Option(flag, `without effect: ${why}`).hideHelp());
}

function leaderElection(command: Command, name: string): Command {
  return command
    .option('--leader-elect [boolean]', 'of several alike one works, the others wait', truth, true)
    .option('--leader-elect-lease-duration <duration>', 'a leader not heard of for so long is replaced', duration, 15_000)
    .option('--leader-elect-renew-deadline <duration>', 'a leader that could not renew for so long gives up', duration, 10_000)
    .option('--leader-elect-retry-period <duration>', 'how often to try', duration, 2_000)
    .option('--leader-elect-resource-name <name>', "the Lease's name", name)
    .option('--leader-elect-resource-namespace <namespace>', "the Lease's namespace", 'kube-system');
}
