--- Azure Blob Storage's REST API (learn.microsoft.com/rest/api/storageservices), block blobs. The HTTP client signs.
local hash = require "engine.hash"
local raise = require "internal.raise"
local text = require "internal.stores.text"

local M = { RANGE = "x-ms-range" }

---@param key string
---@return string
function M.path(key) return "/" .. text.encode(key) end

--- The service's word for a refusal, and what it says to it.
---@param reply http.response
---@return string?, string?
function M.refusal(reply)
  local root = text.document(reply)
  local told = root and root.name == "Error" and text.child(root, "Message").text:match "^[^\n]*" or nil
  local word = reply.headers["x-ms-error-code"] or root and root.name == "Error" and text.child(root, "Code").text
  local detail = root and text.child(root, "AuthenticationErrorDetail").text or ""
  if word == "AuthenticationFailed" and detail:find("date header too old", 1, true) then return "RequestTimeTooSkewed", detail end
  if word == "AuthenticationFailed" and detail:find("Signed expiry time", 1, true) then return "ExpiredToken", told end
  return word or nil, told
end

function M.put(ask, key, bytes)
  ask { method = "PUT", path = M.path(key), body = bytes, headers = { ["x-ms-blob-type"] = "BlockBlob" } }
end

--- Blocks are named by their number and by what tells this upload's from another's.
function M.begin(_, _) return { mark = hash.hex(hash.random(8)), blocks = {} } end

function M.part(ask, key, upload, bytes)
  local id = hash.base64(("%s%08d"):format(upload.mark, #upload.blocks + 1))
  ask { method = "PUT", path = M.path(key), query = { comp = "block", blockid = id }, body = bytes }
  upload.blocks[#upload.blocks + 1] = id
end

function M.commit(ask, key, upload)
  local list = {}
  for i, id in ipairs(upload.blocks) do list[i] = "<Latest>" .. text.escape(id) .. "</Latest>" end
  ask { method = "PUT", path = M.path(key), query = { comp = "blocklist" },
    body = '<?xml version="1.0" encoding="utf-8"?><BlockList>' .. table.concat(list) .. "</BlockList>" }
end

--- Blocks that no list names end by themselves, after a week.
function M.abort() end

--- One page of the keys that begin with a prefix, and what asks for the next; nil: that was the last.
function M.list(ask, prefix, marker)
  local reply = ask { path = "", query = { restype = "container", comp = "list", prefix = prefix, marker = marker or {} } }
  local root = text.document(reply)
  if not root or root.name ~= "EnumerationResults" then
    raise.raise { code = "store_answer", message = "store: the answer to a list cannot be read",
      fix = "see what is between the engine and the store: a proxy, a login page" }
  end
  local out = {}
  for _, node in ipairs(text.child(root, "Blobs")) do
    if node.name == "Blob" then
      local about = text.child(node, "Properties")
      out[#out + 1] = { key = text.child(node, "Name").text, size = math.tointeger(tonumber(text.child(about, "Content-Length").text)) or 0,
        modified = text.http_date(text.child(about, "Last-Modified").text) }
    end
  end
  local following = text.child(root, "NextMarker").text
  return out, following ~= "" and following or nil
end

--- What a shared access signature says of itself (learn.microsoft.com: create-service-sas), without what signs it; nil: it is none.
---@param sign table
---@return {begins: string?, ends: string?, allows: string?}?  st and se as they stand there, sp
function M.about(sign)
  if not sign.azure_sas then return nil end
  local fields = {}
  for name, value in sign.azure_sas:gsub("^%?", ""):gmatch "([^&=]+)=([^&]*)" do
    fields[name] = value:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  end
  return { begins = fields.st, ends = fields.se, allows = fields.sp }
end

--- Credentials that must be refused, each with what it is. false: none at all.
function M.forgeries(sign)
  local out = { { "a request without a signature", false } }
  if sign.azure_key then
    local real = sign.azure_key
    local function with(account, key) return { azure_key = { account = account, key = key } } end
    table.insert(out, 1, { "the account key with one character changed", with(real.account, text.changed(real.key)) })
    table.insert(out, 2, { "another random account key", with(real.account, hash.base64(hash.random(64))) })
    table.insert(out, 3, { "the key under another account's name", with("gate" .. hash.hex(hash.random(6)), real.key) })
  else
    local function sas(change) return { azure_sas = (sign.azure_sas:gsub("(sig=)([^&]*)", function(name, value)
      return name .. change(value)
    end, 1)) } end
    table.insert(out, 1, { "the signature with one character changed", sas(text.changed) })
    table.insert(out, 2, { "another random signature", sas(function()
      return (hash.base64(hash.random(32)):gsub("[+/=]", { ["+"] = "%2B", ["/"] = "%2F", ["="] = "%3D" }))
    end) })
  end
  return out
end

return M
