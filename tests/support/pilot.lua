--- Starts and stops pilot_server.py for a spec.
local json = require "engine.json"

local pilot = {}

local quote = function(s) return "'" .. s:gsub("'", "'\\''") .. "'" end

---@param dir string  its own
---@return {url: string, answer: fun(paths: table), requests: fun(): table[], stop: fun()}
function pilot.start(dir)
  local pipe = assert(io.popen(("/usr/bin/python3 tests/support/pilot_server.py %s >%s/log 2>&1 </dev/null & echo $!"):format(
    quote(dir), quote(dir))))
  local pid = pipe:read "l"
  pipe:close()
  assert(os.execute(("timeout 30 sh -c 'until test -e %s/port; do kill -0 %s || exit 1; done'"):format(dir, pid)), "no server")
  local function read(path)
    local f = assert(io.open(path))
    local text = f:read "a"
    f:close()
    return text
  end
  local self = { url = "http://127.0.0.1:" .. read(dir .. "/port") }
  --- What it answers from now on.
  function self.answer(paths)
    local f = assert(io.open(dir .. "/answers.json.new", "w"))
    f:write(json.encode(paths))
    f:close()
    assert(os.rename(dir .. "/answers.json.new", dir .. "/answers.json"))
  end
  --- What it was asked, in order.
  function self.requests()
    local list = {}
    for path in io.popen("ls " .. quote(dir) .. "/requests/*.json 2>/dev/null"):lines() do list[#list + 1] = json.decode(read(path)) end
    return list
  end
  function self.stop() os.execute("kill " .. pid) end
  self.answer {}
  return self
end

return pilot
