-- What: an error object that calls itself a pass, with control characters in each field
-- Gate: ERROR PASS
-- Audit: ERROR PASS
error({ code = "PASS", message = "\27[2JFORGED\nFORGED PASS", detail = "\r\nFORGED", fix = "\u{202e}FORGED" })
