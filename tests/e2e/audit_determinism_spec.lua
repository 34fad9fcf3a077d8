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
return { name = "differs if it can", pack = "roster", audit = function(plan, report)
  local out = {}
  walk(plan, out)
  report:violation { object = "plan", detail = table.concat(out, " ") }

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

local input = support.write(support.tmpdir() .. "/frame", frame({ source = AUDIT, path = "audit.lua", memory = 64 << 20, helpers = {} },
  support.must_read "tests/fixtures/escape/audit-plan.json"))

--- As the broker starts it; `before` are words before it.
local function ask(before)
  local pipe = assert(io.popen(("env -i %s setarch -R %s <%s"):format(before or "", quote(support.build .. "/gate-audit"), quote(input))))
  local bytes = pipe:read "a"
  pipe:close()
  return bytes
end

describe("an audit's verdict", function()
  local first = ask()

  it("is a failure with everything in it that could differ", function()
    local verdict = json.decode(first:sub(9))
    assert.equal("FAIL", verdict.status, first)
    assert.equal(4, #verdict.violations)
    assert.is_nil(first:find("0x%x%x%x"))
  end)

  it(("is the same bytes %d times"):format(REPEATS), function()
    for i = 1, REPEATS do
      local bytes = ask()
      assert.is_true(bytes == first, ("repeat %d: %s"):format(i, bytes))
    end
  end)

  it("does not depend on the environment, the time zone, the locale or the processor", function()
    for _, before in ipairs { "TZ=Asia/Tokyo", "LC_ALL=C.UTF-8 LANG=de_DE.UTF-8", "X=" .. ("x"):rep(5000), "MALLOC_PERTURB_=7",
      "taskset -c 0" } do
      assert.equal(first, ask(before), before)
    end
  end)
end)
