import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { allControllers } from '../../controllers/all-controllers.ts';
import { defaultOptions } from '../../controllers/controller.ts';
import { createCertificateAuthority } from '../../kubeadm/certificates.ts';
import { simulatedWorld } from '../../world/simulated.ts';
import { concurrencyFlags } from './concurrency-flags.ts';
import { signerFlags, signingOf } from './signing-flags.ts';
import { tuningOf } from './tuning.ts';
import { tuningFlags, type TuningFlags } from './tuning-flags.ts';

/** As commander names what a flag gives. */
function fieldOf(flag: string): string {
  return flag.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

describe('flags of the controller manager', () => {
  const usual = Object.fromEntries(tuningFlags.map(({ field, usual: value }) => [field, value])) as TuningFlags;

  it('each stand once, under the name their value comes by', () => {
    const all = [...concurrencyFlags, ...tuningFlags].map(({ flag, field }) => ({ flag, field }));
    assert.equal(new Set(all.map(({ flag }) => flag)).size, all.length);
    for (const { flag, field } of [...all, ...signerFlags]) assert.equal(field, fieldOf(flag));
  });

  it('of concurrency are each about a controller there is, and no two about one', () => {
    const names = concurrencyFlags.map(({ controller }): string => controller);
    assert.equal(new Set(names).size, names.length);
    for (const name of names)
      assert.ok(
        allControllers.some((controller) => controller.name === name),
        name,
      );
  });

  it('change nothing when they are not given', () => {
    const options = tuningOf(usual);
    for (const [name, value] of Object.entries(options))
      assert.deepEqual(value, Object.entries(defaultOptions).find(([key]) => key === name)?.[1], name);
  });

  it('each change something when they are', () => {
    for (const { field, usual: value } of tuningFlags) {
      const other = value === 0 ? 1 : value / 2;
      assert.notDeepEqual(tuningOf({ ...usual, [field]: other }), tuningOf(usual), field);
    }
  });
});

describe('who signs certificate requests', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'k8ts-signing-'));
  after(() => rmSync(directory, { recursive: true }));
  const pairs = await Promise.all(
    ['one', 'two'].map(async (name) => {
      const { certificate, key } = await createCertificateAuthority(simulatedWorld(1), name);
      const paths = { certificate: join(directory, `${name}.crt`), key: join(directory, `${name}.key`) };
      writeFileSync(paths.certificate, certificate);
      writeFileSync(paths.key, key);
      return { ...paths, content: { certificate, key } };
    }),
  );
  const [one, two] = pairs;
  assert.ok(one && two);

  it('is nobody, one for all, or one for each', () => {
    assert.deepEqual(signingOf({}), {});
    assert.deepEqual(signingOf({ clusterSigningCertFile: one.certificate, clusterSigningKeyFile: one.key }), { signingAuthority: one.content });
    const flags = { clusterSigningKubeletServingCertFile: one.certificate, clusterSigningKubeletServingKeyFile: one.key };
    const more = { clusterSigningKubeletClientCertFile: two.certificate, clusterSigningKubeletClientKeyFile: two.key };
    assert.deepEqual(signingOf({ ...flags, ...more }), {
      signingAuthorities: { 'kubernetes.io/kubelet-serving': one.content, 'kubernetes.io/kube-apiserver-client-kubelet': two.content },
    });
  });

  it('is refused when it is half told, does not fit together, or is told twice', () => {
    const half = { clusterSigningKubeApiserverClientCertFile: one.certificate };
    assert.throws(() => signingOf(half), /--cluster-signing-kube-apiserver-client-cert-file and .*-key-file go together/);
    assert.throws(() => signingOf({ ...half, clusterSigningKubeApiserverClientKeyFile: two.key }), /is not the key of the certificate/);
    const both = {
      ...half,
      clusterSigningKubeApiserverClientKeyFile: one.key,
      clusterSigningCertFile: one.certificate,
      clusterSigningKeyFile: one.key,
    };
    assert.throws(() => signingOf(both), /at the same time/);
  });
});
