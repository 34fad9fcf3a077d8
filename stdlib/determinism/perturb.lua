--- What is different between two runs of one program on one input, on purpose.
--
-- Run 1 is the reference: the plain conditions in which the engine starts any command. Every later run differs from it in all parts
-- below at once, and from the other runs in most, because the gate asks only whether anything shows; which part it was that showed is
-- asked afterwards, one part at a time (determinism.cause). The broker applies them between fork and exec and reports what it could not.
-- Pure: needs no capability.

local M = {}

---@class determinism.Part
---@field name string     what it is called in reports
---@field cause string    what a solver does that lets it show
---@field perturb table   as ctx.solver:solve takes it
---@field note string?    why it may have no effect on some programs

-- POSIX time zones need no zone files: +14 h, -12 h and one that is no whole hour. Their names are letters only: with anything else
-- the C library falls back to UTC without a word (POSIX.1-2017, 8.3).
local ZONES = { "GEA-14", "GEB+12", "GEC-5:45" }
-- Effective where the system has the locale; a comma as decimal mark, dotless i, and the plain one with another name.
local LOCALES = { "de_DE.UTF-8", "tr_TR.UTF-8", "POSIX", "C" }
local CLOCKS = { "+3d", "-40d", "+200d", "-3y", "+7h" }

--- What is not tried: said in the report, so that nobody takes it for tried.
M.NOT_TRIED = {
  ["statically linked programs that a script starts"] = "their clock and their directories stay as they are",
}

local makers = {
  function(i)
    return { name = "time zone", cause = "it reads the time zone", perturb = { env = { TZ = ZONES[i % #ZONES + 1] } } }
  end,
  function(i)
    local locale = LOCALES[i % #LOCALES + 1]
    return { name = "locale", cause = "it sorts or formats by the locale", perturb = { env = { LANG = locale, LC_ALL = locale } },
      note = "only where the system has the locale" }
  end,
  function(i)
    return { name = "clock", cause = "it reads the clock", perturb = { faketime = CLOCKS[i % #CLOCKS + 1] },
      note = "libfaketime changes the clock of dynamically linked programs only" }
  end,
  function() return { name = "working directory", cause = "it reads the working directory", perturb = { cwd = "scratch" } } end,
  function(i)
    return { name = "environment", cause = "it reads the environment, or depends on its size",
      perturb = { env = { GATE_ENGINE_PERTURBATION = ("x"):rep(512 * i) } } }
  end,
  function(i)
    return { name = "hash seeds", cause = "it walks a hash table whose order is seeded",
      perturb = { env = { PYTHONHASHSEED = tostring(i), PERL_HASH_SEED = tostring(i) } }, note = "Python and Perl" }
  end,
  function(i)
    return { name = "malloc fill", cause = "it reads memory it never wrote",
      perturb = { env = { MALLOC_PERTURB_ = tostring(i % 255 + 1) } }, note = "programs that use the C library's malloc" }
  end,
  function()
    return { name = "processor features", cause = "its arithmetic depends on the processor",
      perturb = { env = { GLIBC_TUNABLES = "glibc.cpu.hwcaps=-AVX2,-AVX,-FMA,-FMA4,-AVX512F" } },
      note = "functions of the C library that choose by processor" }
  end,
  function(i) return { name = "processor", cause = "it depends on the processor it runs on", perturb = { cpu = i } } end,
  function(i)
    return { name = "file order", cause = "it takes files in the order in which the system lists them", perturb = { order = i },
      note = "dynamically linked programs that read directories by readdir" }
  end,
  function(i)
    if i % 2 == 0 then return nil end
    return { name = "address layout", cause = "it orders by memory address", perturb = { aslr = false } }
  end,
  function(i)
    if i % 2 == 1 then return nil end
    return { name = "load", cause = "its answer depends on how fast it gets on: it counts seconds, or lets threads race",
      perturb = { load = true } }
  end,
}

--- The parts in which a run differs from the reference.
---@param run integer  from 1
---@return determinism.Part[]  empty for run 1
function M.parts(run)
  local list = {}
  if run == 1 then return list end
  for _, make in ipairs(makers) do list[#list + 1] = make(run - 1) end
  return list
end

--- One table for the broker from several parts.
---@param parts determinism.Part[]
---@return table|nil  nil for none
function M.merge(parts)
  if #parts == 0 then return nil end
  local out = {}
  for _, part in ipairs(parts) do
    for key, value in pairs(part.perturb) do
      if key == "env" then
        out.env = out.env or {}
        for name, text in pairs(value) do out.env[name] = text end
      else
        out[key] = value
      end
    end
  end
  return out
end

--- The parts for people: "time zone GE1-14, clock +3d, …".
---@param parts determinism.Part[]
---@return string
function M.describe(parts)
  if #parts == 0 then return "reference conditions" end
  local words = {}
  for i, part in ipairs(parts) do
    local p = part.perturb
    local value = p.faketime or p.cpu or p.env and (p.env.TZ or p.env.LC_ALL)
    words[i] = value and ("%s %s"):format(part.name, tostring(value)) or part.name
  end
  return table.concat(words, ", ")
end

return M
