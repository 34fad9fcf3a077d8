--- Text as characters of UTF-8 (RFC 3629).
local chars = {}

--- Text in pieces that are no longer than a line may be, cut between characters.
---@param text string   UTF-8
---@param octets integer  of a piece at most
---@param first string  what each piece but the first begins with; it counts
---@return string[]
function chars.pieces(text, octets, first)
  local out, part = {}, ""
  for char in text:gmatch "[%z\1-\x7F\xC2-\xF4][\x80-\xBF]*" do
    if #part + #char > octets then
      out[#out + 1], part = part, first
    end
    part = part .. char
  end
  out[#out + 1] = part
  return out
end

return chars
