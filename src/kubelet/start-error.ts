/** Why a container could not be started: the reason and message that its status shows while it waits. */

export type StartFailure =
  | 'ErrImagePull'
  | 'RegistryUnavailable'
  | 'ImagePullBackOff'
  | 'ErrImageNeverPull'
  | 'InvalidImageName'
  | 'ImageInspectError'
  | 'CreateContainerConfigError'
  | 'CreateContainerError'
  | 'PreCreateHookError'
  | 'RunContainerError'
  | 'PostStartHookError';

export class StartError extends Error {
  readonly reason: StartFailure;

  constructor(reason: StartFailure, message: string) {
    super(message);
    this.name = 'StartError';
    this.reason = reason;
  }
}

/** Something the pod refers to is missing or wrong: `CreateContainerConfigError` in a container, `FailedMount` in a volume. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
