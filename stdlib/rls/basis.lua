--- What a finding rests on, as a digest: by it a comparison with an earlier run knows whether it is the same finding.
--
-- Class, object and detail may stay as they are while the schema's text lets more through: a policy that showed some rows shows all. So the
-- texts are part of it: of a table's policies for the commands that the finding is about, of a view, of a function, with the functions that
-- they lead to; of the triggers of a view, and of the function of a trigger; and the grants of the application, by column.
local arrays = require "rls.arrays"
local catalogue = require "rls.catalogue"
local hash = require "hash"

local basis = {}

--- Grants to the application and to what it is a member of, and the texts of views and triggers.
local OBJECTS = [[
  select c.oid::text as oid,
         (select string_agg(g.entry, '; ' order by g.entry collate "C") from (
            select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end || ' ' || a.privilege_type as entry,
                   a.grantee from aclexplode(c.relacl) a
            union all select case a.grantee when 0 then 'public' else pg_get_userbyid(a.grantee) end || ' ' || a.privilege_type || ' '
              || t.attname, a.grantee from pg_attribute t cross join aclexplode(t.attacl) a
              where t.attrelid = c.oid and t.attacl is not null
          ) g where g.grantee = 0 or pg_has_role($1, g.grantee, 'MEMBER')) as grants,
         case when c.relkind in ('v', 'm') then concat_ws(' ', pg_get_userbyid(c.relowner), array_to_string(c.reloptions, ','),
           pg_get_viewdef(c.oid)) end as definition,
         (select string_agg(pg_get_triggerdef(t.oid), '; ' order by t.tgname) from pg_trigger t
           where t.tgrelid = c.oid and not t.tgisinternal) as triggers,
         (select string_agg(pg_get_ruledef(r.oid), '; ' order by r.rulename) from pg_rewrite r
           where r.ev_class = c.oid and r.rulename <> '_RETURN') as rules
    from unnest($2::oid[]) o(oid) join pg_class c on c.oid = o.oid]]

--- Reads it of all tables and views of tenants, once.
local function read(ctx, seen)
  local oids, by_label, functions = {}, {}, {}
  for _, t in ipairs(seen.tables) do
    if t.scope ~= "unreachable" then oids[#oids + 1] = t.oid end
    by_label[t.label] = t
  end
  local objects = {}
  catalogue.qualified(ctx.db.admin, function()
    for _, row in ipairs(ctx.db.admin:query(OBJECTS, seen.app.role, arrays.text(oids))) do objects[row.oid] = row end
  end)
  return { objects = objects, by_label = by_label, functions = functions }
end

--- Functions by their name without its schema, and by how they are called in findings.
local function index(seen, known)
  if not seen.model or known.words then return end
  known.words = {}
  for _, f in ipairs(seen.model.all_functions) do
    local name = f.name:match "[^.]*$":lower()
    known.words[name] = known.words[name] or {}
    table.insert(known.words[name], f)
    known.functions[f.signature], known.functions[f.name] = f, known.functions[f.name] or f
  end
end

--- Adds a text, and those of the functions that it may call.
local function add(known, parts, text, seen)
  parts[#parts + 1] = (text:gsub("%s+", " "))
  for word in text:lower():gmatch "[%w_$\x80-\xff]+" do
    for _, f in ipairs((known.words or {})[word] or {}) do
      if not seen[f] then
        seen[f] = true
        add(known, parts, table.concat({ f.signature, f.security_definer and "definer" or "", f.owner, table.concat(f.config or {}, ","),
          f.body or "" }, " "), seen)
      end
    end
  end
end

local function of_policies(class) return class:find "^policy_" or class == "cross_tenant_leak" or class == "function_search_path" end

--- The policies of a table that the commands are decided by.
local function policies(known, parts, t, commands, texts)
  local asked = { ALL = true }
  for _, command in ipairs(commands or { "SELECT", "INSERT", "UPDATE", "DELETE" }) do
    asked[command] = true
    if command ~= "INSERT" then asked.SELECT = true end
  end
  for _, p in ipairs(t.policies) do
    if p.applies and asked[p.command] then
      add(known, parts, ("%s %s %s %s using %s check %s"):format(p.name, p.command, tostring(p.permissive), table.concat(p.roles, ","),
        tostring(p.using), tostring(p.check)), texts)
    end
  end
end

--- The digest of what a finding rests on; nil where it is about no table, view or function.
---@param ctx table
---@param seen table  of rls.harness.look
---@param class string
---@param f {object: string, commands: string[]?, rests_on: string?}  rests_on: a text beside those of the object
---@return string?
function basis.of(ctx, seen, class, f)
  if rawget(ctx, "one_connection") then return nil end -- a recovery or a mutant compares nothing
  seen.basis = seen.basis or read(ctx, seen)
  local known, parts, texts = seen.basis, {}, {}
  index(seen, known)
  local t, func = known.by_label[f.object], known.functions[f.object]
  local object = t and known.objects[t.oid]
  if object then
    parts[1] = object.grants or ""
    if of_policies(class) then policies(known, parts, t, f.commands, texts) end
    if object.definition then add(known, parts, object.definition, texts) end
    if class:find "^view_" then add(known, parts, object.triggers or "", texts) end
    if class:find "^rule_" or class:find "^view_" then add(known, parts, object.rules or "", texts) end
  elseif func then
    add(known, parts, func.name, texts)
  end
  if f.rests_on then add(known, parts, f.rests_on, texts) end
  return #parts > 0 and hash.sha256(table.concat(parts, "\n")):sub(1, 16) or nil
end

return basis
