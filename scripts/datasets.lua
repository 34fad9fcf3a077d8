-- Golden datasets: what there is, whether it is still what its manifest says, and new ones.
--
--   gate-engine run datasets                                                     lists them
--   gate-engine run datasets --action validate                                   hashes still match, injected plans still fail as they say
--   gate-engine run datasets --action drift --root ./datasets                    the solver's KPIs against thresholds and expectations
--   gate-engine run datasets --action create --to ./datasets/my_week             a manifest for the input that lies there
--   gate-engine run datasets --action update --to ./datasets/my_week --note "…"  a new version: major for a new input, minor for new
--                                                                                expectations, patch for a note
local golden = require "packs.golden_dataset"
local errors = require "errors"
local hash = require "hash"
local json = require "json"
local operation = require "operation"
local outside = require "packs.outside"

local LEVELS = { OK = 0, UNKNOWN = 0, WARNING = 1, CRITICAL = 2 }

local function ask(ctx)
  return function(pack, request) return ctx.solver:solve(pack, request).output end
end

--- Runs fn for each dataset beneath the root; what is wrong with one is said, and the others are looked at all the same.
---@return integer datasets, string[] wrong
local function each(ctx, fn)
  local wrong, found = {}, golden.find(ctx.files.root)
  for _, prefix in ipairs(found) do
    local name = prefix == "" and "." or prefix:sub(1, -2)
    local ok, problems = pcall(fn, name, golden.beneath(ctx.files.root, prefix))
    if not ok then
      if not errors.is(problems) then error(problems, 0) end
      problems = { problems.message }
    end
    for _, text in ipairs(problems) do
      wrong[#wrong + 1] = ("%s: %s"):format(name, text)
      ctx:say(wrong[#wrong])
    end
  end
  if #found == 0 then ctx:refuse("no_datasets", { object = "--root" }) end
  return #found, wrong
end

local actions = {}

function actions.list(ctx)
  local n = each(ctx, function(name, store)
    local m = golden.read(store, outside.of(ctx)).manifest
    local failure = type(m.expected_failure) == "string" and ", fails " .. m.expected_failure or ""
    ctx:say(("%s  %s %s%s  [%s]"):format(name, tostring(m.pack), tostring(m.version), failure,
      table.concat(type(m.tags) == "table" and m.tags or {}, " ")))
    return {}
  end)
  ctx:unchanged(("%d datasets"):format(n))
end

function actions.validate(ctx)
  local n, wrong = each(ctx, function(_, store)
    local d = golden.read(store, outside.of(ctx))
    return golden.problems(d.plan and golden.solve(d) or d)
  end)
  if #wrong > 0 then ctx:refuse("not_as_said", { object = wrong[1], detail = ("%d differences"):format(#wrong) }) end
  ctx:unchanged(("%d datasets are what their manifests say"):format(n))
end

function actions.drift(ctx)
  local worst, worst_text, n, wrong = 0, nil, 0, {}
  ctx:step("Ask the solver for every dataset's plan", function()
    n, wrong = each(ctx, function(name, store)
      local d = golden.solve(golden.read(store, outside.of(ctx)), ask(ctx))
      local problems = golden.problems(d)
      local drift = type(d.drift) == "table" and (", drift %.1f %s"):format(d.drift.score, d.drift.level) or ""
      ctx:say(("%s: %s%s"):format(name, #problems == 0 and "as expected" or "differs", drift))
      for _, t in ipairs(d.failure and {} or d.thresholds or {}) do
        if LEVELS[t.level] > 0 then ctx:say(("%s: %s %s: %s"):format(name, t.level, t.kpi, t.detail)) end
        if LEVELS[t.level] > worst then worst, worst_text = LEVELS[t.level], ("%s, %s: %s"):format(name, t.kpi, t.detail) end
      end
      if type(d.drift) == "table" and d.drift.level == "INCIDENT" then worst, worst_text = 2, name .. drift end
      return problems
    end)
  end)
  if worst >= 2 then ctx:refuse("drifted", { object = worst_text }) end
  if #wrong > 0 then ctx:refuse("not_as_said", { object = wrong[1], detail = ("%d differences in %d datasets"):format(#wrong, n) }) end
end

--- What lies in --to, as it is now: an older manifest is kept out of the way of a new input.
local function present(ctx)
  local store = ctx.files.to
  local has = golden.beneath(store, "")
  local old
  for _, item in ipairs(has:list()) do
    if item.key == "manifest.json" then old = json.decode(has:get "manifest.json") end
  end
  local matrix
  for _, item in ipairs(has:list()) do
    if item.key == "matrix.csv" then matrix = hash.sha256(has:get "matrix.csv") end
  end
  local d = golden.read(golden.beneath(store, "", { ["manifest.json"] = true }), outside.of(ctx))
  if old and math.type(old.seed) == "integer" then d.seed = old.seed end
  return d, old, matrix
end

local function name_of(ctx) return ctx.options.to.path:match "([^/]+)/*$" end

local function tags_of(ctx)
  local tags = {}
  for tag in ctx.options.tags:gmatch "[^,%s]+" do tags[#tags + 1] = tag end
  return tags
end

local function need_place(ctx)
  if not ctx.options.to then ctx:refuse("place_missing", { object = ctx.options.action }) end
end

function actions.create(ctx)
  need_place(ctx)
  local d, old, matrix = present(ctx)
  if old then ctx:refuse("exists", { object = name_of(ctx) }) end
  ctx:step(("Write manifest.json of %s, version 1.0.0"):format(name_of(ctx)), function()
    golden.solve(d, ask(ctx))
    local note = ctx.options.note ~= "" and ctx.options.note or nil
    ctx.files.to:put("manifest.json", golden.text(golden.manifest(d, { name = name_of(ctx), version = "1.0.0", note = note,
      tags = tags_of(ctx), matrix_sha256 = matrix })))
    if d.failure then ctx:say(("it fails %s: that is now its expected failure"):format(d.failure)) end
  end)
end

function actions.update(ctx)
  need_place(ctx)
  local d, old, matrix = present(ctx)
  if not old then ctx:refuse("not_there", { object = name_of(ctx) }) end
  ctx:step(("Write manifest.json of %s anew where something changed"):format(name_of(ctx)), function()
    golden.solve(d, ask(ctx))
    local new = golden.manifest(d, { name = old.name or name_of(ctx), version = old.version, matrix_sha256 = matrix,
      note = ctx.options.note ~= "" and ctx.options.note or old.note, tags = ctx.options.tags ~= "" and tags_of(ctx) or old.tags })
    local change = golden.change(old, new)
    if not change then
      ctx:say("nothing changed: it stays version " .. tostring(old.version))
      return
    end
    new.version = golden.next_version(tostring(old.version), change)
    ctx.files.to:put("manifest.json", golden.text(new))
    ctx:say(("version %s is now %s (%s)"):format(old.version, new.version, change))
  end)
end

return operation.define {
  api     = 1,
  id      = "datasets",
  name    = "Golden datasets",
  purpose = "Lists golden datasets, checks them, makes new ones and new versions",
  pass    = "The datasets are dealt with",
  needs   = { solver = true, stores = { "matrix" } },
  options = {
    action = { type = "enum", choices = { "list", "validate", "create", "update", "drift" }, default = "list", help = "what to do" },
    root   = { type = "path", access = "read", default = "datasets", search = { "stdlib" }, help = "where datasets are looked for" },
    to     = { type = "path", access = "write", help = "the dataset that create and update write; its input lies there" },
    note   = { type = "string", default = "", help = "what is to be known of it" },
    tags   = { type = "string", default = "", help = "its tags, with commas between them" },
  },

  failures = {
    no_datasets = { text = "There is no dataset beneath %s", fix = "Name a directory with manifest.json files: --root DIR" },
    not_as_said = { text = "A dataset is not what its manifest says: %s",
      fix = "Restore it, or make it a new version: --action update --to DIR" },
    drifted = { text = "A dataset's KPIs are critical: %s",
      fix = "Compare the plans; update the dataset only when the new result is right" },
    place_missing = { text = "--action %s needs --to", fix = "Name the dataset's directory, with its input in it: --to DIR" },
    exists = { text = "Dataset %s has a manifest already", fix = "Make a new version of it: --action update" },
    not_there = { text = "Dataset %s has no manifest", fix = "Make it first: --action create" },
  },

  run = function(ctx) actions[ctx.options.action](ctx) end,
}
