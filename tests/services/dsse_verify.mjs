// dsse_verify.mjs MODULES ENVELOPE PUBLIC-KEY: does sigstore's own verifier (npm @sigstore/verify) take this DSSE envelope, by this key? The key
// is found by the SHA-256 of its SubjectPublicKeyInfo, which the envelope's keyid has to be. Prints the in-toto statement that was signed.
import { createHash, createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [modules, file, keyFile] = process.argv.slice(2);
const require = createRequire(`${modules}/x.js`);
const { bundleFromJSON } = require('@sigstore/bundle');
const { Verifier, toSignedEntity, toTrustMaterial } = require('@sigstore/verify');

const envelope = JSON.parse(readFileSync(file, 'utf8'));
const der = createPublicKey(readFileSync(keyFile)).export({ type: 'spki', format: 'der' });
const bundle = bundleFromJSON({
  mediaType: 'application/vnd.dev.sigstore.bundle.v0.3+json',
  verificationMaterial: { publicKey: { hint: envelope.signatures[0].keyid }, tlogEntries: [] },
  dsseEnvelope: envelope,
});
const keys = { [createHash('sha256').update(der).digest('hex')]: { rawBytes: der } };
const trust = toTrustMaterial({ certificateAuthorities: [], timestampAuthorities: [], tlogs: [], ctlogs: [] }, keys);
try {
  new Verifier(trust, { tlogThreshold: 0, ctlogThreshold: 0, tsaThreshold: 0 }).verify(toSignedEntity(bundle));
} catch (why) {
  console.log(`refused: ${why.code}`);
  process.exit(1);
}
process.stdout.write(bundle.content.dsseEnvelope.payload);
