--- Pastes a finding's text to reproduce into psql and tells whether it shows what the finding claims.
--
-- The text is pasted as the server's superuser, as the reports say. What it shows is what its last statement gives before it rolls back:
-- rows, a number of changed rows above zero, or a definition. An error, no row and "UPDATE 0" show nothing.
local verdict = require "verdict"

local paste = {}

--- Runs psql with a text as its input.
---@param place {host: string, port: integer, database: string}
---@param base string  of the names of its files
---@param text string
---@return string stdout, string stderr
local function psql(place, base, text)
  verdict.write(base .. ".sql", text .. "\n")
  local command = "timeout -k 5 60 psql -X -P pager=off -h %s -p %d -U postgres -d %s <%s >%s 2>%s"
  os.execute(command:format(verdict.quote(place.host), place.port, place.database, verdict.quote(base .. ".sql"),
    verdict.quote(base .. ".pasted"), verdict.quote(base .. ".errors")))
  local function read(path)
    local file = assert(io.open(path))
    local all = file:read "a"
    file:close()
    return all
  end
  return read(base .. ".pasted"), read(base .. ".errors")
end

--- Says nothing of what came before it.
local SILENT = { BEGIN = true, SET = true, RESET = true, ROLLBACK = true, COMMIT = true }

--- What the last statement that tells something gave: {"rows", n}, or nil.
local function last_result(out)
  local n
  for line in out:gmatch "[^\n]+" do
    local word = line:match "^%u+"
    local rows = line:match "^%((%d+) rows?%)$"
    local changed = line:match "^INSERT %d+ (%d+)$" or line:match "^%u+ (%d+)$"
    if rows or changed then
      n = tonumber(rows or changed)
    elseif line:find "^CREATE " or line:find "^[A-Z ]+$" and not SILENT[word] then
      n = 1
    end
  end
  return n
end

--- Is the last table that was printed one row with nothing in it?
local function is_blank(out)
  local row
  for found in out:gmatch "\n[-+]+\n([^\n]*)\n%(1 row%)" do row = found end
  return row ~= nil and not row:find "[^%s|(),]"
end

--- Do errors and notices hold a value of a row that the text makes?
local function says_a_value(text, err)
  for line in text:gmatch "INSERT INTO [^\n]*\n[^\n]*" do
    for value in line:gmatch "'([^']+)'" do
      if #value > 1 and err:find(value, 1, true) then return true end
    end
  end
  return false
end

--- Does a text that shows a leak still show it where the leak is closed? One that looks a definition up shows another one there, or none.
---@param before {out: string, err: string, shown: boolean}  where the leak was
---@param after {out: string, err: string, shown: boolean}   where it is closed
---@param text string
---@return boolean
function paste.still(before, after, text)
  if not text:lower():find "%f[%w]begin;" then return before.out == after.out end
  -- What is refused raises something too, and says another thing.
  if text:find "^%-%- tried: what it raises says" then return after.shown and before.err == after.err end
  return after.shown
end

---@param place {host: string, port: integer, database: string}
---@param base string
---@param text string
---@param detail string  what the finding claims
---@return {out: string, err: string, shown: boolean, why: string?}
function paste.run(place, base, text, detail)
  local out, err = psql(place, base, text)
  local r = { out = out, err = err }
  local n = last_result(out)
  local alone = text:find "^%-%- tried: the policies let the row through, a constraint alone stops it"
    or detail:find("only a constraint stops it", 1, true)
  if alone then
    -- That is what it claims.
    r.why = not (err:find "violates" and not err:find "row%-level security") and "no constraint stops it" or nil
  elseif text:find "^%-%- tried: what it raises says" then
    -- It is said in words alone, which hold what the text puts into a row.
    r.why = not says_a_value(text, err) and "what it raises says nothing of the rows" or nil
  elseif err:find "ERROR:" or err:find "invalid command" then
    r.why = err:gsub("\n.*", "")
  elseif text:find "^\\sf" then
    r.why = not out:find "CREATE OR REPLACE" and "no definition" or nil
  elseif not n then
    r.why = "it shows nothing"
  elseif n == 0 then
    r.why = "its last statement has no row"
  elseif n == 1 and is_blank(out) then
    r.why = "its last row is empty"
  elseif out:find "\n%-+\n f?%s*\n%(1 row%)\n*ROLLBACK\n*$" or out:find "\n%-+\n f\n%(1 row%)\n*$" then
    r.why = "it says no"
  end
  r.shown = r.why == nil
  return r
end

return paste
