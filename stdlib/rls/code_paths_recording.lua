--- Reads what gate-recorder wrote (engine/recorder/recording.h says how) into the state machine.
local errors = require "errors"
local hash = require "hash"
local json = require "json"

local recording = {}

recording.FORMAT = "gate-engine/recording/1"

local PORTION = 1 << 20 -- bytes that are hashed at once: a recording is not to be in memory twice

local function broken(message, detail)
  errors.raise { code = "recording_broken", message = "the recording is not whole: " .. message, detail = detail,
    fix = "record again; a recording is only good as it was written, from its first line to its last" }
end

--- Is it a recording, by its first bytes?
---@param text string
function recording.is(text)
  return text:find('^{"[^\n]-"format":"gate%-engine/recording/') ~= nil or text:find('^{"format":"gate%-engine/recording/') ~= nil
end

local function decode(line, number)
  local ok, value = pcall(json.decode, line)
  if not ok or type(value) ~= "table" then broken(("line %d cannot be read"):format(number)) end
  return value
end

--- The last line says how many there are before it and what they hash to.
local function check_end(text, start, number, last)
  if last.lines ~= number - 1 then
    broken(("its last line counts %s lines, and there are %d"):format(tostring(last.lines), number - 1))
  end
  local stream <close> = hash.stream()
  for from = 1, start - 1, PORTION do stream:update(text:sub(from, math.min(from + PORTION, start) - 1)) end
  if last.sha256 ~= stream:final() then
    broken "its hash is not what its last line says: it was changed"
  end
end

--- What of a context the machine wants.
local function context_of(c, settings)
  return { setting = c.k and settings[c.k + 1] or nil, is_local = c["local"], value = c.v, from = c.from }
end

local function take_group(state, line, number)
  local m, id = state.machine, line.s
  if id == nil or not m.sessions[id] then broken(("line %d is of a session that has not begun"):format(number)) end
  if type(line.st) ~= "table" then broken(("line %d holds no statements"):format(number)) end
  for _, st in ipairs(line.st) do
    local shape = st.fn and state.shape_of_call(st.fn) or state.shapes[st.q]
    if not shape then broken(("line %d names a statement that is not there"):format(number)) end
    local contexts = {}
    for i, c in ipairs(type(st.c) == "table" and st.c or {}) do contexts[i] = context_of(c, state.header.settings) end
    m:statement(id, shape, contexts, st.ok)
  end
  if line.tx then m:ready(id, line.tx, line.rolled) end
end

local TAKE = {}

function TAKE.session(state, line, number)
  if type(line.s) ~= "number" or type(line.user) ~= "string" then broken(("line %d is no session"):format(number)) end
  state.machine:session(line.s, { user = line.user, application = line.application or "" })
  if line.replication then state.replication = state.replication + 1 end
end

function TAKE.shape(state, line, number)
  if type(line.q) ~= "number" or type(line.text) ~= "string" then broken(("line %d is no statement"):format(number)) end
  state.shapes[line.q] = state.shape_of(line.text, line.cut == true)
end

TAKE.group = take_group

function TAKE.gone(state, line) state.machine:gone(line.s) end

function TAKE.lost(state) state.lost = state.lost + 1 end

--- Reads all of it. What is not whole is an error, before anything of it counts.
---@param text string
---@param target {machine: table, shape_of: function, shape_of_call: function, check_header: fun(header: table)}
---@return {header: table, last: table, lost: integer, replication: integer}
function recording.read(text, target)
  local state = { machine = target.machine, shape_of = target.shape_of, shape_of_call = target.shape_of_call, shapes = {}, lost = 0,
    replication = 0 }
  local number, at = 0, 1
  while at <= #text do
    local stop = text:find("\n", at, true)
    if not stop then broken "its last line has no end" end
    number = number + 1
    local line = decode(text:sub(at, stop - 1), number)
    if number == 1 then
      if line.format ~= recording.FORMAT then
        errors.raise { code = "recording_format", message = ("the recording has the format %q, and this version reads %q")
          :format(tostring(line.format), recording.FORMAT), fix = "record with this version" }
      end
      state.header = line
      target.check_header(line)
    elseif line.t == "end" then
      check_end(text, at, number, line)
      state.last = line
      break
    else
      local take = TAKE[line.t]
      if not take then broken(("line %d is of no known kind"):format(number)) end
      take(state, line, number)
    end
    at = stop + 1
  end
  if not state.last then broken "its last line is missing: the recorder was killed, or the file was cut" end
  return state
end

return recording
