--- The platform's health endpoints: what each answers, and what is not well in it.
local json = require "json"

local health = {}

health.PATHS = { "/health", "/health/live", "/health/ready" }

-- Members that say it by yes or no.
local FLAGS = { "ok", "healthy", "up", "ready", "alive", "live", "running", "success" }

local WELL = { ok = true, healthy = true, up = true, pass = true, ready = true, alive = true, live = true, running = true }

--- What an answer says of a part: nil where it is well. true and words such as "ok" are, all else is not.
local function unwell(value)
  local said = value
  if type(value) == "table" then said = value.status end
  if said == nil or said == json.null then return nil end
  if said == true or (type(said) == "string" and WELL[said:lower()]) then return nil end
  return tostring(said)
end

--- The parts that are not well, of the answer as a whole and of each of its checks.
local function problems_of(document)
  local out = {}
  local own = unwell(document)
  if own then out[#out + 1] = "status " .. own end
  for _, name in ipairs(FLAGS) do
    if document[name] == false then out[#out + 1] = name .. ": false" end
  end
  -- A list of checks.
  for i, part in ipairs(document) do
    local bad = type(part) == "table" and unwell(part)
    if bad then out[#out + 1] = ("%s: %s"):format(tostring(part.name or i), bad) end
  end
  local names = {}
  for _, key in ipairs { "checks", "components", "dependencies" } do
    if type(document[key]) == "table" then
      for name in pairs(document[key]) do names[#names + 1] = { key, name } end
    end
  end
  table.sort(names, function(a, b) return tostring(a[2]) < tostring(b[2]) end)
  for _, at in ipairs(names) do
    local bad = unwell(document[at[1]][at[2]])
    if bad then out[#out + 1] = ("%s: %s"):format(at[2], bad) end
  end
  return out
end

--- What is wrong with an answer that is no JSON: a page of something else, or a word that does not say that all is well. That it lives
--- and is ready a platform may say by its status alone, as is the custom of what asks for it; how it is it has to say in words.
local function problem_of_text(path, body)
  local said = body:match "^%s*(.-)%s*$"
  if said == "" and path == health.PATHS[1] then return "it answers nothing, and not how the platform is" end
  if said == "" or WELL[said:lower()] then return nil end
  if said:find "^<" then return "it answers a page, and not how the platform is" end
  return ("it says %q"):format(said:sub(1, 60))
end

--- Asks one. An answer that cannot be had is not well, too.
---@param ctx gate.Context  needs the endpoint
---@param endpoint string
---@param path string
---@return {path: string, status: integer?, ms: number?, problem: string?}
function health.ask(ctx, endpoint, path)
  local ok, answer = pcall(ctx.http.request, ctx.http,
    { endpoint = endpoint, path = path, timeout = 10, redirects = 0, max_body = 1 << 20 })
  if not ok then return { path = path, problem = tostring(answer.message or answer) } end
  local out = { path = path, status = answer.status, ms = answer.timings.total }
  if answer.status ~= 200 then out.problem = ("it answers %d"):format(answer.status) end
  local read, document = pcall(json.decode, answer.body)
  local wrong = read and type(document) == "table" and problems_of(document) or {}
  if not read then wrong[1] = problem_of_text(path, answer.body) elseif document == false then wrong[1] = "it says false" end
  if #wrong > 0 then out.problem = (out.problem and out.problem .. "; " or "") .. table.concat(wrong, ", ") end
  return out
end

return health
