--- A solver that is reached through the platform alone, by its API or by an adapter that the operators wrote: it can be asked again, and
--- nothing about it can be changed from here.
--
-- The forecast is uploaded once, into the tenant for validations; every run is one more plan of it, and must be one: a plan that was
-- made before proves nothing. Needs endpoints = { "platform" }, and db = { "app" } for adapters that use it.

local adapters = require "platform.adapter"
local errors = require "errors"
local json = require "json"
local perturb = require "determinism.perturb"
local task = require "task"

local M = {}

--- By what the platform is reached, in texts.
local WAYS = { http = "API", adapter = "adapter" }
local WHY = "the platform's solver runs where the platform has it: through its %s it is only asked again"
local AGAIN = "the same question once more, through the platform's %s"

--- Does the configuration say that plans are made by the platform, through its API or the operators' adapter?
---@param ctx table
---@return "http"|"adapter"|nil way
function M.configured(ctx)
  local solver = ctx.config.solver
  return type(solver) == "table" and WAYS[solver.kind] and solver.kind or nil
end

--- The conditions of a run, for people.
---@param number integer  from 1
---@param way "http"|"adapter"
---@return string
function M.condition(number, way)
  return number == 1 and "as the platform has it" or AGAIN:format(WAYS[way])
end

--- Every condition, with why it could not be made.
---@param way "http"|"adapter"
---@return table<string, string>
function M.not_applied(way)
  local out = {}
  for _, run in ipairs { 2, 3 } do
    for _, part in ipairs(perturb.parts(run)) do out[part.name] = WHY:format(WAYS[way]) end
  end
  return out
end

--- What can be said of a difference that cannot be looked into.
---@param different integer  of the runs
---@param runs integer
---@param way "http"|"adapter"
---@return determinism.Cause
function M.cause(different, runs, way)
  return { name = "unknown", text = ("not to be told through an %s"):format(WAYS[way]), smallest = {},
    evidence = ("%d of %d repetitions differ, and nothing about the platform's solver can be held still from here"):format(different, runs),
    fix = 'run this gate where the solver can be started as a program, with solver = { kind = "command", … }: it then varies one '
      .. "condition at a time and names the cause" }
end

--- Does the platform understand the forecast as the gate does?
local function compare(pack, work, stored)
  local count = pack.count(stored)
  local what, detail = nil, nil
  if count == pack.count(work.instances) then what, detail = pack.difference(work.instances, stored) end
  if count == pack.count(work.instances) and not what then return end
  errors.raise { code = "forecast_differs", detail = detail,
    message = what and ("%s reads back differently from the platform"):format(what)
      or ("the platform has %d of the forecast's %d instances"):format(count, pack.count(work.instances)),
    fix = "Run gate 3 (golden_path_e2e): it says which stage goes wrong" }
end

local Solver = {}
Solver.__index = Solver

--- Opens the platform's API, or the operators' adapter, which has to have the function solve_plan.
---@param ctx table
---@param name "roster"|"routing"
---@param pack table  its packs.*.golden
---@return table solver  with upload, solve and left_behind; way; jobs, how many may ask at once. Errors: adapter_incomplete, those of
---  platform.adapter.
function M.open(ctx, name, pack)
  local way = M.configured(ctx)
  local open = way == "http" and adapters.open_api or adapters.open
  local api, tenant = open(ctx, name)
  if type(api.solve_plan) ~= "function" then
    errors.raise { code = "adapter_incomplete", message = ("the adapter %s has no function solve_plan, and the configuration says that it "
      .. "makes the plans"):format(tostring(ctx.config.adapter)), fix = "Add it; see stdlib/platform/adapter.lua for what it must do" }
  end
  -- What an adapter of the operators' own does at once is one connection's work at a time.
  return setmetatable({ api = api, pack = pack, seen = {}, way = way, jobs = way == "http" and ctx.jobs or 1, tenant = tenant,
    forecasts = {} }, Solver)
end

--- Uploads a forecast, and checks how the platform understands it.
---@param question {data: table, work: table, text: string}
---@return string forecast  its id. Errors: forecast_differs, and those of the adapter.
function Solver:upload(question)
  local work = question.work
  local forecast = self.api.create_forecast { source = question.data.input, text = function() return question.text end,
    lines = self.pack.lines(question.data), templates = work.templates or {}, matrix = work.instances.matrix,
    input_hash = work.input_hash, parser_config_hash = work.parser_config_hash }
  self.forecasts[#self.forecasts + 1] = tostring(forecast)
  if self.way == "adapter" then self.api.expand_forecast(forecast, work.instances) end
  compare(self.pack, question.work, self.api.read_instances(forecast))
  return forecast
end

--- One plan.
---@param forecast string
---@param request table  as a solver would read it
---@return {output: table, duration_ms: number}  Errors: plan_repeated, and those of the adapter.
function Solver:solve(forecast, request)
  local started = task.now()
  local plan, output = self.api.solve_plan(forecast, { seed = request.seed, config = request.config })
  if self.seen[plan] then
    errors.raise { code = "plan_repeated",
      message = ("%s: the platform answers with plan %s a second time: nothing was solved anew"):format(
        self.way == "http" and "POST /plans/solve" or "solve_plan", tostring(plan)),
      fix = self.way == "http" and "Have the platform make a plan for every POST /plans/solve that has an Idempotency-Key of its own"
        or "Have the adapter's solve_plan make a plan at every call, and return its id" }
  end
  self.seen[plan] = true
  return { output = output, duration_ms = task.now() - started }
end

--- What stays on the platform, for people.
---@return string
function Solver:left_behind()
  if self.api.left_behind then return self.api.left_behind() end
  return ("forecasts %s of tenant %s, with their plans"):format(table.concat(self.forecasts, ", "), self.tenant.code)
end

local changed = {}

--- The roster's forecast without its last line; of a single line, as it is (the seed is another one).
function changed.roster(data, text)
  local entries = data.forecast.entries
  local last = entries[#entries].line_no
  if entries[1].line_no == last then return text end
  local out, number = {}, 0
  for line in text:gmatch "[^\n]*\n?" do
    number = number + 1
    if number ~= last then out[#out + 1] = line end
  end
  return table.concat(out)
end

--- The scenario without its last stop; of a single one, with another name.
function changed.routing(_, text)
  local scenario = json.decode(text)
  local stops = scenario.stops
  if #stops == 1 then
    stops[1].id = stops[1].id .. "-control"
  else
    stops[#stops] = nil
  end
  return json.encode(scenario)
end

--- Another question, near to the one asked: the next seed, and a forecast with a little less in it.
---@param name "roster"|"routing"
---@param pack table
---@param question {data: table, text: string}
---@param store table    the dataset's
---@param outside table  of packs.outside
---@return {data: table, work: table, text: string} question
function M.changed(name, pack, question, store, outside)
  local text, input = changed[name](question.data, question.text), question.data.input
  local overlay = { list = function(_, prefix) return store:list(prefix) end,
    get = function(_, key)
      if key == input then return text end
      return (store:get(key))
    end }
  local data = pack.load(overlay, outside)
  return { data = data, work = pack.prepare(data), text = text }
end

return M
