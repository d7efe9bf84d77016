/** The variables that announce Services to containers: `NAME_SERVICE_HOST`, `NAME_SERVICE_PORT` and Docker's link variables for each port. */
import type { Service } from '../api/kinds.ts';

export function serviceEnvironment(services: Iterable<Service>): Map<string, string> {
  const env = new Map<string, string>();
  for (const service of services) {
    const { clusterIP, ports = [] } = service.spec;
    const first = ports[0];
    if (clusterIP === undefined || clusterIP === '' || clusterIP === 'None' || !first) continue;
    const name = variableName(service.metadata.name);
    env.set(`${name}_SERVICE_HOST`, clusterIP);
    env.set(`${name}_SERVICE_PORT`, String(first.port));
    for (const port of ports) if (port.name) env.set(`${name}_SERVICE_PORT_${variableName(port.name)}`, String(port.port));
    const host = clusterIP.includes(':') ? `[${clusterIP}]` : clusterIP;
    for (const [index, port] of ports.entries()) {
      const protocol = (port.protocol ?? 'TCP').toLowerCase();
      const url = `${protocol}://${host}:${port.port}`;
      if (index === 0) env.set(`${name}_PORT`, url);
      const prefix = `${name}_PORT_${port.port}_${protocol.toUpperCase()}`;
      env.set(prefix, url);
      env.set(`${prefix}_PROTO`, protocol);
      env.set(`${prefix}_PORT`, String(port.port));
      env.set(`${prefix}_ADDR`, clusterIP);
    }
  }
  return env;
}

function variableName(name: string): string {
  return name.toUpperCase().replaceAll('-', '_');
}
