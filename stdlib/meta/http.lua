---@meta

--- `require "engine.http"`: requests to named endpoints. Scripts reach it as `ctx.http` (needs.endpoints); the engine
--- makes the client and adds the credentials, which no script, answer or error ever shows.
---
--- An endpoint is an origin (scheme, host, port) with a path before all paths. Nothing else is a target: a path cannot
--- name another host, redirects are followed inside the origin alone, proxies are the endpoints' alone (a script's have the
--- configuration's, or the environment's: https_proxy, http_proxy, all_proxy, but for no_proxy and the loopback), bodies
--- are not inflated, no cookie is kept. Under task.map requests overlap.
---
--- A status of any class is a result. Errors: http_endpoint (unknown, or its URL is none), http_resolve, http_connect,
--- http_tls (with field `reason`: "expired", "not_yet_valid", "wrong_host", "untrusted", "revoked" or "handshake"),
--- http_timeout, http_too_large, http_protocol (the connection broke, no HTTP, or in json() no JSON), http_redirect
--- (to another origin, or without end), http_proxy (it opens no tunnel to the endpoint; with
--- `reason` "unreachable" it cannot be reached itself), http_closed, bad_argument.
---@class engine.http
local http = {}

---@class http.client
local client = {}

---@class http.auth  exactly one of bearer, basic, header, sigv4, azure_key, azure_sas
---@field bearer? string  sent as `Authorization: Bearer …`
---@field basic? string   "user:password", sent as `Authorization: Basic …`
---@field header? string  name of a header that carries `value`
---@field value? string
---@field sigv4? {access_key_id: string, secret_access_key: string, session_token?: string, region: string}
---                         AWS Signature Version 4, for S3: each request is signed, its body's SHA-256 with it
---@field azure_key? {account: string, key: string}  Azure Storage Shared Key
---@field azure_sas? string a shared access signature, added to each request's query

---@class http.endpoint
---@field url string                     http(s)://[user:password@]host[:port][/prefix]; no query, no fragment
---@field headers? table<string, string> sent with every request
---@field auth? http.auth
---@field resolve? string[]              addresses of the host: no name service is asked
---@field proxy? string                  URL: http, https, socks5 or socks5h; default none
---@field proxy_resolve? string[]        addresses of the proxy's host
---@field ca_file? string                PEM file of certificate authorities, in place of the system's
---@field ca_pem? string                 the same as text

---@class http.request
---@field endpoint string
---@field method? string          GET (default), HEAD, OPTIONS, PUT, DELETE, POST, PATCH
---@field path? string            begins with "/" (not "//"), holds no "\", "#", "@", "%2F", "%5C", control character or dot component;
---                               spaces and non-ASCII bytes are percent-encoded, "%" must begin an encoded byte
---@field query? table<string, string|number|boolean|table>  encoded and sorted by name; a list repeats the name
---@field headers? table<string, string>  not those that frame the message, nor those the endpoint sends
---@field json? any               sent as JSON; not together with body
---@field body? string
---@field timeout? number         seconds for everything, repetitions included
---@field connect_timeout? number seconds for each connection (default 10)
---@field retries? integer        repetitions after a failed connect, a 5xx, or a 429 with Retry-After; GET, HEAD, OPTIONS,
---                               PUT and DELETE only; default 0. No other 4xx is ever repeated
---@field idempotent? boolean     true: this POST or PATCH does no more when it is sent twice, and may be repeated too
---@field backoff? number         seconds before the first repetition, then doubled, at most 5 (default 0.2), each time a random
---                               part of it between half and the whole, so that many do not come back at once; Retry-After wins
---@field redirects? integer      most to follow (default 5); 0: a redirect is the answer, wherever it points
---@field max_body? integer       bytes of the answer's body; more is http_too_large
---@field auth? boolean           false: without the endpoint's headers and credential, so that the request can send its own

---@class http.timings  milliseconds of the last transfer; 0 for a step that a kept connection did not need
---@field dns number         name resolution
---@field connect number     TCP connect
---@field tls number         TLS handshake
---@field first_byte number  from the start to the answer's first byte
---@field total number       from the start to the answer's last byte
---@field elapsed number     from the call on, with repetitions, redirects and pauses

---@class http.certificate
---@field subject string
---@field issuer string
---@field chain string[]    subjects of all certificates that were sent, the server's own first
---@field not_before string  RFC 3339
---@field not_after string   RFC 3339
---@field days_left integer  whole days until not_after, rounded down

---@class http.element  its elements are in its list part
---@field name string
---@field text string  what stands directly in it

---@class http.response
---@field status integer
---@field headers table<string, string>  names in lower case; repeated ones joined by ", ", set-cookie by newlines
---@field body string
---@field json fun(): any  decodes the body, strictly; null is json.null
---@field xml fun(): http.element  reads the body as XML; a document type is refused
---@field timings http.timings
---@field certificate? http.certificate  over TLS
---@field address string          of the peer
---@field date? integer          of its Date header: seconds since 1970
---@field attempts integer
---@field redirects integer       followed

--- Makes a client.
---@param options {endpoints: table<string, http.endpoint>, max_body?: integer, timeout?: number, connect_timeout?: number}
---       max_body: bytes (default 16 MB); timeout: seconds (default 30); connect_timeout: seconds (default 10)
---@return http.client
---Errors: bad_argument, http_endpoint.
function http.client(options) end

--- Where a URL connects to, read by the parser that will connect. For whoever resolves names beforehand.
---@param url string  an endpoint's or a proxy's
---@return {scheme: string, host: string, address: boolean, port: integer?}
---        host: without brackets; address: it is an IPv4 or IPv6 address; port: nil when the URL names none
---Errors: bad_argument.
function http.target(url) end

--- Sends a request and waits for its answer; other tasks run meanwhile.
---@param options http.request
---@return http.response
function client:request(options) end

--- The names of the client's endpoints.
---@return string[]
function client:endpoints() end

--- Ends every request under way with http_closed. May be repeated; also done by `local c <close>`.
function client:close() end

return http
