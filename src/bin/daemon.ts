/** What runs in the background: `daemon.ts control-plane|node-agent --data-dir DIRECTORY`. Apart from the command line, of which neither needs anything. */
import { parseArgs } from 'node:util';
import { runDaemon } from '../cluster/run-daemon.ts';

const { positionals, values } = parseArgs({ allowPositionals: true, options: { 'data-dir': { type: 'string' } } });
const [name] = positionals;
const dataDir = values['data-dir'];
if ((name !== 'control-plane' && name !== 'node-agent') || dataDir === undefined) {
  console.error('usage: daemon control-plane|node-agent --data-dir DIRECTORY');
  process.exit(2);
}
process.exit(await runDaemon(name, dataDir));
