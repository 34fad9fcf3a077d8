// An issuer of tokens that speaks as Entra ID does (npm oidc-provider), and a platform that verifies them (npm jose):
// node entra_server.mjs, the write end of a pipe on descriptor 3.
//
// Prints one line of JSON on the pipe: the ports of "issuer" and "platform". http://ISSUER/KIND is an authority of that kind, and
// http://PLATFORM/KIND/FAULT/me a path of a platform that trusts it and verifies with that fault.
import { createHmac, createPublicKey } from 'node:crypto';
import { writeSync } from 'node:fs';
import { createServer } from 'node:http';
import * as jose from 'jose';
import { Provider } from 'oidc-provider';

const TID = '11111111-2222-3333-4444-555555555555';
const DOMAIN = 'contoso.example'; // of the same directory
const AUDIENCE = 'api://99999999-8888-7777-6666-555555555555';
const SECRET = process.env.ISSUER_SECRET;

// What each kind of issuer claims otherwise.
const now = () => Math.floor(Date.now() / 1000);
const KINDS = {
  good: () => ({}),
  v1: () => ({ iss: `https://sts.windows.net/${TID}/` }),
  v2: () => ({ aud: AUDIENCE.slice('api://'.length) }),
  es256: () => ({}),
  rotated: () => ({}),
  unknown: () => ({}),
  elsewhere: () => ({}),
  flaky: () => ({}),
  otherkey: () => ({}),
  iss: () => ({ iss: 'https://login.microsoftonline.com/another/v2.0' }),
  aud: () => ({ aud: 'api://another' }),
  tid: () => ({ tid: '00000000-0000-0000-0000-000000000001' }),
  exp: () => ({ exp: now() - 301 }),
  skew: () => ({ exp: now() - 200, nbf: now() + 200 }),
  nbf: () => ({ nbf: now() + 400 }),
  roles: () => ({ roles: ['Other'] }),
};

// Clients whose tokens are of another time or tenant.
const CLIENTS = {
  expired: () => ({ nbf: now() - 7600, exp: now() - 4000, roles: [] }),
  foreign: () => ({ tid: '00000000-0000-0000-0000-000000000001', iss: 'https://sts.windows.net/00000000-0000-0000-0000-000000000001/' }),
};

const rsa = { ...(await pair('RS256')), use: 'sig', kid: 'rsa-1' };
const ec = { ...(await pair('ES256')), use: 'sig', kid: 'ec-1' };
async function pair(alg) {
  const { privateKey } = await jose.generateKeyPair(alg, { extractable: true });
  return { ...(await jose.exportJWK(privateKey)), alg };
}
const publicOf = ({ kty, n, e, crv, x, y, use, kid, alg }) => ({ kty, n, e, crv, x, y, use, kid, alg });
const stranger = { ...publicOf({ ...(await pair('RS256')), use: 'sig' }), kid: 'rsa-1' };

function provider(kind, origin) {
  return new Provider(`${origin}/${kind}/${TID}/v2.0`, {
    jwks: { keys: kind === 'es256' ? [ec, rsa] : [rsa] },
    clients: ['gate client', ...Object.keys(CLIENTS)].map((client_id) => ({
      client_id, client_secret: SECRET, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    })),
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: '', audience: resource, accessTokenFormat: 'jwt', jwt: { sign: { alg: kind === 'es256' ? 'ES256' : 'RS256' } },
        }),
      },
    },
    formats: {
      customizers: {
        jwt: (_ctx, token, jwt) => {
          const own = CLIENTS[token.clientId]?.() ?? (jwt.payload.aud === AUDIENCE ? KINDS[kind]() : {});
          Object.assign(jwt.payload, { tid: TID, ver: '2.0', nbf: now(), roles: ['Gate.Run'], sub: 'gate client' }, own);
        },
      },
    },
  });
}

const body = async (req) => {
  let text = '';
  for await (const chunk of req) text += chunk;
  return text;
};

// Entra ID names a resource by its scope: https://learn.microsoft.com/entra/identity-platform/v2-oauth2-client-creds-grant-flow
async function asResource(req) {
  const form = new URLSearchParams(await body(req));
  const scope = form.get('scope') ?? '';
  if (scope.endsWith('/.default')) {
    form.delete('scope');
    form.set('resource', scope.slice(0, -'/.default'.length));
  }
  req.body = Object.fromEntries(form);
}

const answer = (res, status, value) => {
  res.writeHead(status, { 'content-type': 'application/json' });
  res.end(JSON.stringify(value));
};

const asked = {};
const keySets = {
  rotated: () => ({ keys: (asked.rotated = (asked.rotated ?? 0) + 1) % 2 === 1 ? [] : [publicOf(rsa)] }),
  unknown: () => ({ keys: [{ ...publicOf(rsa), kid: 'another' }] }),
  otherkey: () => ({ keys: [stranger] }),
};

