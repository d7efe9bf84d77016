/** Debian's kubectl v1.20: see `kubectl-journey.ts`. */
import { debianKubectl } from '../support/debian-packages.ts';
import { journey } from './kubectl-journey.ts';

journey('v1.20', () => debianKubectl('bookworm'));
