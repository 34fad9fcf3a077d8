--- What an audit and a plain interpreter both can run, each kind of work by itself: {name, script}.
return {
  { "calls (fib)", [[
local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end
fib(31)]] },
  { "strings", [[
local parts, n = {}, 0
for i = 1, 150000 do parts[i] = ("%d:%s"):format(i, "x") end
local s = table.concat(parts, ",")
for w in s:gmatch "%d+" do n = n + #w end
s = s:gsub("x", "yy"):upper():rep(2):reverse()
for i = 1, 300000 do n = n + s:byte(i) + #s:sub(i, i + 5) end]] },
  { "tables", [[
local t, m, records, x, n = {}, {}, {}, 42, 0
for i = 1, 100000 do
  x = (x * 1103515245 + 12345) % 2147483648
  t[i], m["k" .. i] = x, i
end
table.sort(t)
table.sort(t, function(a, b) return a > b end)
for i = 1, 100000 do n = n + m["k" .. i] end
for i = 1, 20000 do records[i] = { id = i, day = i % 7, start = i * 15, hours = 4 } end
for _, r in ipairs(records) do
  for _, v in pairs(r) do n = n + v end
end
for _ = 1, 200000 do table.insert(t, table.remove(t)) end]] },
  { "pairs over 100,000 string keys", [[
local m, x, n = {}, 42, 0
for i = 1, 100000 do
  x = (x * 1103515245 + 12345) % 2147483648
  m["k" .. x] = i
end
for _, v in pairs(m) do n = n + v end]] },
  { "JSON, written and read in Lua", [==[
local function decode(s)
  local pos = 1
  local value
  local function skip() pos = s:find("%S", pos) or #s + 1 end
  local function str()
    local e = s:find('"', pos + 1, true)
    local r = s:sub(pos + 1, e - 1)
    pos = e + 1
    return r
  end
  function value()
    skip()
    local c = s:sub(pos, pos)
    if c == "{" then
      local t = {}
      pos = pos + 1
      skip()
      if s:sub(pos, pos) == "}" then pos = pos + 1 return t end
      while true do
        skip()
        local k = str()
        skip()
        pos = pos + 1
        t[k] = value()
        skip()
        local d = s:sub(pos, pos)
        pos = pos + 1
        if d == "}" then return t end
      end
    elseif c == "[" then
      local t = {}
      pos = pos + 1
      while true do
        t[#t + 1] = value()
        skip()
        local d = s:sub(pos, pos)
        pos = pos + 1
        if d == "]" then return t end
      end
    elseif c == '"' then return str()
    else
      local w = s:match("^[%w.+-]+", pos)
      pos = pos + #w
      return tonumber(w) or w == "true"
    end
  end
  return value()
end
local function encode(v, out)
  if type(v) == "table" then
    if #v > 0 then
      out[#out + 1] = "["
      for i, x in ipairs(v) do if i > 1 then out[#out + 1] = "," end encode(x, out) end
      out[#out + 1] = "]"
    else
      local keys = {}
      for k in pairs(v) do keys[#keys + 1] = k end
      table.sort(keys)
      out[#out + 1] = "{"
      for i, k in ipairs(keys) do
        if i > 1 then out[#out + 1] = "," end
        out[#out + 1] = '"' .. k .. '":'
        encode(v[k], out)
      end
      out[#out + 1] = "}"
    end
  elseif type(v) == "string" then out[#out + 1] = '"' .. v .. '"'
  else out[#out + 1] = tostring(v) end
end
local list = {}
for i = 1, 3000 do
  list[i] = { id = i, name = "tour " .. i, skills = { "cold", "heavy" }, start = i * 15, ["end"] = i * 15 + 240, ok = i % 2 == 0 }
end
for _ = 1, 3 do
  local out = {}
  encode(list, out)
  local text = table.concat(out)
  local back = decode(text)
  assert(#back == 3000)
end]==] },
}
