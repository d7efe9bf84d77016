/** How long a node agent may take to end: it gives pods the time that the kubelet's `shutdownGracePeriod` sets for them, and then has things of its own to do. */
import { ClusterError } from './config.ts';

const ownMs = 10_000;

/** `kubeletConfig` is the file that the agent was started with, if any. */
export async function shutdownPatienceMs(kubeletConfig: string | undefined): Promise<number> {
  if (kubeletConfig === undefined) return ownMs;
  const { readKubeletFile } = await import('./kubelet-file.ts');
  try {
    return ownMs + (readKubeletFile('--kubelet-config', kubeletConfig).settings.shutdownGraceMs ?? 0);
  } catch (error) {
    // A file that was spoiled meanwhile keeps nobody from stopping.
    if (error instanceof ClusterError) return ownMs;
    throw error;
  }
}
