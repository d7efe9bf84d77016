/** ImageLocality: prefers nodes that have the pod's images already, the more so the larger they are and the more nodes have them. */
import { maxScore, type PluginDefinition } from '../plugin.ts';
import type { ImageState } from '../snapshot.ts';

const megabyte = 1024 * 1024;
/** Less than this is quickly pulled; more, for each container, counts as the most. */
const smallest = 23 * megabyte;
const largest = 1000 * megabyte;

export const imageLocality: PluginDefinition = {
  name: 'ImageLocality',
  create: () => ({
    name: 'ImageLocality',
    hints: [],
    preScore({ pod }, { images, nodes }) {
      const { spec } = pod;
      const names = [
        ...(spec.initContainers ?? []),
        ...spec.containers,
        ...(spec.volumes ?? []).flatMap(({ image }) => (image ? [{ image: image.reference ?? '' }] : [])),
      ];
      const known = names.flatMap(({ image = '' }) => stateOf(images, image) ?? []);
      if (known.length === 0) return undefined;
      const most = largest * names.length;
      return {
        score({ index }) {
          let sum = 0;
          for (const image of known) if (image.nodes.has(index)) sum += Math.trunc(image.sizeBytes * (image.nodes.size / nodes.length));
          return Math.trunc((maxScore * (Math.min(Math.max(sum, smallest), most) - smallest)) / (most - smallest));
        },
      };
    },
  }),
};

/** A name without tag means `latest`, as nodes report it. */
function stateOf(images: ReadonlyMap<string, ImageState>, name: string): ImageState | undefined {
  return images.get(name.lastIndexOf(':') <= name.lastIndexOf('/') ? `${name}:latest` : name);
}
