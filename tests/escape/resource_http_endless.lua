-- What: an HTTP body without end
-- Gate: ERROR http_too_large|http_timeout
-- Audit: -
-- Needs: endpoints = { "svc" }
ctx.http:request { endpoint = "svc", path = "/endless" }
