--- What an operator does next (tenant-onboarding: gate 4, recovery path): each service is looked at layer by layer, the first layer that
--- does not hold is named, the variables that matter are listed without their values, and the commands to look oneself are filled in.
local layers = require "integrations.layers"

local recovery = {}

--- By class of failure: what it means, and where it is put right.
local STEPS = {
  auth_failed = "Check the key: auth.api_key in gate-engine.conf.lua, and the variable it is read from.\n"
    .. "Issue a new key where it is lost; a stored key cannot be read back.",
  auth_accepts_wrong = "Stop here: the platform lets in who has no right to it. Look at what compares keys\n"
    .. "(embedded: platform.authenticate) or verifies tokens: signature, algorithm, issuer, audience, tenant and times.",
  auth_unreachable = "Check network and service; endpoints.platform in gate-engine.conf.lua.",
  store_failed = "Check the store: artifacts in gate-engine.conf.lua.\n"
    .. "Local: the directory exists, is writable and its disk is not full.",
  store_accepts_wrong = "Stop here: the store answers who has no right to it. Look at its access policy, and at what stands before it.",
  store_tenant_open = "Stop here: one tenant's credentials reach another's objects. Look at the policy of the bucket, and of the key.",
  osrm_failed = "Check network and OSRM service; endpoints.osrm in gate-engine.conf.lua.",
  mail_failed = "Check network and mail server; mail in gate-engine.conf.lua: url, user, password, ca_file.",
  database_failed = "Check server, pooler and database.app in gate-engine.conf.lua.",
  context_leaks = "Find where the application calls set_config(…, false) or SET: "
    .. "the tenant must be set with set_config(…, true) in each transaction.",
}

--- Variables by what they are for; those of a service that the configuration does not name are left out.
local VARIABLES = {
  ["auth.entra"] = { "ENTRA_TENANT_ID", "ENTRA_CLIENT_ID", "ENTRA_CLIENT_SECRET", "ENTRA_AUDIENCE" },
  s3 = { "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_REGION", "AWS_ENDPOINT_URL" },
  azure = { "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_KEY", "AZURE_STORAGE_SAS_TOKEN" },
  osrm = { "OSRM_URL" },
  database = { "DATABASE_URL", "PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD" },
  mail = { "SMTP_URL" },
}
local PROXIES = { "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY" }

