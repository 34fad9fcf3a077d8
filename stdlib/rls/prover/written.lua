--- Rows that a policy asks, written by other hands than the application's own: by functions with their owner's rights that it may call or
-- that its writes fire, and through views with their owner's rights.
--
-- The text of each writer is read (rls.prover.statements), and a session and arguments are looked for with which it writes the very row
-- that a counterexample needs, in the session that it needs. None on any way: it cannot. A way without values: undecided, said so.
local compile = require "rls.prover.compile"
local evaluate = require "rls.prover.evaluate"
local explore = require "rls.prover.explore"
local functions = require "rls.prover.functions"
local problems = require "rls.prover.problem"
local witness = require "rls.prover.witness"

local written = {}

--- Most steps, ways and guesses for one writer and row.
local BUDGET, LEAVES, TRIES = 20000, 16, 300

---@class prover.Writer
---@field name string               as findings name it
---@field by string                 the role with whose rights it writes
---@field f prover.Function?        whose text it is
---@field event string?             of a trigger's function: what it is fired by
---@field on string?                and on which relation
---@field view {columns: table<string, string>, levels: table[], inserts: boolean, oid: string}?  of a view: its columns by those of
---  the table; may the application INSERT into it, or UPDATE it alone?
---@field unread string?            why nothing is known of what it writes
---@field owner prover.Role?        whose rights it has, where policies of the table bind that role; nil: none does
---@field defaults table<string, string>  of the table's columns
---@field sql fun(found: prover.Written): string?  the statement that writes the row

---@class prover.Written
---@field row table       as it is needed
---@field writer prover.Writer
---@field model prover.Model  the arguments it takes

local function column(row, name)
  return { k = "col", t = row.columns[name].t, row = row, name = name, notnull = row.columns[name].notnull }
end

