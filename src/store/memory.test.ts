import { memoryStore } from './memory.ts';
import { storeSuite } from './store-suite.ts';

storeSuite('memory', async (t, world, options) => {
  const store = memoryStore({ clock: world.clock, ...options });
  t.after(() => store.close());
  return store;
});
