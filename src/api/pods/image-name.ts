/** Image references such as `registry:5000/team/app:1.2@sha256:…`, taken apart as the container world does. */

export interface ImageName {
  readonly repository: string;
  /** `latest` when neither a tag nor a digest is given. */
  readonly tag: string | undefined;
  readonly digest: string | undefined;
}

export function parseImage(image: string): ImageName {
  const at = image.indexOf('@');
  const digest = at < 0 ? undefined : image.slice(at + 1);
  const name = at < 0 ? image : image.slice(0, at);
  const colon = name.lastIndexOf(':');
  // A colon before a slash is a registry's port.
  const tagged = colon > name.lastIndexOf('/');
  const tag = tagged ? name.slice(colon + 1) : undefined;
  return { repository: tagged ? name.slice(0, colon) : name, tag: tag ?? (digest === undefined ? 'latest' : undefined), digest };
}
