--- Amazon S3's REST API (docs.aws.amazon.com/AmazonS3/latest/API), which other stores speak too. The HTTP client signs.
local hash = require "engine.hash"
local raise = require "internal.raise"
local text = require "internal.stores.text"

local M = { RANGE = "Range" }

local function unreadable(what)
  raise.raise { code = "store_answer", message = ("store: the answer to %s cannot be read"):format(what),
    fix = "see what is between the engine and the store: a proxy, a login page" }
end

---@param key string
---@return string
function M.path(key) return "/" .. text.encode(key) end

--- The service's word for a refusal, and what it says to it.
---@param reply http.response
---@return string?, string?
function M.refusal(reply)
  local root = text.document(reply)
  if not root or root.name ~= "Error" then return nil, nil end
  local code = text.child(root, "Code").text
  return code ~= "" and code or nil, text.child(root, "Message").text
end

function M.put(ask, key, bytes) ask { method = "PUT", path = M.path(key), body = bytes } end

function M.begin(ask, key)
  local root = text.document(ask { method = "POST", path = M.path(key), query = { uploads = "" } })
  local id = root and text.child(root, "UploadId").text or ""
  if id == "" then unreadable("the start of an upload in parts") end
  return { id = id, etags = {} }
end

function M.part(ask, key, upload, bytes)
  local number = #upload.etags + 1
  local reply = ask { method = "PUT", path = M.path(key), query = { partNumber = number, uploadId = upload.id }, body = bytes }
  upload.etags[number] = reply.headers.etag or unreadable "a part"
end

function M.commit(ask, key, upload)
  local parts = {}
  for i, etag in ipairs(upload.etags) do
    parts[i] = ("<Part><PartNumber>%d</PartNumber><ETag>%s</ETag></Part>"):format(i, text.escape(etag))
  end
  local reply = ask { method = "POST", path = M.path(key), query = { uploadId = upload.id },
    body = "<CompleteMultipartUpload>" .. table.concat(parts) .. "</CompleteMultipartUpload>" }
  local root = text.document(reply) -- a failure comes with status 200 too
  if not root or root.name ~= "CompleteMultipartUploadResult" then
    local word, told = M.refusal(reply)
    raise.raise { code = "store_io", status = reply.status, detail = told,
      message = ("store: the parts were not joined: %s"):format(word or "the answer cannot be read") }
  end
end

function M.abort(ask, key, upload) ask { method = "DELETE", path = M.path(key), query = { uploadId = upload.id } } end

--- One page of the keys that begin with a prefix, and what asks for the next; nil: that was the last.
function M.list(ask, prefix, marker)
  local reply = ask { path = "", query = { ["list-type"] = 2, prefix = prefix, ["continuation-token"] = marker or {} } }
  local root = text.document(reply)
  if not root or root.name ~= "ListBucketResult" then unreadable("a list") end
  local out = {}
  for _, node in ipairs(root) do
    if node.name == "Contents" then
      out[#out + 1] = { key = text.child(node, "Key").text, size = math.tointeger(tonumber(text.child(node, "Size").text)) or 0,
        modified = text.iso_date(text.child(node, "LastModified").text) }
    end
  end
  local more = text.child(root, "IsTruncated").text == "true"
  local following = text.child(root, "NextContinuationToken").text
  if more and following == "" then unreadable("a list") end
  return out, more and following or nil
end

--- Says when such credentials end: a session token tells nobody but the service.
function M.about() return nil end

--- Credentials that must be refused, each with what it is. false: none at all.
function M.forgeries(sign)
  local real = sign.sigv4
  local function with(field, value)
    local copy = {}
    for k, v in pairs(real) do copy[k] = v end
    copy[field] = value
    return { sigv4 = copy }
  end
  return {
    { "the secret with one character changed", with("secret_access_key", text.changed(real.secret_access_key)) },
    { "another random secret", with("secret_access_key", hash.hex(hash.random(20))) },
    { "an access key that does not exist", with("access_key_id", "GATE" .. hash.hex(hash.random(8)):upper()) },
    { "a request without a signature", false },
  }
end

return M
