/** The command line's verbs, each from plain arguments to an exit code. Loads what a verb needs when it is called: `version` need not read the rest. */
import { readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { realWorld } from '../world/real.ts';
import { type ClusterChoices, ClusterError, defaultDataDir, hasHostNode, readConfig } from './config.ts';
import type { JoinFlags } from './nodes/join-command.ts';
import type { NodeVerb } from './nodes/node-commands.ts';
import type { TokenFlags } from './nodes/token-commands.ts';

export { type ClusterChoices, ClusterError };

const say = (line: string): void => console.log(line);

function dataDirOf(chosen: string | undefined): string {
  return resolve(chosen ?? defaultDataDir());
}

export const command = {
  async up(choices: ClusterChoices, foreground: boolean): Promise<void> {
    const world = realWorld({ level: 'warn' });
    const { up } = await import('./up.ts');
    if (!foreground) return up(choices, world, say);
    const { askedToEnd, untilAskedToEnd } = await import('./foreground.ts');
    // From the start: who is asked while starting ends as soon as everything is in order to be ended.
    const asked = askedToEnd();
    await up(choices, world, say);
    say('Running until Ctrl-C.');
    await untilAskedToEnd(world, asked);
    const { down } = await import('./down.ts');
    await down(dataDirOf(choices.dataDir), false, world, say);
  },

  async down(dataDir: string | undefined, purge: boolean): Promise<void> {
    const { down } = await import('./down.ts');
    await down(dataDirOf(dataDir), purge, realWorld({ level: 'warn' }), say);
  },

  async status(dataDir: string | undefined): Promise<void> {
    const { status } = await import('./status.ts');
    if (!(await status(dataDirOf(dataDir), realWorld({ level: 'warn' }), say))) process.exitCode = 1;
  },

  async hostDns(on: boolean, dataDir: string | undefined): Promise<void> {
    const { hostDns } = await import('./host-dns.ts');
    hostDns(on, dataDirOf(dataDir), say);
  },

  /** Into every node on this host that runs. */
  async imageLoad(path: string, dataDir: string | undefined): Promise<void> {
    const { loadImages } = await import('./images/load.ts');
    const sockets = await runtimeSockets(dataDir);
    const loaded = await Promise.all(sockets.map((socket) => loadImages({ socket, path: resolve(path) }))).catch((error: unknown) => {
      throw new ClusterError(`${path} could not be loaded: ${error instanceof Error ? error.message : String(error)}`);
    });
    for (const name of loaded[0] ?? []) say(name);
  },

  async imageList(dataDir: string | undefined): Promise<void> {
    const { listImages } = await import('./images/load.ts');
    const lists = await Promise.all((await runtimeSockets(dataDir)).map((socket) => listImages({ socket })));
    const lines = lists.flat().map(({ name, digest }) => `${name.padEnd(48)} ${digest.slice(0, 19)}`);
    for (const line of new Set(lines)) say(line);
  },

  async node(verb: NodeVerb, name: string, dataDir: string | undefined): Promise<void> {
    const { runNodeVerb } = await import('./nodes/node-commands.ts');
    await runNodeVerb(verb, dataDirOf(dataDir), name, realWorld({ level: 'warn' }), say);
  },

  async nodeList(dataDir: string | undefined): Promise<void> {
    const { listNodes } = await import('./nodes/node-commands.ts');
    await listNodes(dataDirOf(dataDir), realWorld({ level: 'warn' }), say);
  },

  async join(server: string, flags: JoinFlags): Promise<void> {
    const { joinAsNode } = await import('./nodes/join-command.ts');
    await joinAsNode(server, { ...flags, dataDir: dataDirOf(flags.dataDir) }, realWorld({ level: 'warn' }), say);
  },

  async tokenCreate(text: string | undefined, flags: TokenFlags & { readonly dataDir?: string }): Promise<void> {
    const { createToken } = await import('./nodes/token-commands.ts');
    await createToken(dataDirOf(flags.dataDir), text, flags, realWorld({ level: 'warn' }), say);
  },

  async tokenList(dataDir: string | undefined): Promise<void> {
    const { listTokens } = await import('./nodes/token-commands.ts');
    await listTokens(dataDirOf(dataDir), realWorld({ level: 'warn' }), say);
  },

  async tokenDelete(text: string, dataDir: string | undefined): Promise<void> {
    const { deleteToken } = await import('./nodes/token-commands.ts');
    await deleteToken(dataDirOf(dataDir), text, realWorld({ level: 'warn' }), say);
  },

  async doctor(): Promise<void> {
    const { preflight } = await import('./preflight.ts');
    const checks = preflight();
    for (const { name, ok, detail, fix, optional } of checks) {
      say(`${ok ? 'ok  ' : optional === true ? 'note' : 'FAIL'} ${name.padEnd(14)} ${detail}${fix === undefined ? '' : `  → ${fix}`}`);
    }
    if (checks.some(({ ok, optional }) => !ok && optional !== true)) process.exitCode = 1;
  },

  version(): void {
    say(`k8ts ${packageVersion()}, Kubernetes v1.36, Node ${process.version}`);
  },
};

/** Of the container runtimes on this host: the host node's, and those of nodes in namespaces that run. */
async function runtimeSockets(dataDir: string | undefined): Promise<string[]> {
  const config = readConfig(dataDirOf(dataDir));
  if (!config) throw new ClusterError(`there is no cluster in ${dataDirOf(dataDir)}: k8ts up makes one`);
  if (config.runtime !== 'containerd') throw new ClusterError('a simulated node has no images to load or list');
  const [{ containerdSocket }, { localNodes }, { runningDaemon }] = await Promise.all([
    import('../kubelet/runtime/containerd.ts'),
    import('./nodes/local-nodes.ts'),
    import('./daemon.ts'),
  ]);
  const nodes = localNodes(config).filter((node) => runningDaemon(node.dataDir, 'node-agent') !== undefined);
  const places = [...(hasHostNode(config) ? [{ dataDir: config.dataDir, runtimeId: config.id }] : []), ...nodes];
  if (places.length === 0) throw new ClusterError('no node runs on this host');
  return places.map((place) => containerdSocket({ dataDir: place.dataDir, clusterId: place.runtimeId }));
}

/** From the nearest package.json above this file: the source tree's, or the installed package's. */
export function packageVersion(): string {
  for (let directory = import.meta.dirname; directory !== dirname(directory); directory = dirname(directory)) {
    try {
      const manifest = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { name?: string; version?: string };
      if (manifest.name === 'k8ts') return manifest.version ?? 'unknown';
    } catch {
      // None here; look above.
    }
  }
  return 'unknown';
}
