--- Does anything read the setting that the configuration says states the tenant? A name that was mistyped makes every policy one that
-- another setting opens, on every table, and nothing says why.
local unread = {}

--- The settings that a text reads, in lower case; nil where one of them is put together when it runs.
local function settings_in(text)
  local found = {}
  for argument in text:gmatch "current_setting%s*%(%s*(.?[^,)]*)" do
    local name = argument:match "^'([^']*)'%s*$" or argument:match "^'([^']*)'::text%s*$"
    if not name then return nil end
    found[#found + 1] = name:lower()
  end
  return found
end

--- What to raise where nothing reads the setting of an axis and something reads others; nil where all is well, or nobody can tell.
---@param seen table  of rls.look, with `model`
---@return {code: string, message: string, detail: string, fix: string}?
function unread.error(seen)
  local texts, read, names = {}, {}, {}
  for _, t in ipairs(seen.tables) do
    for _, p in ipairs(t.policies) do texts[#texts + 1] = (p.using or "") .. " " .. (p.check or "") end
  end
  for _, f in ipairs(seen.model and seen.model.all_functions or {}) do texts[#texts + 1] = f.body or "" end
  for _, text in ipairs(texts) do
    local list = settings_in(text:lower())
    if not list then return nil end
    for _, name in ipairs(list) do
      if not read[name] then names[#names + 1] = name end
      read[name] = true
    end
  end
  table.sort(names)
  for _, axis in ipairs(seen.settings.axes) do
    if #names > 0 and not read[axis.setting:lower()] then
      return { code = "tenant_setting_unread", message = ("no policy and no function reads the tenant setting %s"):format(axis.setting),
        detail = "they read " .. table.concat(names, ", ", 1, math.min(#names, 8)),
        fix = "correct database.tenant.setting (--tenant-setting), or let the policies compare with it" }
    end
  end
  return nil
end

return unread
