/** How images are pulled, and who may run those that are there: fields of a `KubeletConfiguration`. */
import { checkAllowlistPattern, defaultVerification, verificationPolicies } from '../image-pull/verification.ts';
import { ConfigurationError, type Fields } from './fields.ts';
import type { KubeletSettings } from './settings.ts';

type ImagePulls = Pick<KubeletSettings, 'serializeImagePulls' | 'maxParallelImagePulls' | 'imagePullRate' | 'imageVerification'>;

/** Upstream's, where only the rate is given. */
const usualBurst = 10;

/** Undefined for what the file does not say. */
export function imagePullsIn(fields: Fields): { readonly [name in keyof ImagePulls]: ImagePulls[name] | undefined } {
  const serializeImagePulls = fields.flag('serializeImagePulls');
  const maxParallelImagePulls = fields.integer('maxParallelImagePulls', 1);
  if (serializeImagePulls === true && maxParallelImagePulls !== undefined && maxParallelImagePulls > 1) {
    throw new ConfigurationError(
      `maxParallelImagePulls: Invalid value: ${maxParallelImagePulls}: cannot be larger than 1 unless serializeImagePulls is set to false`,
    );
  }
  const perSecond = fields.integer('registryPullQPS', 0);
  const burst = fields.integer('registryBurst', 0);
  const policy = fields.choice('imagePullCredentialsVerificationPolicy', ['', ...verificationPolicies]) || undefined;
  const allowlist = fields.texts('preloadedImagesVerificationAllowlist');
  if (allowlist && allowlist.length > 0 && policy !== 'NeverVerifyAllowlistedImages') {
    throw new ConfigurationError(
      'preloadedImagesVerificationAllowlist: Invalid value: can only be set with imagePullCredentialsVerificationPolicy NeverVerifyAllowlistedImages',
    );
  }
  for (const [index, pattern] of (allowlist ?? []).entries()) {
    try {
      checkAllowlistPattern(pattern);
    } catch (error) {
      throw new ConfigurationError(`preloadedImagesVerificationAllowlist[${index}]: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  return {
    serializeImagePulls,
    maxParallelImagePulls,
    imagePullRate: perSecond === undefined ? undefined : { perSecond, burst: burst ?? usualBurst },
    imageVerification: policy && { ...defaultVerification, policy, allowlist: allowlist ?? [] },
  };
}

/** As the file has them. */
export function shownImagePulls({
  serializeImagePulls,
  maxParallelImagePulls,
  imagePullRate,
  imageVerification,
}: ImagePulls): Record<string, unknown> {
  return {
    serializeImagePulls,
    ...(maxParallelImagePulls > 0 && { maxParallelImagePulls }),
    registryPullQPS: imagePullRate.perSecond,
    registryBurst: imagePullRate.burst,
    imagePullCredentialsVerificationPolicy: imageVerification.policy,
    ...(imageVerification.allowlist.length > 0 && { preloadedImagesVerificationAllowlist: imageVerification.allowlist }),
  };
}
