/** What an image's short name stands for: `nginx` is `docker.io/library/nginx:latest`. As containerd and Docker read names. */

export interface ImageName {
  readonly registry: string;
  readonly repository: string;
  /** `latest` when the name has neither tag nor digest. */
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

const part = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const repositoryPattern = new RegExp(`^${part}(?:/${part})*$`);
const hostPattern = /^(?:[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?|\[[0-9a-fA-F:.]+\])(?::\d+)?$/;

/** Undefined when the text is no image name. */
export function parseImageName(text: string): ImageName | undefined {
  const at = text.indexOf('@');
  const digest = at < 0 ? undefined : text.slice(at + 1);
  if (digest !== undefined && !/^[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[0-9a-f]{32,}$/.test(digest)) return undefined;
  let rest = at < 0 ? text : text.slice(0, at);
  const colon = rest.lastIndexOf(':');
  let tag: string | undefined;
  if (colon > rest.lastIndexOf('/')) {
    tag = rest.slice(colon + 1);
    if (!/^\w[\w.-]{0,127}$/.test(tag)) return undefined;
    rest = rest.slice(0, colon);
  }
  const slash = rest.indexOf('/');
  const head = slash < 0 ? '' : rest.slice(0, slash);
  let registry = 'docker.io';
  let repository = rest;
  // Only a first part that looks like a host is one: `library/nginx` is on Docker Hub, `localhost/nginx` is not.
  if (head === 'localhost' || /[.:]/.test(head) || head !== head.toLowerCase()) {
    registry = head;
    repository = rest.slice(slash + 1);
    if (!hostPattern.test(registry)) return undefined;
  }
  if (registry === 'index.docker.io') registry = 'docker.io';
  if (registry === 'docker.io' && repository !== '' && !repository.includes('/')) repository = `library/${repository}`;
  if (!repositoryPattern.test(repository)) return undefined;
  return { registry, repository, tag: tag ?? (digest === undefined ? 'latest' : undefined), digest };
}

/** `docker.io/library/nginx:latest`. */
export function fullImageName({ registry, repository, tag, digest }: ImageName): string {
  return `${registry}/${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
}
