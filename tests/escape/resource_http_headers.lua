-- What: HTTP headers of many megabytes
-- Gate: ERROR http_too_large|http_protocol
-- Audit: -
-- Needs: endpoints = { "svc" }
ctx.http:request { endpoint = "svc", path = "/headers", query = { n = "90", size = "60000" } }
