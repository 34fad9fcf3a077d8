--- A policy's text mended: what is not the tenant's goes, and no more. Rows of its own that a session saw it sees, and others it does not.
--
-- PostgreSQL prints every operand of AND and OR in parentheses (pg_get_expr), so that a text is cut at those of its own level without a
-- parser. What says whose a row is stays as it is written: a part of a policy that binds rows to the tenant when it stands alone.
-- T OR x becomes T; T AND y OR x becomes T AND (y OR x); x alone T AND x.
local decide = require "rls.decide"

local mended = {}

local QUOTES = { ["'"] = true, ['"'] = true }

--- Calls fn(position, character) for every character outside of quotes and parentheses.
local function each_outside(text, fn)
  local depth, at = 0, 1
  while at <= #text do
    local c = text:sub(at, at)
    if QUOTES[c] then
      at = text:find(c, at + 1, true) or #text -- a doubled one opens again at once
    elseif c == "(" or c == "[" then
      depth = depth + 1
    elseif c == ")" or c == "]" then
      depth = depth - 1
    elseif depth == 0 then
      fn(at, c)
    end
    at = at + 1
  end
end

--- Without parentheses around the whole.
local function bare(text)
  text = text:match "^%s*(.-)%s*$"
  while text:sub(1, 1) == "(" do
    local outside = false
    each_outside(text, function() outside = true end)
    -- (a) OR (b) has something between them; (a)(b) is no expression.
    if outside or text:sub(-1) ~= ")" then break end
    text = text:sub(2, -2):match "^%s*(.-)%s*$"
  end
  return text
end

--- The operands of AND or OR; the text itself where it is none.
local function operands(text, word)
  text = bare(text)
  local out, first, marks = {}, 1, {}
  each_outside(text, function(at)
    if text:sub(at, at + #word + 1) == " " .. word .. " " then marks[#marks + 1] = at end
  end)
  -- CASE and BETWEEN have words of their own between operands, which nothing encloses.
  if text:find "^CASE%f[%W]" then marks = {} end
  for _, at in ipairs(marks) do
    out[#out + 1], first = bare(text:sub(first, at)), at + #word + 2
  end
  out[#out + 1] = bare(text:sub(first))
  return out
end

local function join(list, word)
  if #list == 1 then return list[1] end
  local parts = {}
  for i, part in ipairs(list) do parts[i] = "(" .. part .. ")" end
  return table.concat(parts, " " .. word .. " ")
end

---@class rls.Mended
---@field is_bound fun(text: string): boolean  does it let through the tenant's own rows alone?
---@field own string?      what says whose a row is

--- The part of a conjunction that binds by itself; nil where none does.
local function binding(world, text)
  for i, part in ipairs(operands(text, "AND")) do
    if world.is_bound(part) then return part, i end
  end
  return nil
end

--- Mends alternatives of which some bind; nil where none does.
local function of_alternatives(world, text)
  local bound, open, whole = {}, {}, false
  for _, part in ipairs(operands(text, "OR")) do
    local list = world.is_bound(part) and bound or open
    list[#list + 1] = part
    whole = whole or (list == bound and #operands(part, "AND") == 1)
  end
  if #bound == 0 then return nil end
  if whole or #open == 0 then return join(bound, "OR") end
  local own, at = binding(world, bound[1])
  if not own then return nil end
  if #bound == 1 then
    local rest = operands(bound[1], "AND")
    table.remove(rest, at)
    table.insert(open, 1, join(rest, "AND"))
    return join({ own, join(open, "OR") }, "AND")
  end
  for _, part in ipairs(open) do bound[#bound + 1] = join({ own, part }, "AND") end
  return join(bound, "OR")
end

--- A text that lets through the tenant's rows alone, and of those what it let through.
---@param world rls.Mended
---@param text string
---@return string? text, nil where it is not known how
function mended.text(world, text)
  if bare(text) == "true" then return world.own end
  local whole = of_alternatives(world, text)
  local parts = operands(text, "AND")
  for i, part in ipairs(not whole and #parts > 1 and parts or {}) do
    local better = of_alternatives(world, part)
    if better then
      parts[i] = better
      whole = join(parts, "AND")
      break
    end
  end
  if whole and world.is_bound(whole) then return whole end
  local narrowed = world.own and join({ world.own, bare(text) }, "AND")
  if narrowed and world.is_bound(narrowed) then return narrowed end
  return world.own
end

--- Does the text say whose a row is, and nothing else?
---@param world rls.Mended
---@param text string?
---@return boolean
function mended.is_plain(world, text)
  return text ~= nil and #operands(text, "OR") == 1 and #operands(text, "AND") == 1 and world.is_bound(text)
end

--- The part of a policy's texts that binds by itself.
local function own_of(world, text)
  for _, part in ipairs(text and operands(text, "OR") or {}) do
    local own = binding(world, part)
    if own then return own end
    for _, deeper in ipairs(operands(part, "AND")) do
      for _, again in ipairs(operands(deeper, "OR")) do
        if again ~= part and world.is_bound(again) then return again end
      end
    end
  end
  return nil
end

--- What is asked of a table's policies.
---@param seen table     of rls.harness.look, with `model`
---@param t rls.Table
---@param p rls.Policy   its own text comes first, then those of the table's others
---@param otherwise string?  what says whose a row is where no policy does
---@return rls.Mended
function mended.world(seen, t, p, otherwise)
  local known = {}
  local world = { is_bound = function(text)
    if known[text] == nil then
      known[text] = decide.binds(seen, t, { name = "gate", permissive = true, applies = true, command = "ALL", roles = { "public" },
        using = text, foreign_operators = p.foreign_operators or {} })
    end
    return known[text]
  end }
  world.own = own_of(world, p.using) or own_of(world, p.check)
  for _, other in ipairs(t.policies) do
    if other.applies then world.own = world.own or own_of(world, other.using) or own_of(world, other.check) end
  end
  world.own = world.own or otherwise
  return world
end

return mended
