/** Lets those who wait for a container's end hear the runtime's events, through one subscription. */
import type { ContainerRuntime } from '../runtime/runtime.ts';

export interface ContainerChanges {
  /** The answer stops it. */
  on(containerId: string, callback: () => void): () => void;
}

export function containerChanges(runtime: ContainerRuntime, signal: AbortSignal): ContainerChanges {
  const listeners = new Map<string, Set<() => void>>();
  runtime.events(({ id }) => {
    for (const callback of listeners.get(id) ?? []) callback();
  }, signal);
  return {
    on(containerId, callback) {
      const callbacks = listeners.get(containerId) ?? new Set();
      listeners.set(containerId, callbacks.add(callback));
      return () => {
        callbacks.delete(callback);
        if (callbacks.size === 0) listeners.delete(containerId);
      };
    },
  };
}
