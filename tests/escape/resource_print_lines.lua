-- What: empty lines printed without end
-- Gate: ERROR print_flood
-- Audit: ERROR audit_timeout
while true do print() end
