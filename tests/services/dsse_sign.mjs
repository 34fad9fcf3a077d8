// dsse_sign.mjs MODULES STATEMENT PRIVATE-KEY: a DSSE envelope of an in-toto statement, its PAE made by sigstore's library (npm @sigstore/core),
// its signature by Node.js.
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [modules, file, keyFile] = process.argv.slice(2);
const { dsse } = createRequire(`${modules}/x.js`)('@sigstore/core');

const body = readFileSync(file);
const key = createPrivateKey(readFileSync(keyFile));
const payloadType = 'application/vnd.in-toto+json';
const keyid = createHash('sha256').update(createPublicKey(key).export({ type: 'spki', format: 'der' })).digest('hex');
const sig = sign(null, dsse.preAuthEncoding(payloadType, body), key).toString('base64');
console.log(JSON.stringify({ payloadType, payload: body.toString('base64'), signatures: [{ keyid, sig }] }, null, 2));
