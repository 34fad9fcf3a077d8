--- Starts and stops http_server.py, or osrm_server.py on a matrix, for a spec.
local kit = require "testkit"

local SUPPORT = debug.getinfo(1, "S").source:match("^@(.*/)")

local M = {}

---@param script string?   default "http_server.py"
---@param argument string? default: a directory with certificates
---@return {ports: table<string, integer>, dir: string, stop: fun()}
function M.start(script, argument)
  local p = assert(io.popen "mktemp -d")
  local dir = p:read "l"
  p:close()
  assert(os.execute(("sh '%scertificates.sh' '%s'"):format(SUPPORT, dir)), "no certificates")
  local r, w = kit.pipe()
  local pid = kit.spawn({ "/usr/bin/python3", SUPPORT .. (script or "http_server.py"), argument or dir }, w)
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
