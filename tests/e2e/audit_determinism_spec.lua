-- The same audit on the same plan gives the same bytes, however often, whenever and wherever it runs. gate-audit is asked directly, as the
-- broker asks it: one frame in, one frame out.
package.path = "tests/e2e/?.lua;" .. package.path
local support = require "support"
local json = require "engine.json"

local quote = support.quote
local REPEATS = 100

--- What an audit could differ by: the order of keys and of equal elements, the number of comparisons of a sort that is driven to its worst
--- (M. D. McIlroy, "A Killer Adversary for Quicksort", 1999), addresses, the moment garbage is collected, memory used.
local AUDIT = [[
local function walk(value, out)
  if type(value) ~= "table" then out[#out + 1] = tostring(value) return end
  for k, v in pairs(value) do out[#out + 1] = tostring(k) walk(v, out) end
end
return { name = "differs if it can", pack = "roster", needs = { history = 2 }, audit = function(plan, report)
  local out = {}
  walk(plan, out)
  local text = table.concat(out, " ")
  for from = 1, #text, 1500 do report:violation { object = "plan", detail = text:sub(from, from + 1499) } end

  local n, gas, solid, candidate, compared, value = 3000, 1e9, 0, 0, 0, {}
  local list = {}
  for i = 1, n do list[i], value[i] = i, gas end
  pcall(table.sort, list, function(a, b)
    compared = compared + 1
    if value[a] == gas and value[b] == gas then
      local x = a == candidate and a or b
      value[x], solid = solid, solid + 1
    end
    if value[a] == gas then candidate = a elseif value[b] == gas then candidate = b end
    return value[a] < value[b]
  end)
  report:violation { object = "sort", detail = compared .. " " .. table.concat(list, " ", 1, 200) }

  local weak, alive = setmetatable({}, { __mode = "kv" }), 0
  for i = 1, 20000 do weak["key" .. i % 997] = { i } end
  for _ in pairs(weak) do alive = alive + 1 end
  local holes = {}
  for i = 1, 3000 do holes[i] = i holes["s" .. i] = i holes[{}] = i end
  for i = 2, 3000, 7 do holes[i] = nil end
  report:violation { object = "memory", detail = alive .. " " .. #holes }

  local texts = {}
  for _, v in ipairs { {}, print, report, coroutine.create(print), setmetatable({}, { __name = "mine" }) } do
    texts[#texts + 1] = tostring(v) .. ("%s"):format(v)
  end
  local _, raised = pcall(function() local t = {} return t < {} end)
  texts[#texts + 1] = tostring(raised)
  report:violation { object = "texts", detail = table.concat(texts, " ") }
end }]]

local function frame(job, payload)
  local text = json.encode(job)
  return string.pack(">I4I4", #text, #payload) .. text .. payload
end

--- A saved plan with the three weeks before it; keys in the order of `front`, so that two texts of it can be made.
local function plan_text(front)
  local text = support.must_read "tests/fixtures/escape/audit-plan.json"
  local history = {}
  for i, iso in ipairs { "2023-W52", "2023-W50", "2023-W49" } do history[i] = support.moved_week(text, iso):gsub("%s+$", "") end
  local member = '"history":[' .. table.concat(history, ",") .. "]"
  return front and text:gsub("^{", "{" .. member:gsub("%%", "%%%%") .. ",") or text:gsub("}%s*$", "," .. member:gsub("%%", "%%%%") .. "}")
end

local function input_of(history, front)
  return support.write(support.tmpdir() .. "/frame", frame({ source = AUDIT, path = "audit.lua", memory = 64 << 20, helpers = {},
    pack = "roster", history = history }, plan_text(front)))
end

local input = input_of(2)

--- As the broker starts it; `before` are words before it.
local function ask(before, frame_file)
  local pipe = assert(io.popen(("env -i %s setarch -R %s <%s"):format(before or "", quote(support.build .. "/gate-audit"),
    quote(frame_file or input))))
  local bytes = pipe:read "a"
  pipe:close()
  return bytes
end

--- The details of the violations of an object, or else the other objects.
local function said_of(verdict, object, details)
  local out = {}
  for _, v in ipairs(verdict.violations) do
    if (v.object == object) == details then out[#out + 1] = details and v.detail or v.object end
  end
  return out
end

describe("an audit's verdict", function()
  local first = ask()

  it("is a failure with everything in it that could differ", function()
    local verdict = json.decode(first:sub(9))
    assert.equal("FAIL", verdict.status, first)
    assert.same({ "sort", "memory", "texts" }, said_of(verdict, "plan", false))
    assert.is_truthy(table.concat(said_of(verdict, "plan", true)):find("history 1 ", 1, true), "the plan's history is not in it")
    assert.is_nil(first:find("0x%x%x%x"))
  end)

  it(("is the same bytes %d times"):format(REPEATS), function()
    for i = 1, REPEATS do
      local bytes = ask()
      assert.is_true(bytes == first, ("repeat %d: %s"):format(i, bytes))
    end
  end)

  it("is made of the weeks asked for, and of nothing else of the history", function()
    local walked = {}
    for n = 0, 3 do
      local text = table.concat(said_of(json.decode(ask("", input_of(n > 0 and n or nil)):sub(9)), "plan", true))
      walked[n] = #text
      assert.equal(n > 0, text:find("history 1 ", 1, true) ~= nil)
    end
    assert.is_true(walked[0] < walked[1] and walked[1] < walked[2] and walked[2] < walked[3])
  end)

  it("does not depend on where in the plan the history stands", function()
    local verdict, other = json.decode(first:sub(9)), json.decode(ask("", input_of(2, true)):sub(9))
    assert.same(verdict.violations, other.violations)
  end)

  it("does not depend on the environment, the time zone, the locale or the processor", function()
    for _, before in ipairs { "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8 LANG=de_DE.UTF-8", "X=" .. ("x"):rep(5000), "MALLOC_PERTURB_=7",
      "taskset -c 0" } do
      assert.equal(first, ask(before), before)
    end
  end)
end)
