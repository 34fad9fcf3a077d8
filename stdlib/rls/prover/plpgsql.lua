--- The statements of a PL/pgSQL body, as far as they decide what it returns and which SQL it runs: PostgreSQL manual, chapter 43.
--
-- A hand-written reader of the statements' frame: words at the top level outside of strings, comments, parentheses and CASE. SQL and
-- expressions stay text, for libpg_query. What is not known here is {k = "other"}: nobody concludes anything from it.
local plpgsql = {}

---@class plpgsql.Statement
---@field k "return"|"query"|"assign"|"into"|"if"|"raise"|"perform"|"null"|"block"|"sql"|"execute"|"loop"|"exit"|"other"
---@field text string?      an expression or a statement of SQL
---@field tells string[]?    expressions whose values an error, a notice or how often a loop runs tells
---@field name string?      assign, loop: the variable
---@field names string[]?   into: the variables
---@field branches {test: string?, body: plpgsql.Statement[]}[]?
---@field body plpgsql.Statement[]?
---@field handlers plpgsql.Statement[][]?  takes_all: WHEN OTHERS
---@field declared {name: string, type: string, default: string?}[]?
---@field is_error boolean? raise: does it end the call?

--- Words, strings and signs of a text: {text, from, to, word = lower case}.
local function tokens(text)
  local out, i = {}, 1
  while i <= #text do
    local c = text:sub(i, i)
    local stop, word = i, nil
    if c:find "%s" then
      stop = nil
      i = i + 1
    elseif text:sub(i, i + 1) == "--" then
      stop = nil
      i = (text:find("\n", i, true) or #text) + 1
    elseif text:sub(i, i + 1) == "/*" then
      stop = nil
      i = (select(2, text:find("*/", i, true)) or #text) + 1
    elseif c == "'" or c == '"' then
      local escapes = c == "'" and out[#out] and out[#out].word == "e" and out[#out].to == i - 1
      stop = i
      repeat
        stop = stop + 1
        local d = text:sub(stop, stop)
        if escapes and d == "\\" then stop, d = stop + 1, "" end
        if d == c and text:sub(stop + 1, stop + 1) == c then stop, d = stop + 1, "" end
      until d == c or stop > #text
      if stop > #text then return nil, "a string without an end" end
    elseif c == "$" and text:match("^%$[%a_]*[%w_]*%$", i) then
      local tag = text:match("^%$[%a_]*[%w_]*%$", i)
      stop = select(2, text:find(tag, i + #tag, true))
      if not stop then return nil, "a string without an end" end
    elseif c:find "[%a_]" then
      stop = select(2, text:find("^[%w_$]+", i))
      word = text:sub(i, stop):lower()
    elseif text:find("^:=", i) then
      stop = i + 1
    end
    if stop then
      out[#out + 1] = { text = text:sub(i, stop), from = i, to = stop, word = word }
      i = stop + 1
    end
  end
  return out
end

local Reader = {}
Reader.__index = Reader

local function fail(reason) error({ unread = reason }, 0) end

function Reader:word(ahead)
  local token = self.list[self.at + (ahead or 0)]
  return token and (token.word or token.text) or nil
end

function Reader:accept(word)
  if self:word() ~= word then return false end
  self.at = self.at + 1
  return true
end

function Reader:expect(word)
  if not self:accept(word) then fail(("%s instead of %s"):format(tostring(self:word()), word)) end
end

--- The text up to one of the words at the top level, which is passed over too.
function Reader:upto(stops)
  local depth, cases, first = 0, 0, self.at
  while true do
    local word = self:word()
    if not word then fail("no " .. next(stops)) end
    if depth == 0 and cases == 0 and stops[word] then break end
    if word == "(" or word == "[" then depth = depth + 1 elseif word == ")" or word == "]" then depth = depth - 1 end
    if word == "case" then cases = cases + 1 elseif word == "end" and cases > 0 then cases = cases - 1 end
    self.at = self.at + 1
  end
  local text = self.at > first and self.source:sub(self.list[first].from, self.list[self.at - 1].to) or ""
  self.at = self.at + 1
  return text, first, self.at - 2
end

local SEMICOLON, THEN, LOOP, WHEN = { [";"] = true }, { ["then"] = true }, { loop = true }, { when = true }

local function read_if(self)
  local out = { k = "if", branches = {} }
  repeat
    local test = self:upto(THEN)
    table.insert(out.branches, { test = test, body = self:statements() })
  until not (self:accept "elsif" or self:accept "elseif")
  if self:accept "else" then table.insert(out.branches, { body = self:statements() }) end
  self:expect "end"
  self:expect "if"
  self:expect ";"
  return out
end

--- CASE as IF; without ELSE it is an error where nothing fits.
local function read_case(self)
  local out, operand = { k = "if", branches = {} }, nil
  if self:word() ~= "when" then operand = self:upto(WHEN) else self.at = self.at + 1 end
  repeat
    local test = self:upto(THEN)
    table.insert(out.branches, { test = operand and ("(%s) IN (%s)"):format(operand, test) or test, body = self:statements() })
  until not self:accept "when"
  table.insert(out.branches, { body = self:accept "else" and self:statements()
    or { { k = "raise", text = "", is_error = true, tells = {} } } })
  self:expect "end"
  self:expect "case"
  self:expect ";"
  return out
end

--- The rows that a trigger's function is given.
local FIRED = { new = true, old = true }

--- A statement of SQL without its INTO, and the variables that stand there.
local function without_into(self, first, last)
  local depth, into = 0, nil
  for i = first, last do
    local word = self.list[i].word or self.list[i].text
    if word == "(" then depth = depth + 1 elseif word == ")" then depth = depth - 1 end
    if word == "into" and depth == 0 and self.list[i - 1].word ~= "insert" then into = into or i end
  end
  if not into then return nil end
  local i, names = into + 1, {}
  if self.list[i] and self.list[i].word == "strict" then i = i + 1 end
  while i <= last and self.list[i].word do
    names[#names + 1] = self.list[i].word
    if self.list[i + 1] and self.list[i + 1].text == "." then
      -- A trigger's own row is no variable that anything else here follows.
      if not FIRED[self.list[i].word] or not self.list[i + 2] then fail "INTO a field" end
      names[#names] = ("%s.%s"):format(self.list[i].word, self.list[i + 2].text)
      i = i + 2
    end
    if not (self.list[i + 1] and self.list[i + 1].text == "," and i < last) then break end
    i = i + 2
  end
  local after = i < last and self.source:sub(self.list[i + 1].from, self.list[last].to) or ""
  return self.source:sub(self.list[first].from, self.list[into - 1].to) .. " " .. after, names
end

local function read_return(self)
  if self:word() == "next" then
    self.at = self.at + 1
    local text = self:upto(SEMICOLON)
    return { k = "other", text = text, what = "RETURN NEXT" }
  end
  if self:word() == "query" then
    self.at = self.at + 1
    if self:word() == "execute" then
      self.at = self.at + 1
      return { k = "execute", text = self:upto(SEMICOLON) }
    end
    return { k = "query", text = self:upto(SEMICOLON) }
  end
  return { k = "return", text = self:upto(SEMICOLON) }
end

local LEVELS = { debug = true, log = true, info = true, notice = true, warning = true }
local QUERIES = { select = true, with = true, insert = true, update = true, delete = true, merge = true, values = true }

--- The parts of a list between commas at the top level.
local function parts_of(text)
  local list = tokens(text) or {}
  local out, depth, from = {}, 0, 1
  for _, t in ipairs(list) do
    if t.text == "(" or t.text == "[" then depth = depth + 1 elseif t.text == ")" or t.text == "]" then depth = depth - 1 end
    if t.text == "," and depth == 0 then
      out[#out + 1] = text:sub(from, t.from - 1)
      from = t.to + 1
    end
  end
  out[#out + 1] = text:sub(from)
  return out
end

--- The text before and behind a word at the top level.
local function split_at(text, word)
  local depth, cases = 0, 0
  for _, t in ipairs(tokens(text) or {}) do
    if t.word == word and depth == 0 and cases == 0 then return text:sub(1, t.from - 1), text:sub(t.to + 1) end
    if t.text == "(" or t.text == "[" then depth = depth + 1 elseif t.text == ")" or t.text == "]" then depth = depth - 1 end
    if t.word == "case" then cases = cases + 1 elseif t.word == "end" and cases > 0 then cases = cases - 1 end
  end
  return text, nil
end

--- What RAISE tells: its format's arguments and the values of its options.
local function read_raise(self)
  local level = self:word()
  local text = self:upto(SEMICOLON)
  local head, options = split_at(text, "using")
  local tells, list = {}, parts_of(head)
  for i = 2, #list do tells[#tells + 1] = list[i] end
  for _, option in ipairs(options and parts_of(options) or {}) do
    tells[#tells + 1] = option:match "^%s*[%a_]+%s*:?=%s*(.+)$" or fail "an option of RAISE"
  end
  return { k = "raise", text = text, is_error = not LEVELS[level or ""], tells = tells }
end

--- ASSERT condition, message: both are told.
local function read_assert(self)
  local tells = parts_of(self:upto(SEMICOLON))
  return { k = "raise", text = table.concat(tells, ", "), is_error = false, tells = tells }
end

--- The expressions that say how often a loop runs, and over what.
local function heads_of(word, text)
  if word == "while" then return { text } end
  local list = text:match "^[%w_]+.-%f[%w_][iI][nN]%s+[aA][rR][rR][aA][yY]%f[%W](.*)$"
  if list then return { list } end
  local bounds = text:match "^[%w_]+%s+[iI][nN]%f[%W](.*)$"
  bounds = bounds and bounds:gsub("^%s*[rR][eE][vV][eE][rR][sS][eE]%f[%W]", "")
  local from, to = (bounds or ""):match "^(.-)%.%.(.*)$"
  if not from then return nil end
  local by
  to, by = split_at(to, "by")
  return { from, to, by }
end

local function read_loop(self, word)
  local head = word ~= "loop"
  local text = head and self:upto(LOOP) or nil
  if not head then self:expect "loop" end
  local body = self:statements()
  self:expect "end"
  self:expect "loop"
  self:upto(SEMICOLON)
  local query = text and text:match "^%s*[%w_]+%s+[iI][nN]%s+(.*)$"
  local is_query = query and QUERIES[(query:match "^%(?%s*(%a+)" or ""):lower()]
  local dynamic = query ~= nil and query:lower():find "^execute%f[%W]" ~= nil
  local tells = head and not is_query and not dynamic and heads_of(word, text) or nil
  if head and not is_query and not dynamic and not tells then fail "a loop over what is no query" end
  return { k = "loop", text = is_query and query or nil, name = text and text:match "^%s*([%w_]+)%s+[iI][nN]%f[%W]", dynamic = dynamic,
    body = body, tells = tells }
end

function Reader:statement()
  local word = self:word()
  if word == "begin" or word == "declare" then return self:block() end
  local start = self.at
  self.at = self.at + 1
  if word == "if" then return read_if(self) end
  if word == "case" then return read_case(self) end
  if word == "return" then return read_return(self) end
  if word == "null" then
    self:expect ";"
    return { k = "null" }
  elseif word == "raise" then
    return read_raise(self)
  elseif word == "assert" then
    return read_assert(self)
  elseif word == "perform" then
    return { k = "perform", text = "SELECT " .. self:upto(SEMICOLON) }
  elseif word == "execute" then
    return { k = "execute", text = self:upto(SEMICOLON) }
  elseif word == "for" or word == "while" or word == "foreach" then
    return read_loop(self, word)
  elseif word == "loop" then
    self.at = start
    return read_loop(self, "loop")
  elseif word == "exit" or word == "continue" then
    local _, condition = split_at(self:upto(SEMICOLON), "when")
    return { k = "exit", tells = { condition } }
  elseif self:word() == ":=" or (self:word() == "=" and not QUERIES[word]) then
    self.at = self.at + 1
    return { k = "assign", name = word, text = self:upto(SEMICOLON) }
  elseif FIRED[word] and self:word() == "." and (self:word(2) == ":=" or self:word(2) == "=") then
    local name = ("%s.%s"):format(word, self:word(1))
    self.at = self.at + 3
    return { k = "assign", name = name, text = self:upto(SEMICOLON) }
  end
  self.at = start
  local text, first, last = self:upto(SEMICOLON)
  if not QUERIES[word] then return { k = "other", text = text, what = word } end
  local query, names = without_into(self, first, last)
  if query and word == "select" then return { k = "into", text = query, names = names } end
  return { k = "sql", text = query or text, names = names }
end

local ENDS = { ["end"] = true, ["else"] = true, ["elsif"] = true, ["elseif"] = true, exception = true, when = true }

function Reader:statements()
  local out = {}
  while self:word() and not ENDS[self:word()] do out[#out + 1] = self:statement() end
  return out
end

--- A type's name as the grammar gives it: without quotes it is in lower case.
local function type_of(text)
  return text:find('"', 1, true) and text or text:lower()
end

local function read_declared(self)
  local out = {}
  while self:word() ~= "begin" do
    local name = self:word()
    self.at = self.at + 1
    if self:word() == "constant" then self.at = self.at + 1 end
    local text = self:upto(SEMICOLON)
    local type_name, default = text:match "^(.-)%s*:=%s*(.*)$"
    if not type_name then type_name, default = text:match "^([^=]-)%s*=%s*(.*)$" end
    if not type_name then type_name, default = text:match "^(.-)%s+[dD][eE][fF][aA][uU][lL][tT]%s+(.*)$" end
    out[#out + 1] = { name = name, type = type_of(type_name or text), default = default }
  end
  return out
end

function Reader:block()
  local out = { k = "block", declared = {} }
  if self:accept "declare" then out.declared = read_declared(self) end
  self:expect "begin"
  out.body = self:statements()
  if self:accept "exception" then
    out.handlers = {}
    while self:accept "when" do
      local conditions = self:upto(THEN)
      local handler = self:statements()
      handler.takes_all = conditions:lower():find "%f[%w]others%f[%W]" ~= nil
      table.insert(out.handlers, handler)
    end
  end
  self:expect "end"
  if self:word() and self:word() ~= ";" then self.at = self.at + 1 end
  if not self:accept ";" and self:word() then fail(tostring(self:word()) .. " after END") end
  return out
end

--- Reads a body.
---@param text string  prosrc
---@return plpgsql.Statement? block
---@return string? problem  what was not read
function plpgsql.parse(text)
  local list, problem = tokens(text)
  if not list then return nil, problem end
  local self = setmetatable({ source = text, list = list, at = 1 }, Reader)
  local ok, result = pcall(self.block, self)
  if not ok then
    if type(result) == "table" and result.unread then return nil, "PL/pgSQL: " .. result.unread end
    error(result, 0)
  end
  if self:word() then return nil, "PL/pgSQL: text after its END" end
  return result
end

return plpgsql
