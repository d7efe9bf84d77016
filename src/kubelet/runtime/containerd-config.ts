/** The configuration of k8ts's own containerd (https://github.com/containerd/containerd/blob/main/docs/man/containerd-config.toml.5.md), version 2. */

export interface ContainerdSettings {
  /** Images, snapshots and metadata: kept. */
  readonly root: string;
  /** Sockets, running tasks, network namespaces. */
  readonly state: string;
  readonly socket: string;
  /** For containerd itself and its shims: ending the service that started k8ts must not end them. */
  readonly controlGroup: string;
  readonly sandboxImage: string;
  readonly cniConfDir: string;
  readonly cniBinDir: string;
  /** Directories with a `hosts.toml` for each registry. */
  readonly registryConfigDirs: readonly string[];
  readonly restrictOomScoreAdj: boolean;
}

/** Snapshotters and services nobody asks for here; each costs time at start. */
const disabledPlugins = [
  'io.containerd.snapshotter.v1.aufs',
  'io.containerd.snapshotter.v1.btrfs',
  'io.containerd.snapshotter.v1.devmapper',
  'io.containerd.snapshotter.v1.zfs',
  'io.containerd.snapshotter.v1.blockfile',
  'io.containerd.internal.v1.restart',
  'io.containerd.internal.v1.tracing',
  'io.containerd.tracing.processor.v1.otlp',
  'io.containerd.nri.v1.nri',
];

export function containerdConfig(settings: ContainerdSettings): string {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  return `# Written by k8ts at every start; changes are lost.
version = 2
root = ${toml(settings.root)}
state = ${toml(settings.state)}
disabled_plugins = [${disabledPlugins.map(toml).join(', ')}]

[cgroup]
  path = ${toml(settings.controlGroup)}

[grpc]
  address = ${toml(settings.socket)}

[plugins."io.containerd.internal.v1.opt"]
  path = ${toml(`${settings.root}/opt`)}

[${cri}]
  sandbox_image = ${toml(settings.sandboxImage)}
  restrict_oom_score_adj = ${settings.restrictOomScoreAdj}
  netns_mounts_under_state_dir = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  tolerate_missing_hugetlb_controller = true

  [${cri}.cni]
    bin_dir = ${toml(settings.cniBinDir)}
    conf_dir = ${toml(settings.cniConfDir)}

  [${cri}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"

    [${cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"

      [${cri}.containerd.runtimes.runc.options]
        SystemdCgroup = false
        Root = ${toml(`${settings.state}/runc`)}

  [${cri}.registry]
    config_path = ${toml(settings.registryConfigDirs.join(':'))}
`;
}

/** A TOML basic string: JSON's escapes are all TOML's too. */
function toml(text: string): string {
  return JSON.stringify(text);
}
