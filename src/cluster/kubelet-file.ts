/** What a `KubeletConfiguration` file and a few flags of upstream's choose for a kubelet, whether it runs alone or as part of `k8ts up`. */
import { readFileSync } from 'node:fs';
import { ConfigurationError } from '../kubelet/configuration/fields.ts';
import { type KubeletFile, readKubeletConfiguration, shownConfiguration } from '../kubelet/configuration/kubelet-configuration.ts';
import type { KubeletSettings } from '../kubelet/configuration/settings.ts';
import { ThresholdError, parseSignalList, thresholdsOf } from '../kubelet/eviction/thresholds.ts';
import type { KubeletOptions } from '../kubelet/kubelet-options.ts';
import { manifestDirectory } from '../kubelet/static-pods/manifest-directory.ts';
import type { World } from '../world/world.ts';
import { ClusterError } from './config.ts';

/** Throws {@link ClusterError}, with the file's name and the path of the field. */
export function readKubeletFile(flag: string, path: string): KubeletFile {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ClusterError(`${flag} ${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    return readKubeletConfiguration(text);
  } catch (error) {
    if (error instanceof ConfigurationError) throw new ClusterError(`${flag} ${path}: ${error.message}`);
    throw error;
  }
}

export interface KubeletSettingFlags {
  readonly podManifestPath?: string;
  readonly evictionHard?: string;
  readonly kubeReserved?: Readonly<Record<string, string>>;
  readonly systemReserved?: Readonly<Record<string, string>>;
}

type Chosen = Pick<KubeletOptions, 'settings' | 'manifests' | 'maxPods' | 'podPidsLimit' | 'shownSettings'>;

/** Flags go before the file. */
export function kubeletOptionsOf(file: KubeletFile, flags: KubeletSettingFlags, world: World): Chosen {
  const { kubeReserved, systemReserved, evictionHard } = flags;
  const settings: Partial<KubeletSettings> = {
    ...file.settings,
    ...(kubeReserved && { kubeReserved }),
    ...(systemReserved && { systemReserved }),
    ...(evictionHard !== undefined && { evictionThresholds: hardThresholds(evictionHard) }),
  };
  const manifestPath = flags.podManifestPath ?? file.staticPodPath;
  const pids = settings.podPidsLimit;
  return {
    settings,
    ...(manifestPath !== undefined && manifestPath !== '' && { manifests: manifestDirectory(manifestPath, world) }),
    ...(file.maxPods !== undefined && { maxPods: file.maxPods }),
    ...(pids !== undefined && pids > 0 && { podPidsLimit: pids }),
    shownSettings: shownConfiguration({ ...file, settings, ...(manifestPath !== undefined && { staticPodPath: manifestPath }) }),
  };
}

/**
 * Of a cluster on somebody's own machine, whose disk is full of other things: pods go only when there is next to nothing left. Upstream's thresholds of 10 %
 * and 15 % are made for machines that serve nothing else.
 */
export const sharedMachineThresholds = thresholdsOf({
  hard: {
    'memory.available': '100Mi',
    'nodefs.available': '5%',
    'nodefs.inodesFree': '5%',
    'imagefs.available': '5%',
    'imagefs.inodesFree': '5%',
  },
});

function hardThresholds(text: string): KubeletSettings['evictionThresholds'] {
  try {
    return thresholdsOf({ hard: parseSignalList(text, '<') });
  } catch (error) {
    if (error instanceof ThresholdError) throw new ClusterError(`--eviction-hard: ${error.message}`);
    throw error;
  }
}