local function variables(services, names)
  local out = {}
  for _, name in ipairs(names) do out[#out + 1] = "    " .. name .. (services.environment[name] and "=***" or " is not set") end
  return out
end

--- A word for the shell.
local function quote(s) return "'" .. tostring(s):gsub("'", "'\\''") .. "'" end

local function host_port(url)
  local scheme, host, port = url:match "^(%a[%w+.-]*)://%[?([^/%]@]*)%]?:(%d+)"
  if not scheme then scheme, host = url:match "^(%a[%w+.-]*)://%[?([^/%]@]*)%]?" end
  local default = { https = "443", http = "80", smtps = "465", smtp = "25", postgresql = "5432", postgres = "5432" }
  return host, port or default[scheme], scheme
end

--- Looks at the name, the port and TLS of a URL.
local function network(url, starttls)
  local host, port, scheme = host_port((url:gsub("^(%a[%w+.-]*://)[^/@]*@", "%1")))
  local out = { ("    getent ahosts %s"):format(quote(host)),
    ("    timeout 5 bash -c %s && echo open"):format(quote(("</dev/tcp/%s/%s"):format(host, port))) }
  if scheme == "https" or scheme == "smtps" or starttls then
    out[#out + 1] = ("    openssl s_client %s-connect %s -servername %s </dev/null"):format(starttls and "-starttls smtp " or "",
      quote(host .. ":" .. port), quote(host))
  end
  return out
end

local function extend(list, more)
  for _, item in ipairs(more) do list[#list + 1] = item end
  return list
end

--- Looks at the places of a database, which libpq tries in turn: hosts and ports are lists, a host that begins with a slash is the
--- directory of a socket. None: libpq has a place of its own.
local function database_network(hosts, ports)
  local out, last, n = {}, nil, 0
  local all = {}
  for port in tostring(ports or ""):gmatch "[^,]+" do all[#all + 1] = port end
  for host in tostring(hosts or ""):gmatch "[^,]+" do
    n = n + 1
    last = all[n] or last or "5432"
    if host:sub(1, 1) == "/" then
      out[#out + 1] = ("    ls -l %s"):format(quote(("%s/.s.PGSQL.%s"):format(host, last)))
    else
      extend(out, network(("postgresql://%s:%s"):format(host:find ":" and "[" .. host .. "]" or host, last)))
    end
  end
  return out
end

--- Host and port of a database's URL: what stands after its "?" counts before what stands in front of it.
local function database_place(url)
  local function parameter(name)
    local value = url:match("[?&]" .. name .. "=([^&]*)")
    return value and value:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  end
  local hosts, ports = {}, {}
  for one in url:match "^%a[%w+.-]*://([^/?]*)":gsub("^.*@", ""):gmatch "[^,]+" do
    local host, port = one:match "^%[?([^%]]-)%]?:(%d+)$"
    hosts[#hosts + 1], ports[#ports + 1] = host or one:gsub("[%[%]]", ""), port or "5432"
  end
  return parameter "host" or table.concat(hosts, ","), parameter "port" or table.concat(ports, ",")
end

local COMMANDS = {
  http = function(service)
    -- The shell's own printf: no list of processes shows the key.
    local shown = service.header and ("printf %s \"$%s\" | "):format(quote(service.header .. ": %s"), service.key) or ""
    return extend(network(service.url), { ("    %scurl -sSi%s %s"):format(shown, service.header and " -H @-" or "",
      quote(service.url .. service.path)) })
  end,
  s3 = function(service)
    local s = service.store
    return extend(network(s.url), { ("    aws s3 ls %s --region %s%s"):format(quote(("s3://%s/%s"):format(s.bucket, s.prefix)),
      quote(s.region), s.endpoint and " --endpoint-url " .. quote(s.endpoint) or "") })
  end,
  azure = function(service)
    local s = service.store
    return extend(network(s.url), { ("    az storage blob list --account-name %s --container-name %s --prefix %s"):format(quote(s.account),
      quote(s.container), quote(s.prefix)) })
  end,
  ["local"] = function(service)
    local path = quote(service.store.path or ".")
    return { "    ls -ld " .. path, "    df -h " .. path }
  end,
  database = function(service)
    local d = service.database
    if not d then return { "    gate-engine platform psql -c 'select 1'" } end
    if d.url then return extend(database_network(database_place(d.url)), { ("    psql %s -c 'select 1'"):format(quote(d.url)) }) end
    local psql = ("    psql -h %s -p %s -U %s -d %s -c 'select 1'"):format(quote(d.host or "localhost"), quote(d.port or 5432),
      quote(d.user or ""), quote(d.dbname or ""))
    return extend(database_network(d.host, d.port), { psql })
  end,
  mail = function(service) return network(service.url, service.url:find "^smtp:" ~= nil) end,
}

--- What is said of one service.
local function note_of(services, service, found)
  local out, broken = {}, nil
  for _, layer in ipairs(found) do
    broken = broken or layer.broken and layer.name or nil
    out[#out + 1] = ("    %-9s %s%s"):format(layer.name, layer.broken and "BROKEN" or layer.holds and "holds" or "not looked at",
      layer.detail and ": " .. layer.detail or "")
  end
  extend(out, { "By hand:" })
  extend(out, COMMANDS[service.kind](service))
  local names = service.header and { service.key } or VARIABLES[service.variables] or {}
  if #names > 0 then
    out[#out + 1] = "Variables that matter (values are not shown):"
    extend(out, variables(services, names))
  end
  for _, name in ipairs(PROXIES) do
    local used = service.kind == "http" or service.store and service.store.url
    if used and services.environment[name] then out[#out + 1] = "    " .. name .. "=***" end
  end
  return ("%s: %s"):format(service.name, broken and "the first layer that is broken is " .. broken or "every layer holds"),
    table.concat(out, "\n")
end

--- The recovery of gate 4.
---@param ctx gate.Context
---@param findings table[]
function recovery.propose(ctx, findings)
  local done = {}
  for _, f in ipairs(findings) do
    if STEPS[f.class] and not done[f.class] then
      done[f.class] = true
      ctx:apply(("%s (%s)"):format(f.check, f.detail or f.class), { note = STEPS[f.class] })
    end
  end
  for _, service in ipairs(layers.services(ctx)) do
    local title, note = note_of(ctx.config.services, service, service.look())
    ctx:apply(title, { note = note })
  end
  ctx:apply("Rerun the gate",
    { note = ("gate-engine run gates/integrations_contract.lua --tenant %s --verbose"):format(ctx.tenant.code) })
end

return recovery
