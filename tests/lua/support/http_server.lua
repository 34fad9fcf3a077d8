--- Starts and stops http_server.py for a spec.
local kit = require "testkit"

local SUPPORT = debug.getinfo(1, "S").source:match("^@(.*/)")

local M = {}

---@return {ports: table<string, integer>, dir: string, stop: fun()}
function M.start()
  local p = assert(io.popen "mktemp -d")
  local dir = p:read "l"
  p:close()
  assert(os.execute(("sh '%scertificates.sh' '%s'"):format(SUPPORT, dir)), "no certificates")
  local r, w = kit.pipe()
  local pid = kit.spawn({ "/usr/bin/python3", SUPPORT .. "http_server.py", dir }, w)
  kit.close(w)
  local line = assert(kit.read_line(r), "the server did not start")
  kit.close(r)
  local ports = {}
  for name, port in line:gmatch '"(%w+)": (%d+)' do
    ports[name] = math.tointeger(tonumber(port))
  end
  return {
    ports = ports,
    dir = dir,
    stop = function()
      kit.kill(pid)
      kit.wait(pid)
      os.execute(("rm -rf '%s'"):format(dir))
    end,
  }
end

return M
