-- What: a service that never answers
-- Gate: ERROR http_timeout|gate_timeout
-- Audit: -
-- Needs: endpoints = { "svc" }
ctx.http:request { endpoint = "svc", path = "/silent" }
