/** Why a pod's volume is not there: which operation failed, as upstream names it in `FailedMount` events. */
import { ConfigError } from '../start-error.ts';

export class VolumeError extends ConfigError {
  /** `SetUp`, `MountDevice`, `WaitForAttach`, `MapVolume.SetUpDevice`, … */
  readonly operation: string;

  constructor(operation: string, message: string) {
    super(message);
    this.operation = operation;
  }
}
