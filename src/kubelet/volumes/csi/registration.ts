/**
 * Plugins announce themselves by a socket in `<root>/plugins_registry`: asked there who they are and where they serve, and told whether they were taken.
 * When the socket goes, so does the plugin. Follows upstream's plugin manager (`pkg/kubelet/pluginmanager`) and registration API v1.
 */
import { type FSWatcher, mkdirSync, watch } from 'node:fs';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Timer, World } from '../../../world/world.ts';
import { Empty, PluginInfo, RegistrationStatus } from './csi-messages.ts';

export interface Plugin {
  /** `CSIPlugin`. */
  readonly type: string;
  readonly name: string;
  /** Path of the socket where it serves. */
  readonly endpoint: string;
  readonly versions: readonly string[];
}

export interface RegistrationOptions {
  readonly world: World;
  readonly directory: string;
  /** Rejects with the reason why the plugin is not taken. */
  readonly onRegister: (plugin: Plugin) => Promise<void>;
  readonly onRemove: (plugin: Plugin) => Promise<void>;
}

export interface Registration {
  /** Looks at the directory again; resolves when every socket that is there was asked. */
  look(): Promise<void>;
  close(): void;
}

const askTimeoutMs = 10_000;
/** A plugin that was not taken is asked again: it may not have been ready. */
const retryMs = 1000;

export function watchPlugins({ world, directory, onRegister, onRemove }: RegistrationOptions): Registration {
  const log = world.log.child('plugins');
  /** By the socket's path; the inode tells a new socket of the same name from the old. */
  const taken = new Map<string, { readonly inode: number; readonly plugin: Plugin }>();
  let closed = false;
  let again: Timer | undefined;
  let looking: Promise<void> | undefined;
  let lookAgain = false;
  mkdirSync(directory, { recursive: true, mode: 0o750 });

  async function sockets(): Promise<Map<string, number>> {
    const found = new Map<string, number>();
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      const facts = entry.isSocket() && !entry.name.startsWith('.') ? await stat(path).catch(() => undefined) : undefined;
      if (facts) found.set(path, facts.ino);
    }
    return found;
  }

  async function register(path: string, inode: number): Promise<void> {
    const { grpcSocket } = await import('./grpc-socket.ts');
    const socket = grpcSocket(path, world);
    try {
      const info = await socket.call('/pluginregistration.Registration/GetInfo', Empty, PluginInfo, {}, askTimeoutMs);
      const plugin = { type: info.type, name: info.name, endpoint: info.endpoint || path, versions: info.supportedVersions };
      const problem = await onRegister(plugin).then(
        () => '',
        (error: unknown) => messageOf(error),
      );
      const answer = { registered: problem === '', error: problem };
      await socket.call('/pluginregistration.Registration/NotifyRegistrationStatus', RegistrationStatus, Empty, answer, askTimeoutMs);
      if (problem !== '') throw new Error(problem);
      taken.set(path, { inode, plugin });
      log.info('a plugin was registered', { name: plugin.name, type: plugin.type });
    } finally {
      socket.close();
    }
  }

  async function round(): Promise<void> {
    const found = await sockets();
    for (const [path, { inode, plugin }] of taken) {
      if (found.get(path) === inode) continue;
      taken.delete(path);
      // A new socket of the same plugin takes its place at once.
      if (!found.has(path)) await onRemove(plugin);
    }
    let failed = false;
    for (const [path, inode] of found) {
      if (closed || taken.has(path)) continue;
      try {
        await register(path, inode);
      } catch (error) {
        failed = true;
        log.warn('a plugin could not be registered; trying again', { path, error: messageOf(error) });
      }
    }
    if (failed && !closed) again = world.clock.after(retryMs, () => void look());
  }

  function look(): Promise<void> {
    if (closed) return Promise.resolve();
    if (looking) {
      lookAgain = true;
      return looking;
    }
    again?.cancel();
    looking = round()
      .catch((error: unknown) => log.warn('the plugin directory could not be read', { directory, error: messageOf(error) }))
      .then(() => {
        looking = undefined;
        if (!lookAgain) return undefined;
        lookAgain = false;
        return look();
      });
    return looking;
  }

  const watcher: FSWatcher = watch(directory, () => void look());
  watcher.on('error', (error) => log.warn('the plugin directory is not watched any more', { directory, error: messageOf(error) }));
  watcher.unref();
  void look();
  return {
    look,
    close() {
      closed = true;
      again?.cancel();
      watcher.close();
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
