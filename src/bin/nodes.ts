/** Commands about nodes: those of this host, and machines that join from elsewhere. */
import type { Command, Option } from 'commander';
import { command } from '../cluster/commands.ts';
import { duration, repeated } from './flag-values.ts';

const verbs = [
  ['add', 'make a node in a network namespace of its own, and wait until it is Ready'],
  ['start', 'bring a stopped or killed node back, with its disk'],
  ['stop', "stop a node's containers and then itself"],
  ['kill', 'end everything of a node at once, as by a power cut'],
  ['partition', 'cut a node off; it runs on and nobody is told'],
  ['heal', 'connect a node again'],
  ['delete', 'stop a node and remove it with its data; drain it first to move its pods in order'],
] as const;

export interface JoinFlags {
  readonly token: string;
  readonly discoveryTokenCaCertHash: readonly string[];
  readonly discoveryTokenUnsafeSkipCaVerification?: boolean;
  readonly nodeName?: string;
  readonly nodeIp?: string;
  readonly runtime?: 'containerd' | 'simulated';
  readonly kubeletPort?: number;
  readonly dataDir?: string;
}

interface TokenFlags {
  readonly ttl: number;
  readonly description?: string;
  readonly printJoinCommand?: boolean;
  readonly dataDir?: string;
}

interface Where {
  readonly dataDir?: string;
}

export function addNodes(program: Command, dataDir: () => Option): void {
  const node = program.command('node').description('nodes of this cluster');
  node
    .command('list')
    .description('which nodes there are, and how they are')
    .addOption(dataDir())
    .action((where: Where) => command.nodeList(where.dataDir));
  for (const [verb, description] of verbs) {
    node
      .command(`${verb} <name>`)
      .description(description)
      .addOption(dataDir())
      .action((name: string, where: Where) => command.node(verb, name, where.dataDir));
  }
  program
    .command('join <server>')
    .description('make this machine a node of the cluster at https://HOST:PORT')
    .requiredOption('--token <token>', 'what k8ts token create printed')
    .option('--discovery-token-ca-cert-hash <hash>', "sha256:… of the cluster's authority; may be repeated", repeated, [])
    .option('--discovery-token-unsafe-skip-ca-verification', 'believe whoever knows the token')
    .option('--node-name <name>', "the node's name (the host's)")
    .option('--node-ip <addresses>', 'the address others reach this machine by, or one of each family')
    .addOption(dataDir())
    .action((server: string, flags: JoinFlags) => command.join(server, flags));
  addTokens(program.command('token').description('proofs with which machines join'), dataDir);
}

function addTokens(token: Command, dataDir: () => Option): void {
  token
    .command('create [token]')
    .description('make one, of random letters when none is given')
    .option('--ttl <duration>', 'how long it is good; 0s for ever', duration, 24 * 3_600_000)
    .option('--description <text>', 'what it is for')
    .option('--print-join-command', 'print all that has to be typed on the other machine')
    .addOption(dataDir())
    .action((text: string | undefined, flags: TokenFlags) => command.tokenCreate(text, flags));
  token
    .command('list')
    .description('which there are')
    .addOption(dataDir())
    .action((where: Where) => command.tokenList(where.dataDir));
  token
    .command('delete <token>')
    .description('take one away, by itself or by the part before the dot')
    .addOption(dataDir())
    .action((text: string, where: Where) => command.tokenDelete(text, where.dataDir));
}
