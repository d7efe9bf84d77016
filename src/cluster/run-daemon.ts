/** What the background processes do: run their part until told to stop, and say how it goes. */
import { realWorld } from '../world/real.ts';
import type { World } from '../world/world.ts';
import { ClusterError, readConfig } from './config.ts';
import { announceDaemon, type DaemonName, onRecordRemoved } from './daemon.ts';
import { ensurePki } from './pki.ts';
import { collectWhenQuiet, nodeEngine } from './quiet-collection.ts';

/** Runs until SIGTERM or SIGINT; answers the process's exit code. */
export async function runDaemon(name: DaemonName, dataDir: string): Promise<number> {
  const world = realWorld({ level: process.env['K8TS_LOG_LEVEL'] ?? 'info' });
  // Libraries print, too; on a full disk that fails, and must not end what goes on reading and answering.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
  const tell = announceDaemon(dataDir, name);
  const stopped = new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
    onRecordRemoved(dataDir, name, () => {
      world.log.error('the data directory was removed beneath this process, which ends', { component: name, dataDir });
      resolve();
    });
  });
  try {
    const part = await start(name, dataDir, world, (progress) => tell({ progress }));
    tell({ ready: true });
    world.log.info('ready', { component: name });
    const engine = nodeEngine();
    const collection = engine && collectWhenQuiet(world.clock, engine);
    await stopped;
    collection?.cancel();
    await part.close();
    return 0;
  } catch (error) {
    world.log.error('could not go on', { component: name, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    tell({ error: error instanceof ClusterError ? error.message : `${name}: ${error instanceof Error ? error.message : String(error)}` });
    return 1;
  }
}

/** Each process loads its own part only: that is half its start. */
async function start(name: DaemonName, dataDir: string, world: World, progress: (text: string) => void): Promise<{ close(): Promise<void> }> {
  const config = readConfig(dataDir);
  if (!config) {
    const { isJoinedNode, startJoinedNode } = await import('./nodes/joined-node.ts');
    if (name === 'node-agent' && isJoinedNode(dataDir)) return startJoinedNode(dataDir, world, progress);
    throw new ClusterError(`there is no cluster in ${dataDir}: k8ts up makes one`);
  }
  const pki = await ensurePki(config, world);
  if (name === 'control-plane') {
    const { startControlPlane } = await import('./control-plane.ts');
    return startControlPlane(config, pki, world);
  }
  const [{ startNodeAgent }, { hostNodeSettings }, { hostNodeIdentities }] = await Promise.all([
    import('./node-agent.ts'),
    import('./node-settings.ts'),
    import('./node-identities.ts'),
  ]);
  return startNodeAgent(hostNodeSettings(config), hostNodeIdentities(pki), world, progress);
}
