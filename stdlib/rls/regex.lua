--- A text that a regular expression matches: what CHECK (code ~ '^[A-Z]{3}-[0-9]{6}$') asks of a canary.
--
-- Parses the common part of PostgreSQL's regular expressions (manual, section 9.7.3): alternatives, groups, bracket expressions, escapes
-- for classes, quantifiers. It only guesses: whether the text does, the server says.
local regex = {}

local CLASSES = { d = "0123456789", w = "abcdefghijklmnopqrstuvwxyz", s = " ", D = "abc", W = "-", S = "abc" }
local NAMED = { alpha = "abcdefgh", digit = "0123456789", alnum = "abcdefgh", upper = "ABCDEFGH", lower = "abcdefgh", xdigit = "0123456789",
  space = " ", punct = "-" }
local ANY = "abcdefghijklmnopqrstuvwxyz0123456789-"

local Parser = {}
Parser.__index = Parser

function Parser:peek() return self.text:sub(self.at, self.at) end

function Parser:pick(chars)
  self.picks = self.picks * 1103515245 + 12345 & 0x7fffffff
  local i = self.seed == 1 and 1 or self.picks % #chars + 1
  return chars:sub(i, i)
end

local function expand(from, to)
  local out = {}
  for byte = from:byte(), math.min(to:byte(), from:byte() + 64) do out[#out + 1] = string.char(byte) end
  return table.concat(out)
end

--- A bracket expression: one of its characters.
function Parser:bracket()
  local negated = self:peek() == "^"
  if negated then self.at = self.at + 1 end
  local chars, first = "", true
  while self:peek() ~= "]" or first do
    if self.at > #self.text then return nil end
    first = false
    local named = self.text:match("^%[:(%a+):%]", self.at)
    local from, to = self.text:match("^([^%]\\])%-([^%]])", self.at)
    if named then
      chars, self.at = chars .. (NAMED[named] or ""), self.at + #named + 4
    elseif from then
      chars, self.at = chars .. expand(from, to), self.at + 3
    elseif self:peek() == "\\" then
      local class = self.text:sub(self.at + 1, self.at + 1)
      chars, self.at = chars .. (CLASSES[class] or class), self.at + 2
    else
      chars, self.at = chars .. self:peek(), self.at + 1
    end
  end
  self.at = self.at + 1
  if negated then
    local rest = ANY:gsub(".", function(c) return chars:find(c, 1, true) and "" or c end)
    chars = rest
  end
  return #chars > 0 and function() return self:pick(chars) end or nil
end

--- One atom, as a function that makes a text for it.
function Parser:atom()
  local c = self:peek()
  self.at = self.at + 1
  if c == "[" then return self:bracket() end
  if c == "(" then
    local prefix = self.text:match("^%?[:=]", self.at)
    if self:peek() == "?" and not prefix then return nil end
    self.at = self.at + (prefix and 2 or 0)
    local inner = self:alternatives()
    if not inner or self:peek() ~= ")" then return nil end
    self.at = self.at + 1
    return inner
  end
  if c == "\\" then
    local class = self:peek()
    self.at = self.at + 1
    if class == "" or class:find "[%dAmMyYZ]" then return nil end
    return function() return CLASSES[class] and self:pick(CLASSES[class]) or class end
  end
  if c == "." then return function() return self:pick(ANY) end end
  if c == "^" or c == "$" then return function() return "" end end
  if c:find "[*+?{]" then return nil end
  return function() return c end
end

function Parser:quantified(make)
  local low, more = self.text:match("^{(%d+),?(%d*)}", self.at)
  local times = 1
  if low then
    self.at = self.text:find("}", self.at, true) + 1
    times = math.min(tonumber(low), 200)
    if times == 0 and more ~= "" then times = 1 end
  elseif self.text:find("^[*+?]", self.at) then
    self.at = self.at + 1
  end
  if self:peek() == "?" then self.at = self.at + 1 end
  return function()
    local out = {}
    for i = 1, times do out[i] = make() end
    return table.concat(out)
  end
end

--- Alternatives; the first one is taken.
function Parser:alternatives()
  local parts, first = {}, nil
  while self.at <= #self.text and self:peek() ~= ")" do
    if self:peek() == "|" then
      self.at = self.at + 1
      first, parts = first or parts, {}
    else
      local make = self:atom()
      if not make then return nil end
      parts[#parts + 1] = self:quantified(make)
    end
  end
  local chosen = first or parts
  return function()
    local out = {}
    for i, make in ipairs(chosen) do out[i] = make() end
    return table.concat(out)
  end
end

--- A text that the expression may match; nil where it is none that this knows.
---@param pattern string
---@param seed integer  other numbers, other texts
---@return string?
function regex.sample(pattern, seed)
  if not pattern:find "[%[%(\\%^%$]" or #pattern > 500 then return nil end
  local parser = setmetatable({ text = pattern, at = 1, seed = seed, picks = seed }, Parser)
  local make = parser:alternatives()
  if not make or parser.at <= #pattern then return nil end
  return make()
end

return regex
