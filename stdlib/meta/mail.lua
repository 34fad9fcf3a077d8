---@meta

--- Mail over SMTP (RFC 5321) with TLS, to the configuration's server: `ctx.mail`, with `needs = { mail = true }`, and nil where the
--- configuration has no `mail`. A server without TLS, or whose certificate does not hold, gets nothing.
---@class engine.mail
local mail = {}

---@class mail.result
---@field outcome "sent"|"unknown"  unknown: the connection ended, or the time, after the last bytes and before the server's reply. It may
---  have arrived or not: never send it again unasked.
---@field reply integer             the server's last reply code; 0: none
---@field detail string             the reply's text, or why the outcome is unknown

--- Sends one message and waits for the server's reply. What it raises says that the message was not accepted, for certain. (Of ctx.mail:
--- ctx.mail:send{ to = …, message = … }; the rest is the configuration's.)
---@param options {url: string, user: string?, password: string?, ca_file: string?, resolve: string[]?, from: string, to: string[],
---  message: string, timeout: number?, connect_timeout: number?}  message: RFC 5322, lines end with CRLF; timeouts in seconds (60, 10)
---@return mail.result
---Errors: mail_connect, mail_tls, mail_auth, mail_timeout, mail_deferred (4yz), mail_refused (5yz), mail_broken, mail_url, bad_argument.
function mail.send(options) end

--- Goes as far as a message would, through TLS and login, and sends none. (ctx.mail:probe() is of the configuration's server.)
---@param options {url: string, user: string?, password: string?, ca_file: string?, resolve: string[]?, timeout: number?,
---  connect_timeout: number?}  timeouts in seconds (10, 10)
---@return {certificate: http.certificate?}  what the server showed
---Errors: as mail.send.
function mail.probe(options) end

--- Bytes sealed to a certificate: CMS AuthEnvelopedData (RFC 5083), AES-256-GCM, DER. `openssl cms -decrypt -inform DER` opens it.
---@param pem string    an X.509 certificate of an RSA or elliptic-curve key
---@param bytes string
---@return string der
---Errors: mail_certificate.
function mail.seal(pem, bytes) end

--- Where a URL goes.
---@param url string
---@return {host: string, port: integer, address: boolean}  address: the host is an address, and no name
---Errors: mail_url.
function mail.target(url) end

return mail
