---@meta

--- `require "jose"` (or "engine.jose"): signed tokens (JSON Web Signature in its compact form, RFC 7515) and their keys (JSON Web Key,
--- RFC 7517), by libcjose. Pure: any script may use it, no need has to be declared.
---
--- Algorithms: RS256, RS384, RS512, PS256, ES256, ES384. "none" and MACs are none of them.
--- Errors, which show no part of a token or key: jose_token (no token; over 64 KB), jose_alg (signed with something else), jose_key (no
--- key, or none for the algorithm; RSA under 2048 bits), jose_signature (does not hold), bad_argument.
---@class engine.jose
local jose = {}

--- Header and claims of a token that holds under this key.
---@param token string
---@param jwk string      the public key, as JSON text
---@param algs string[]   which algorithms it may be signed with; the token's header is only compared with them
---@return string header  JSON text of an object
---@return string claims  JSON text of an object
---Errors: jose_token, jose_alg, jose_key, jose_signature, bad_argument.
function jose.verify(token, jwk, algs) end

--- A token's header, of which nothing is proven: what it names its key by ("kid").
---@param token string
---@return string header  JSON text of an object
---Errors: jose_token, bad_argument.
function jose.header(token) end

--- A new private key for an algorithm: RSA of 2048 bits, or on the algorithm's curve.
---@param alg string
---@return string jwk  JSON text
---Errors: jose_alg, jose_key, bad_argument.
function jose.generate(alg) end

--- A token of this payload.
---@param header string   JSON text of an object that says "alg"
---@param payload string
---@param jwk string      the private key, as JSON text
---@return string token
---Errors: jose_alg, jose_key, bad_argument.
function jose.sign(header, payload, jwk) end

--- The public half of a key as PEM (SubjectPublicKeyInfo).
---@param jwk string  JSON text
---@return string
---Errors: jose_key, bad_argument.
function jose.pem(jwk) end

return jose
