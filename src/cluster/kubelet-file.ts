/** What a `KubeletConfiguration` file and a few flags of upstream's choose for a kubelet, whether it runs alone or as part of `k8ts up`. */
import { accessSync, constants, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigurationError } from '../kubelet/configuration/fields.ts';
import { type KubeletFile, readKubeletConfiguration, shownConfiguration } from '../kubelet/configuration/kubelet-configuration.ts';
import type { KubeletSettings } from '../kubelet/configuration/settings.ts';
import { ThresholdError, parseSignalList, thresholdsOf } from '../kubelet/eviction/thresholds.ts';
import { readProviderConfiguration } from '../kubelet/image-pull/providers/provider-configuration.ts';
import type { KubeletOptions } from '../kubelet/kubelet-options.ts';
import { manifestDirectory } from '../kubelet/static-pods/manifest-directory.ts';
import type { World } from '../world/world.ts';
import { ClusterError } from './config.ts';

/** Throws {@link ClusterError}, with the file's name and the path of the field. */
export function readKubeletFile(flag: string, path: string): KubeletFile {
  return readConfiguration(flag, path, readKubeletConfiguration);
}

function readConfiguration<T>(flag: string, path: string, read: (text: string) => T): T {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ClusterError(`${flag} ${path}: cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  try {
    return read(text);
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
  readonly imageCredentialProviderConfig?: string;
  readonly imageCredentialProviderBinDir?: string;
}

type Chosen = Pick<KubeletOptions, 'settings' | 'manifests' | 'maxPods' | 'podPidsLimit' | 'shownSettings' | 'imageCredentials'>;

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
    ...imageCredentials(flags),
    ...(file.maxPods !== undefined && { maxPods: file.maxPods }),
    ...(pids !== undefined && pids > 0 && { podPidsLimit: pids }),
    shownSettings: shownConfiguration({ ...file, settings, ...(manifestPath !== undefined && { staticPodPath: manifestPath }) }),
  };
}

/** As upstream, neither flag without the other; and every program is there. */
function imageCredentials({ imageCredentialProviderConfig: file, imageCredentialProviderBinDir: directory }: KubeletSettingFlags): Chosen {
  if (file === undefined && directory === undefined) return {};
  if (file === undefined || directory === undefined) {
    throw new ClusterError('--image-credential-provider-config and --image-credential-provider-bin-dir must be given together');
  }
  const providers = readConfiguration('--image-credential-provider-config', file, readProviderConfiguration);
  for (const { name } of providers) {
    try {
      accessSync(join(directory, name), constants.X_OK);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new ClusterError(
        `--image-credential-provider-bin-dir ${directory}: plugin binary executable ${name} did not exist or cannot be run: ${why}`,
      );
    }
  }
  return { imageCredentials: { directory, providers } };
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
