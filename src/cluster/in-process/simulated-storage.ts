/** Storage of simulated nodes: one provisioner for the class `standard` on all of them. The directories it makes are not there. */
import { createInformers } from '../../client/informers.ts';
import { simulatedDirectories } from '../../provisioner/directories.ts';
import { startProvisioner } from '../../provisioner/provisioner.ts';
import type { World } from '../../world/world.ts';
import { named } from '../identity.ts';
import { provisionerServiceAccount } from '../pki.ts';
import type { Running, Surroundings } from './process.ts';

export interface SimulatedStorageOptions {
  readonly freeze: boolean;
  /** Whether the machine is there, on or off: what a volume holds survives a node. */
  readonly serves: (nodeName: string) => boolean;
}

const { namespace, name } = provisionerServiceAccount;

export function runSimulatedStorage(world: World, { clientFor }: Surroundings, { freeze, serves }: SimulatedStorageOptions): Running {
  const client = clientFor(named(`system:serviceaccount:${namespace}:${name}`));
  const informers = createInformers(client, world, { freeze });
  const directories = simulatedDirectories('/simulated/volumes');
  const provisioner = startProvisioner({ world, client, informers, serves, host: 'simulated', directories });
  return {
    ready: informers.synced(),
    async close() {
      informers.close();
      await provisioner.close();
    },
  };
}
