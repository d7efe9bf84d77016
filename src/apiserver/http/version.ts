/** `/version`: clients compare it with their own and read features from it. */
import { jsonAnswer, type Paths } from './paths.ts';

export const versionInfo = {
  major: '1',
  minor: '36',
  emulationMajor: '1',
  emulationMinor: '36',
  minCompatibilityMajor: '1',
  minCompatibilityMinor: '35',
  gitVersion: 'v1.36.0+k8ts0.1.0',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: `node ${process.version}`,
  compiler: 'v8',
  platform: `${process.platform}/${process.arch === 'x64' ? 'amd64' : process.arch}`,
} as const;

export function addVersionPath(paths: Paths): void {
  paths.add('/version', () => jsonAnswer(versionInfo));
}
