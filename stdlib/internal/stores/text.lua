--- What stores behind HTTP write and read: keys in paths, dates, elements of XML.
local M = {}

--- Days from 1970-01-01 to a date of the Gregorian calendar.
local function days(y, m, d)
  y = m <= 2 and y - 1 or y
  local era = y // 400
  local of_era = y - era * 400
  local of_year = (153 * ((m + 9) % 12) + 2) // 5 + d - 1
  return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
end

local function seconds(y, mo, d, h, mi, s)
  local n = {}
  for i, v in ipairs { y, mo, d, h, mi, s } do n[i] = math.tointeger(tonumber(v)) end
  return days(n[1], n[2], n[3]) * 86400 + n[4] * 3600 + n[5] * 60 + n[6]
end

local MONTHS = { Jan = 1, Feb = 2, Mar = 3, Apr = 4, May = 5, Jun = 6, Jul = 7, Aug = 8, Sep = 9, Oct = 10, Nov = 11, Dec = 12 }

--- "Fri, 27 Nov 2026 19:07:43 GMT" (RFC 9110, 5.6.7) as seconds since 1970; nil: it is none.
---@param text string?
---@return integer?
function M.http_date(text)
  local d, mo, y, h, mi, s = (text or ""):match "^%a%a%a, (%d%d) (%a%a%a) (%d%d%d%d) (%d%d):(%d%d):(%d%d) GMT$"
  return d and MONTHS[mo] and seconds(y, MONTHS[mo], d, h, mi, s) or nil
end

--- "2026-11-27T19:07:43.000Z" as seconds since 1970; nil: it is none.
---@param text string?
---@return integer?
function M.iso_date(text)
  local y, mo, d, h, mi, s = (text or ""):match "^(%d%d%d%d)%-(%d%d)%-(%d%d)T(%d%d):(%d%d):(%d%d)%.?%d*Z$"
  return y and seconds(y, mo, d, h, mi, s) or nil
end

--- A time of a shared access signature, "2026-11-27", "2026-11-27T19:07Z" or "2026-11-27T19:07:43Z", as seconds since 1970; nil: it
--- is none.
---@param text string?
---@return integer?
function M.sas_date(text)
  local y, mo, d, rest = (text or ""):match "^(%d%d%d%d)%-(%d%d)%-(%d%d)(.*)$"
  if not y then return nil end
  if rest == "" then return seconds(y, mo, d, 0, 0, 0) end
  local h, mi, s = rest:match "^T(%d%d):(%d%d):?(%d*)%.?%d*Z$"
  return h and seconds(y, mo, d, h, mi, s ~= "" and s or 0) or nil
end

--- A key as the path of a URL: all but unreserved characters (RFC 3986, 2.3) and "/" encoded, as both services sign it.
---@param key string
---@return string
function M.encode(key)
  return (key:gsub("[^%w%-._~/]", function(c) return ("%%%02X"):format(c:byte()) end))
end

--- Why a text is no key, by the rules of engine.store; nil: it is one.
---@param key any
---@param prefix string  what comes before it
---@return string?
function M.key_fault(key, prefix)
  if type(key) ~= "string" then return "expected a string, got " .. type(key) end
  if key == "" or #key + #prefix > 1024 then return "it is empty or over 1024 bytes" end
  if not utf8.len(key) or key:find "%c" then return "it is not UTF-8, or holds a control character" end
  if key:find("\\", 1, true) then return "it holds a backslash" end
  for part in (key .. "/"):gmatch "([^/]*)/" do
    if part == "" or part == "." or part == ".." or #part > 255 then return "a component is empty, \".\", \"..\" or over 255 bytes" end
  end
  return nil
end

--- The first element of the name in an element, or an empty one.
---@param node table
---@param name string
---@return table
function M.child(node, name)
  for _, inner in ipairs(node) do
    if inner.name == name then return inner end
  end
  return { name = name, text = "" }
end

--- The document's first element where the answer is XML; nil: it is not.
---@param reply http.response
---@return table?
function M.document(reply)
  local ok, root = pcall(reply.xml)
  return ok and root or nil
end

--- Text in an XML document.
---@param s string
---@return string
function M.escape(s)
  return (s:gsub("[&<>\"]", { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;", ['"'] = "&quot;" }))
end

--- The secret with one character changed, so that it is as long and of the same alphabet.
---@param secret string
---@return string
function M.changed(secret)
  return (secret:sub(1, 1) == "A" and "B" or "A") .. secret:sub(2)
end

return M
