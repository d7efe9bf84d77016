/** PrioritySort: the more important pod is tried first; among equals, the one that came first. */
import type { PluginDefinition } from '../plugin.ts';

export const prioritySort: PluginDefinition = {
  name: 'PrioritySort',
  create: () => ({
    name: 'PrioritySort',
    compare: (a, b) => b.info.priority - a.info.priority || a.sequence - b.sequence,
  }),
};