--- What a view lets through: its columns are the writer's to choose, and where it checks so are the conditions of its own.
local function through_view(w, label, input)
  local cx = { input = input, depth = 0, assumes = {}, guarding = {}, current_user = input.role.name }
  local main, all, values = compile.row(label, label:match "[^.]*$", cx), {}, {}
  for name in pairs(w.view.columns) do values[name] = main.columns[name] and column(main, name) or nil end
  for _, level in ipairs(w.view.levels) do
    local nodes = {}
    for name, base in pairs(level.columns) do nodes[name] = main.columns[base] and column(main, base) or nil end
    local scope = { rows = { { alias = level.alias, nodes = nodes } } }
    if level.where then all[#all + 1] = compile.coerce(compile.expr(level.where, scope, cx), "bool") end
  end
  return { out = { { main = main, node = { k = "and", t = "bool", args = all }, write = true, values = values, free = true } }, cx = cx }
end

--- What a writer writes, read once for each role.
---@param input prover.Input
---@param w prover.Writer
---@param label string
---@return {out: prover.Reach[], unread: string?, injection: string?, cx: prover.Context}
function written.walk(input, w, label)
  w.walks = w.walks or {}
  local key = label .. "\0" .. input.role.name
  if w.walks[key] then return w.walks[key] end
  local walk
  if w.unread then
    walk = { out = {}, unread = w.unread }
  elseif w.view then
    walk = through_view(w, label, input)
  else
    local cx = { input = input, depth = 0, assumes = {}, guarding = {} }
    walk = compile.reaches(w.f, w.f.name, cx, function() return {} end, w.event and { event = w.event, label = w.on } or nil, true)
    walk.cx = cx
  end
  w.walks[key] = walk
  return walk
end

--- The value that a column has which an INSERT does not name: a node; nil for one that the server makes up, false for NULL.
local function default_of(w, name, cx)
  local text = w.defaults[name]
  if not text then return false end
  local tree = compile.parse("SELECT " .. text)
  local target = tree and tree.targetList and tree.targetList[1]
  local node = target and compile.expr(target.ResTarget.val, {}, cx)
  return node and node.k ~= "opaque" and node or nil
end

--- What has to be true for the writer to write the row in the model's session; nil where it leaves one of the columns NULL.
local function wanted(p, m, w, reach, item, names, cx)
  local main, all = reach.main, { reach.node }
  for _, name in ipairs(names) do
    local value = item.row[name]
    if value ~= functions.UNKNOWN then
      if not reach.updates and not reach.values[name] then
        local default = default_of(w, name, cx)
        if default == false then return nil end
        if default then all[#all + 1] = compile.equal(column(main, name), default) end
      end
      all[#all + 1] = compile.equal(column(main, name), compile.const(main.columns[name].t, value))
    end
  end
  for _, axis in ipairs(p.axes) do
    local text = m.settings[axis.setting]
    local setting = { k = "setting", t = "text", name = axis.setting, missing_ok = true }
    if text then all[#all + 1] = compile.equal(setting, compile.const("text", text)) end
  end
  if w.owner then
    local own = { input = setmetatable({ role = w.owner }, { __index = p.input }), depth = 0, current_user = w.owner.name, assumes = {},
      guarding = {} }
    all[#all + 1] = compile.combine(main.info, reach.updates and "UPDATE" or "INSERT", "check", { rows = { main } }, own)
  end
  return { k = "and", t = "bool", args = all }
end

--- Looks for a model in which the node is true. Returns it, or why it is not known that there is none.
local function search(p, m, main, node, cx)
  local input = setmetatable({ relation = main.label }, { __index = p.input })
  local q = problems.new(input, main.info, "INSERT", "check", p.restricted, p.hidden, { main = main, node = node, cx = cx })
  if not q.path then return nil, "whose its rows are is not known" end
  local function check(found)
    for _, axis in ipairs(p.axes) do
      if found.settings[axis.setting] ~= m.settings[axis.setting] then return false end
    end
    return evaluate.node(node, { [main] = found.row }, found) == true
  end
  local x, leaves, tries, made, why = explore.new(q, BUDGET), 0, 0, nil, nil
  local ok, raised = pcall(x.run, x, node, function()
    leaves = leaves + 1
    local found, terms = witness.model(x)
    if check(found) then made = found end
    if not made then
      witness.variants(terms, {}, p.input.types, function(pins)
        tries = tries + 1
        local guess = witness.model(x, pins)
        made = made or check(guess) and guess or nil
        return made ~= nil or tries > TRIES
      end)
    end
    local note = x.notes[x.n.notes > 0 and 1 or 0]
    why = why or (note and "it depends on " .. note) or "no values were found, and no proof"
    if made or leaves >= LEAVES then error({ stop = true }, 0) end
  end)
  if not ok and not (type(raised) == "table" and (raised.stop or raised.too_many)) then error(raised, 0) end
  return made, not made and (not ok and raised.too_many and "too many cases" or why) or nil
end

--- Does an UPDATE set one of the columns that matter? What it leaves as it is has to be there before.
local function sets_one(reach, names)
  for _, name in ipairs(names) do
    if reach.values[name] then return true end
  end
  return #names == 0
end

--- Who else may write a row that the application may not write itself.
---@param p table           the problem
---@param m prover.Model    of the counterexample
---@param item {label: string, row: table}
---@param names string[]    columns of it that matter
---@return prover.Written? found
---@return {writer: prover.Writer, reason: string}? undecided
function written.find(p, m, item, names)
  local undecided
  local function note(w, reason) undecided = undecided or reason and { writer = w, reason = reason } or nil end
  for _, w in ipairs(p.input.writers and p.input.writers(item.label) or {}) do
    local walk = written.walk(p.input, w, item.label)
    for _, reach in ipairs(walk.out) do
      local node = reach.write and reach.main.label == item.label and (not reach.updates or sets_one(reach, names))
        and wanted(p, m, w, reach, item, names, walk.cx)
      if node then
        local model, why = search(p, m, reach.main, node, walk.cx)
        if model then return { row = item.row, writer = w, model = model } end
        if not reach.secret then note(w, why) end
      end
    end
    note(w, walk.injection or walk.unread)
  end
  return nil, undecided
end

return written
