--- Mail messages as text (RFC 5322, RFC 2045 to 2047): made, never read. All that is not plain ASCII is encoded, so that no value can
--- end a line and begin a header of its own.
local chars = require "chars"
local hash = require "hash"

local mime = {}

local LINE = 76 -- RFC 2045, 6.8
local WORD = 45 -- bytes of UTF-8 in an encoded word: its 75 characters (RFC 2047, 2) less "=?UTF-8?B?" and "?=", three of four

--- Base64 in lines.
local function lines_of(bytes)
  return (hash.base64(bytes):gsub(("."):rep(LINE), "%0\r\n"):gsub("\r\n$", ""))
end

--- A header's value: as it is where it is plain, else as encoded words, cut between characters.
---@param text string  UTF-8
---@return string
function mime.word(text)
  if text:find "^[%w %.,:()/'+_-]*$" and #text <= 60 then return text end
  local out = chars.pieces(text, WORD, "")
  for i, piece in ipairs(out) do out[i] = "=?UTF-8?B?" .. hash.base64(piece) .. "?=" end
  return table.concat(out, "\r\n ")
end

--- Is it an address that can be sent to without quoting and without SMTPUTF8?
---@param text string
---@return boolean
function mime.is_address(text)
  return #text <= 254 and text:find "^[%w!#$%%&'*+/=?^_`{|}~.-]+@[%w.-]+$" ~= nil
end

local function part_of(part)
  local head = { "Content-Type: " .. part.type, "Content-Transfer-Encoding: base64" }
  if part.file then head[#head + 1] = ('Content-Disposition: attachment; filename="%s"'):format(part.file) end
  return table.concat(head, "\r\n") .. "\r\n\r\n" .. lines_of(part.bytes)
end

--- Parts as a multipart entity; a boundary stands in no base64, so it needs no search.
local function multipart(kind, parts)
  local boundary = "=_" .. hash.hex(hash.random(16))
  local out = { ('Content-Type: multipart/%s; boundary="%s"'):format(kind, boundary), "" }
  for _, part in ipairs(parts) do
    out[#out + 1] = "--" .. boundary
    out[#out + 1] = type(part) == "string" and part or part_of(part)
  end
  out[#out + 1] = "--" .. boundary .. "--"
  return table.concat(out, "\r\n")
end

---@class mime.part
---@field type string   its Content-Type
---@field bytes string
---@field file string?  a plain file name: then it is an attachment

--- A message: alternatives of one text, the plainest first, and attachments.
---@param head {from: string, to: string[], subject: string, date: string, message_id: string}  addresses; date as RFC 5322 writes it
---@param alternatives mime.part[]
---@param attachments mime.part[]
---@return string message  lines end with CRLF
function mime.message(head, alternatives, attachments)
  local parts = { multipart("alternative", alternatives) }
  for _, part in ipairs(attachments) do parts[#parts + 1] = part end
  return table.concat({
    "Date: " .. head.date,
    "From: " .. head.from,
    "To: " .. table.concat(head.to, ",\r\n "),
    "Message-ID: " .. head.message_id,
    "Subject: " .. mime.word(head.subject),
    "Auto-Submitted: auto-generated", -- RFC 3834: no vacation message answers it
    "MIME-Version: 1.0",
    multipart("mixed", parts),
    "",
  }, "\r\n")
end

return mime
