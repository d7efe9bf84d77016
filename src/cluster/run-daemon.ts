/** What the background processes do: run their part until told to stop, and say how it goes. */
import type { World } from '../world/world.ts';
import { type ClusterConfig, ClusterError, readConfig } from './config.ts';
import { announceDaemon, type DaemonName } from './daemon.ts';
import { ensurePki, type Pki } from './pki.ts';

/** Runs until SIGTERM or SIGINT; answers the process's exit code. */
export async function runDaemon(name: DaemonName, dataDir: string, world: World): Promise<number> {
  const tell = announceDaemon(dataDir, name);
  const stopped = new Promise<void>((resolve) => {
    process.once('SIGTERM', resolve);
    process.once('SIGINT', resolve);
  });
  try {
    const config = readConfig(dataDir);
    if (!config) throw new ClusterError(`there is no cluster in ${dataDir}: k8ts up makes one`);
    const pki = await ensurePki(config, world);
    const part = await start(name, config, pki, world, (progress) => tell({ progress }));
    tell({ ready: true });
    world.log.info('ready', { component: name });
    await stopped;
    await part.close();
    return 0;
  } catch (error) {
    world.log.error('could not go on', { component: name, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    tell({ error: error instanceof ClusterError ? error.message : `${name}: ${error instanceof Error ? error.message : String(error)}` });
    return 1;
  }
}

/** Each process loads its own part only: that is half its start. */
async function start(
  name: DaemonName,
  config: ClusterConfig,
  pki: Pki,
  world: World,
  progress: (text: string) => void,
): Promise<{ close(): Promise<void> }> {
  if (name === 'control-plane') {
    const { startControlPlane } = await import('./control-plane.ts');
    return startControlPlane(config, pki, world);
  }
  const { startNodeAgent } = await import('./node-agent.ts');
  return startNodeAgent(config, pki, world, progress);
}
