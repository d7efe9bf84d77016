/** The storage drivers that registered on this node. */
import { join } from 'node:path';
import type { Client } from '../../../client/client.ts';
import type { World } from '../../../world/world.ts';
import type { CsiDriver } from './csi-driver.ts';
import { csiNodeWriter } from './csi-node.ts';
import { type Plugin, watchPlugins } from './registration.ts';

export interface CsiDrivers {
  get(name: string): CsiDriver | undefined;
  close(): void;
}

export interface CsiDriversOptions {
  readonly world: World;
  readonly client: Client;
  readonly nodeName: string;
  /** The kubelet's root directory. */
  readonly rootDir: string;
  /** The Node is in the API: what a driver says of it can be written. */
  readonly registered: Promise<void>;
  /** A driver came: what waited for it may work now. */
  readonly onChange: () => void;
}

/** Nothing registers where there is no disk to register on. */
export const noDrivers: CsiDrivers = { get: () => undefined, close: () => {} };

export function watchDrivers({ world, client, nodeName, rootDir, registered, onChange }: CsiDriversOptions): CsiDrivers {
  const drivers = new Map<string, CsiDriver>();
  const csiNode = csiNodeWriter(client, nodeName);

  async function register({ type, name, endpoint, versions }: Plugin): Promise<void> {
    if (type !== 'CSIPlugin') throw new Error(`no handler registered for plugin type: ${type} at socket ${endpoint}`);
    if (!versions.some((version) => /^v?1\./.test(version))) {
      throw new Error(`none of the versions ${JSON.stringify(versions)} of the CSI driver ${name} is supported: 1.x is`);
    }
    // gRPC is much to load for a node without drivers.
    const { csiDriver } = await import('./csi-driver.ts');
    const driver = csiDriver(name, endpoint, world);
    try {
      await registered;
      await csiNode.add(name, await driver.info());
    } catch (error) {
      driver.close();
      throw error;
    }
    drivers.get(name)?.close();
    drivers.set(name, driver);
    onChange();
  }

  async function remove({ type, name }: Plugin): Promise<void> {
    if (type !== 'CSIPlugin') return;
    drivers.get(name)?.close();
    drivers.delete(name);
    await csiNode.remove(name);
  }

  const registration = watchPlugins({ world, directory: join(rootDir, 'plugins_registry'), onRegister: register, onRemove: remove });
  return {
    get: (name) => drivers.get(name),
    close() {
      registration.close();
      for (const driver of drivers.values()) driver.close();
    },
  };
}
