--- Rows of another tenant that satisfy policies which the prover leaves undecided, looked for on the server.
--
-- The prover computes with texts, whole numbers, UUIDs and truths. What a policy makes of dates, numerics, documents, or of arithmetic with
-- the tenant's key, the server computes itself: as the application, with a tenant set, it evaluates the policies' text over rows that
-- exist in the query alone, made of candidates for the columns that the text names. Keys of the other tenant are near the own one or
-- congruent with it: one more, ten times as much, in the same ten, with the same low bits. Settings whose names are made of the key are
-- tried, and schemas that the text names as the first of the search path. A row that passes is a counterexample, and tried as one
-- (rls.trials). None found proves nothing. Nothing is written, and all is rolled back.
local axes = require "rls.axes"
local combine = require "rls.prover.combine"
local mentions = require "rls.mentions"
local names = require "rls.names"
local session = require "rls.session"
local values = require "rls.values"

local hunt = {}

--- Most rows in one query, and candidates of a column.
local MOST, CANDIDATES = 40000, 60
--- Most conditions that are looked at.
local SEARCHES = 150

local NUMBERS = { int2 = true, int4 = true, int8 = true, numeric = true, float4 = true, float8 = true }
local TEXTS = { text = true, varchar = true, bpchar = true, citext = true, name = true }

