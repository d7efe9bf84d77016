/** The images that need no registry, brought into the runtime at the first start: `pause`, and `hello` in two versions. */
import { ClusterError } from './config.ts';
import { helloImages } from './images/hello.ts';
import { loadBuiltImages } from './images/load.ts';
import { pauseImage, pauseImageName } from './images/pause.ts';
import type { Architecture } from './images/elf.ts';

export { pauseImageName };

/** Does nothing when they are there already. */
export async function loadBuiltInImages(socket: string, progress: (text: string) => void, signal: AbortSignal): Promise<void> {
  const architecture = architectureOf(process.arch);
  const images = [pauseImage(architecture), ...(await helloImages(architecture))];
  const loaded = await loadBuiltImages({ socket, signal }, images);
  if (loaded.length > 0) progress(`loaded ${loaded.join(', ')}`);
}

function architectureOf(nodeArch: string): Architecture {
  if (nodeArch === 'x64') return 'amd64';
  if (nodeArch === 'arm64') return 'arm64';
  throw new ClusterError(`there are no built-in images for ${nodeArch}, only for x64 and arm64: use --runtime simulated`);
}