const providers = {};
const issuer = createServer(async (req, res) => {
  const [, kind, tid] = req.url.split('/');
  const prefix = `/${kind}/${tid}/v2.0`;
  if (kind === 'broken') return answer(res, 500, {});
  if (kind === 'flaky' && (asked[req.url] = (asked[req.url] ?? 0) + 1) === 1) {
    res.setHeader('retry-after', '0');
    return answer(res, req.method === 'POST' ? 429 : 503, {});
  }
  if (!KINDS[kind] || (tid !== TID && tid !== DOMAIN) || !req.url.startsWith(prefix)) return answer(res, 404, { error: 'invalid_tenant' });
  const origin = `http://127.0.0.1:${issuer.address().port}`;
  providers[kind] ??= provider(kind, origin);
  req.originalUrl = req.url;
  req.url = req.url.slice(prefix.length);
  if (req.url === '/jwks' && keySets[kind]) return answer(res, 200, keySets[kind]());
  if (req.url === '/.well-known/openid-configuration' && kind === 'elsewhere') {
    return answer(res, 200, {
      issuer: origin + prefix, token_endpoint: 'http://127.0.0.2:9/token', jwks_uri: `${origin}${prefix}/jwks`,
    });
  }
  if (req.method === 'POST') await asResource(req);
  return providers[kind].callback()(req, res);
});

const KEYS = { 'rsa-1': rsa, 'ec-1': ec };
const decoded = (token, i) => JSON.parse(Buffer.from(token.split('.')[i], 'base64url').toString());
const claimsHold = (claims, skip = {}) => (skip.aud || KNOWN_AUDIENCES.includes(claims.aud)) && (skip.exp || claims.exp > now() - 300);
const KNOWN_AUDIENCES = [AUDIENCE, AUDIENCE.slice('api://'.length)];

async function proper(token, options = {}) {
  const key = (header) => jose.importJWK(publicOf(options.key?.(header) ?? KEYS[header.kid]), header.alg);
  const { payload } = await jose.jwtVerify(token, key, {
    algorithms: ['RS256', 'ES256'], audience: options.anyAudience ? undefined : KNOWN_AUDIENCES, clockTolerance: 300,
    currentDate: options.at,
  });
  return options.anyTenant || payload.tid === TID;
}

function mac(token, keys) {
  const [head, claims, signature] = token.split('.');
  return keys.some((key) => createHmac('sha256', key).update(`${head}.${claims}`).digest('base64url') === signature);
}
const pem = createPublicKey({ key: publicOf(rsa), format: 'jwk' }).export({ type: 'spki', format: 'pem' });
const alg = (token) => decoded(token, 0).alg;
const bearer = (fn) => async (token) => (token ? fn(token) : false);

const SHOWN = new Set(); // the tokens that have opened

// Each fault: who is let in. What throws refuses.
const FAULTS = {
  api: bearer(proper),
  login: bearer(proper),
  once: bearer(async (t) => (await proper(t)) && !SHOWN.has(decoded(t, 1).jti) && SHOWN.add(decoded(t, 1).jti)),
  first: bearer(async (t) => (await proper(t)) && SHOWN.size === 0 && SHOWN.add(decoded(t, 1).jti)),
  everybody: () => true,
  anonymous: async (token) => !token || proper(token),
  nobody: () => false,
  none: bearer((t) => (String(alg(t)).toLowerCase() === 'none' ? claimsHold(decoded(t, 1)) : proper(t))),
  hs256: bearer((t) => (alg(t) === 'HS256' ? mac(t, [pem]) && claimsHold(decoded(t, 1)) : proper(t))),
  empty_key: bearer((t) => (alg(t) === 'HS256' ? mac(t, ['']) && claimsHold(decoded(t, 1)) : proper(t))),
  signature: bearer((t) => KNOWN_ALGS.includes(alg(t)) && claimsHold(decoded(t, 1))),
  audience: bearer((t) => proper(t, { anyAudience: true })),
  embedded_key: bearer((t) => proper(t, { key: (header) => header.jwk })),
  tenant: bearer((t) => proper(t, { anyTenant: true })),
  expiry: bearer((t) => proper(t, { at: new Date(Math.min(Date.now(), decoded(t, 1).exp * 1000 - 1)) })),
};
const KNOWN_ALGS = ['RS256', 'ES256'];

const platform = createServer(async (req, res) => {
  const fault = req.url.split('/')[1];
  const token = (req.headers.authorization ?? '').replace(/^Bearer /, '');
  if (fault === 'broken') return answer(res, 500, {});
  const let_in = await Promise.resolve(token).then(FAULTS[fault]).catch(() => false);
  if (!let_in && fault === 'login') {
    res.writeHead(302, { location: '/sign-in' });
    return res.end();
  }
  return answer(res, let_in ? 200 : 401, {});
});

const listen = (server) => new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(server.address().port)));
const ports = { issuer: await listen(issuer), platform: await listen(platform) };
writeSync(3, JSON.stringify(ports).replaceAll(':', ': ').replaceAll(',', ', ') + '\n');
