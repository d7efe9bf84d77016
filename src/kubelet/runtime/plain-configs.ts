/** A sandbox and a container that ask for nothing special: what tests of runtimes start from. */
import type { ContainerConfig, SandboxConfig } from './runtime.ts';

export function plainSandbox(name: string): SandboxConfig {
  return {
    name,
    namespace: 'default',
    uid: `uid-${name}`,
    attempt: 0,
    hostname: name,
    logDirectory: '/logs',
    dns: { servers: [], searches: [], options: [] },
    portMappings: [],
    labels: {},
    annotations: {},
    sysctls: {},
    cgroupParent: '',
    network: 'pod',
    pid: 'container',
    ipc: 'pod',
    privileged: false,
    supplementalGroups: [],
    runtimeHandler: '',
  };
}

export function plainContainer(image: string): ContainerConfig {
  return {
    name: 'main',
    attempt: 0,
    image,
    command: [],
    args: [],
    workingDir: '',
    env: [],
    mounts: [],
    devices: [],
    labels: {},
    annotations: {},
    logPath: 'main.log',
    stdin: false,
    stdinOnce: false,
    tty: false,
    resources: {},
    security: {
      privileged: false,
      addCapabilities: [],
      dropCapabilities: [],
      supplementalGroups: [],
      readonlyRootfs: false,
      noNewPrivileges: false,
      network: 'pod',
      pid: 'container',
      ipc: 'pod',
    },
  };
}