--- Own keys, each with keys of other tenants that a lax comparison takes for it.
local function keys_of(base)
  local out = {}
  if NUMBERS[base] then
    local function add(own, ...)
      local others = { own + 1, own + 2, own * 10, own + 16, own + 100, own + 1000, own * 1000, -own, ... }
      if base == "int2" then others = { own + 1, own + 2, own * 10, own + 16, -own } end
      for i, key in ipairs(others) do others[i] = tostring(key) end
      out[#out + 1] = { own = tostring(own), others = others }
    end
    add(21, 21 + 65536, 21 + 256)
    add(3)
    if base ~= "int2" then
      add(65537, 1, 65536)
      add(16777216)
    end
  elseif TEXTS[base] then
    out[1] = { own = "ab", others = { "AB", "Ab", " ab", "ab ", "ab1", "abc", "a", "b", "ba", "xab", "ab,cd", "a%", "_b", "a-b" } }
    out[2] = { own = "7", others = { "70", "17", "77", "8" } }
    out[3] = { own = "abcdefghijklmnopqrst1", others = { "abcdefghijklmnopqrst2", "abcdefghij", "abcdefghijklmnopqrst12" } }
  elseif base == "uuid" then
    out[1] = { own = "a0000000-0000-4000-8000-00000000000a", others = { "a0000000-0000-4000-8000-00000000000b",
      "b0000000-0000-4000-8000-00000000000a", "b1b2b3b4-c5c6-4789-8abc-def012345678" } }
  end
  return out
end

--- Values of a column besides those that the text speaks of.
local MORE = {
  N = { "1000000000", "-1000000000", "30000", "7", "0.001" },
  D = { "-infinity", "infinity", "1999-06-15", "2010-06-15", "2015-06-15", "2019-06-15", "2020-06-15", "2022-06-15", "2030-06-15" },
  T = { "1000 years", "-1000 years" },
}

--- Documents with the members that a text compares: each of its literals once a key, once a value.
local function documents(text)
  local words, out = {}, {}
  for word in text:gmatch "'([^']*)'" do words[#words + 1] = word end
  for i = 1, math.min(#words, 8) do
    for j = 1, math.min(#words, 8) do
      if i ~= j and #out < 30 then
        local key, value = words[i]:gsub('[\\"%c]', ""), words[j]:gsub('[\\"%c]', "")
        out[#out + 1] = ('{"%s": "%s"}'):format(key, value)
        if value == "true" or value:find "^%d+$" then out[#out + 1] = ('{"%s": %s}'):format(key, value) end
      end
    end
    out[#out + 1] = ('{"%s": true}'):format((words[i]:gsub('[\\"%c]', "")))
  end
  return out
end

local function candidates(conn, c, text, most)
  local list, seen = {}, {}
  local function add(value)
    if not seen[value] and #list < CANDIDATES then
      seen[value] = true
      list[#list + 1] = names.literal(value)
    end
  end
  for _, value in ipairs(c.base == "jsonb" and documents(text) or {}) do add(value) end
  for _, value in ipairs(MORE[c.category] or {}) do add(value) end
  for _, value in ipairs(values.candidates(c, { text })) do add(value) end
  local out = values.valid(conn, c.type, list)
  out = table.move(out, 1, math.min(#out, most), 1, {})
  if not c.notnull then out[#out + 1] = "NULL::" .. c.type end
  return out
end

--- What the policies say of a command's phase, as one condition; nil where nothing is allowed.
local function condition(info, command, phase, role)
  local permissive, restrictive = combine.select(info, command, phase, role)
  local any, all = {}, {}
  for i, item in ipairs(permissive) do any[i] = "(" .. item.text .. ")" end
  if #any == 0 then return nil end
  all[1] = "(" .. table.concat(any, " or ") .. ")"
  for _, item in ipairs(restrictive) do all[#all + 1] = "(" .. item.text .. ")" end
  return table.concat(all, " and ")
end

--- The columns that a condition names, without the tenant's.
local function named(t, text)
  local out = {}
  for _, c in ipairs(t.columns) do
    if c.name ~= t.tenant and not c.generated and mentions.name(text:lower(), c.name) then out[#out + 1] = c end
  end
  return out
end

--- The query of a row that passes: the columns of the table, those that nothing names NULL.
local function query(t, text, columns, lists, keys)
  local from, given, out = {}, {}, {}
  local own = t.by_column[t.tenant]
  local rows = {}
  for i, key in ipairs(keys.others) do rows[i] = ("(%s::%s)"):format(names.literal(key), own.type) end
  from[1] = ("(values %s) gate_key(%s)"):format(table.concat(rows, ", "), names.ident(t.tenant))
  given[t.tenant] = true
  for i, c in ipairs(columns) do
    local list = {}
    for j, literal in ipairs(lists[i]) do list[j] = "(" .. literal .. ")" end
    from[#from + 1] = ("(values %s) gate_%d(%s)"):format(table.concat(list, ", "), i, names.ident(c.name))
    given[c.name] = true
  end
  for _, c in ipairs(t.columns) do
    out[#out + 1] = given[c.name] and names.ident(c.name) or ("NULL::%s as %s"):format(c.type, names.ident(c.name))
  end
  local shown = { ("%s::text as key"):format(names.ident(t.tenant)) }
  for i, c in ipairs(columns) do shown[#shown + 1] = ("%s::text as v%d"):format(names.ident(c.name), i) end
  local where = { text, ("%s <> %s::%s"):format(names.ident(t.tenant), names.literal(keys.own), own.type) }
  for _, check in ipairs(t.checks) do
    local asked = check.definition:match "^CHECK (%b())"
    if asked and not check.definition:find "%f[%w_]VALUE%f[^%w_]" then where[#where + 1] = ("(%s) is not false"):format(asked) end
  end
  return ("select %s from (select %s from %s) %s where %s limit 1"):format(table.concat(shown, ", "), table.concat(out, ", "),
    table.concat(from, " cross join "), names.ident(t.name), table.concat(where, " and "))
end

--- Settings besides the tenant's that the session may make: those whose names are made of the row's key, and the search path.
---@return {make: fun(key: string): string[][], all: string[][]}[]
local function sessions(text, keys)
  local out = { { all = {}, make = function() return {} end } }
  local prefix = text:match "current_setting%(%(*'([%w_]+%.[%w_.]*)'::text %|%|"
  local words = { "t", "true", "1" }
  for word in text:gmatch "'([%w_]+)'::text" do words[#words + 1] = word end
  for i = 1, prefix and math.min(#words, 8) or 0 do
    local all = {}
    for _, key in ipairs(keys.others) do all[#all + 1] = key:find "^[%w_]+$" and { prefix .. key, words[i] } or nil end
    out[#out + 1] = { all = all, make = function(key) return { { prefix .. key, words[i] } } end }
  end
  if text:find("current_schema", 1, true) then
    for word in text:gmatch "'([%w_]+)'" do
      local path = { { "search_path", word } }
      out[#out + 1] = { all = path, make = function() return path end }
    end
  end
  return out
end

--- Asks the server in one session.
local function ask(conn, options, t, own_key, settings, sql)
  local found
  local own = session.new(conn, t.axis or axes.list(options.settings)[1], options)
  conn:transaction(function()
    conn:script "set local statement_timeout = '5s'; set local lock_timeout = '2s'; set local jit = off"
    own:as_application()
    own:set(own:of(own_key))
    own:set(settings)
    local ok, _, rows = conn:try(sql)
    found = ok and rows[1] or nil
  end, { rollback = true })
  return found, own:of(own_key)
end

--- A row that passes under one of the own keys: what was found, its columns, the keys, the session's settings, and those besides the
--- tenant's; nil for none.
local function search(conn, options, t, text)
  -- The text of the query would hold what the policy looks for in it.
  if text:find("current_query", 1, true) then return nil end
  local columns, lists = named(t, text), {}
  local most = math.max(2, math.floor((MOST / 16) ^ (1 / math.max(1, #columns))))
  for i, c in ipairs(columns) do
    lists[i] = candidates(conn, c, text, most)
    if #lists[i] == 0 then return nil end
  end
  for _, keys in ipairs(keys_of(t.by_column[t.tenant].base)) do
    local sql = query(t, text, columns, lists, keys)
    for _, one in ipairs(sessions(text, keys)) do
      local found, pairs_ = ask(conn, options, t, keys.own, one.all, sql)
      if found then return found, columns, keys, pairs_, one.make(found.key) end
    end
  end
  return nil
end

--- The counterexample that a row is.
local function verdict(t, phase, found, columns, keys, pairs_, more)
  local row, told, statements, settings, needed = { [t.tenant] = found.key }, {}, {}, {}, {}
  for _, pair in ipairs(more) do
    told[#told + 1] = ("%s = %s"):format(pair[1], names.literal(pair[2]))
    needed[#needed + 1] = pair[1]
  end
  for i, c in ipairs(columns) do
    local value = found["v" .. i]
    row[c.name] = value
    told[#told + 1] = ("the row's %s = %s"):format(c.name, value and names.literal(value) or "NULL")
  end
  if #told == 0 then
    told[1] = ("the row's %s = %s, where the own tenant is %s"):format(t.tenant, names.literal(found.key), names.literal(keys.own))
  end
  pairs_ = table.move(more, 1, #more, #pairs_ + 1, { table.unpack(pairs_) })
  for _, pair in ipairs(pairs_) do
    statements[#statements + 1] = ("SELECT set_config(%s, %s, false);"):format(names.literal(pair[1]), names.literal(pair[2]))
    settings[pair[1]:lower()] = pair[2]
  end
  local class = #columns == 0 and "policy_loose_match" or "policy_leak"
  if phase == "check" then class = "policy_write_unchecked" end
  if #needed > 0 then class = "policy_escape_setting" end
  return { status = "counterexample", decided_by = "policies", class = class, text = table.concat(told, ", "), statements = statements,
    settings = needed, also = {}, assignment = { settings = settings, row = row, rows = {}, own = { keys.own } } }
end

--- The phase of an undecided command that is looked at: what an UPDATE makes of its rows is not.
local function phase_of(command, v)
  local phase = command == "INSERT" and "check" or "using"
  local one = (v.phases or {})[phase] or v
  return one.status == "unknown" and not (v.hijacked and not v.hijacked.in_vain) and phase or nil
end

--- Looks for counterexamples of what is undecided, and puts them in its place.
---@param conn table               the admin's
---@param decisions rls.Decision[]
---@param tables table<string, prover.Table>
---@param options {role: string, superuser: boolean, settings: table}
function hunt.run(conn, decisions, tables, options)
  local searches, known = 0, {}
  for _, d in ipairs(decisions) do
    local t, several = d.table, 0
    for _ in pairs(t.axes or {}) do several = several + 1 end
    local column = t.tenant and t.by_column[t.tenant]
    local fits = column and not column.generated and several <= 1 and not d.role.via
    for command, v in pairs(fits and d.verdicts or {}) do
      local phase = v.status == "unknown" and phase_of(command, v)
      local text = phase and condition(tables[t.label], command, phase, d.role)
      local key = text and t.oid .. "\0" .. text
      if text and (known[key] or searches < SEARCHES) then
        if not known[key] then
          searches = searches + 1
          known[key] = { search(conn, options, t, text) }
        end
        if known[key][1] then
          local one = verdict(t, phase, table.unpack(known[key]))
          one.phases = { [phase] = one }
          d.verdicts[command] = one
          t.decided[command], t.reasons[command], t.named[command] = one.status, nil, true
        end
      end
    end
  end
end

return hunt
