--- Functions with their owner's rights that change who has which: roles, ownership, row-level security itself.
--
-- What a caller may do afterwards no policy decides. PostgreSQL manual: GRANT, ALTER ROLE, ALTER TABLE, ALTER POLICY.
local compile = require "rls.prover.compile"
local sql = require "sql"

local rights = {}

local OFF = { AT_DisableRowSecurity = "DISABLE ROW LEVEL SECURITY", AT_NoForceRowSecurity = "NO FORCE ROW LEVEL SECURITY",
  AT_ChangeOwner = "OWNER TO" }

--- Kinds of statements → what it changes, in words; nil where that is of no matter.
local KINDS = {
  GrantRoleStmt = function(c) return c.is_grant and "it grants a role" or nil end,
  AlterRoleStmt = function() return "it alters a role" end,
  AlterPolicyStmt = function() return "it alters a policy" end,
  CreatePolicyStmt = function(c) return c.permissive and "it makes a permissive policy" or nil end,
  AlterOwnerStmt = function() return "it changes an owner" end,
  DropStmt = function(c) return c.removeType == "OBJECT_POLICY" and "it drops a policy" or nil end,
  AlterTableStmt = function(c)
    for _, item in ipairs(c.cmds or {}) do
      local what = OFF[item.AlterTableCmd and item.AlterTableCmd.subtype]
      if what then return "it says ALTER TABLE … " .. what end
    end
    return nil
  end,
}

--- Words without which no such statement is made.
local WORDS = { "grant", "alter", "policy" }

local function of_text(text)
  local ok, tree = pcall(sql.parse, text)
  for _, item in ipairs(ok and tree.stmts or {}) do
    local kind, c = next(item.stmt)
    local what = KINDS[kind] and KINDS[kind](c)
    if what then return what end
  end
  return nil
end

local function of_list(list)
  for _, s in ipairs(list) do
    local what = (s.k == "other" or s.k == "sql") and s.text and of_text(s.text)
    for _, branch in ipairs(s.branches or {}) do what = what or of_list(branch.body) end
    what = what or of_list(s.body or {})
    for _, handler in ipairs(s.handlers or {}) do what = what or of_list(handler) end
    if what then return what end
  end
  return nil
end

--- Does the text build a statement of such words and execute it?
local function is_built(text)
  return text:find "%f[%w_]execute%f[^%w_]" and (text:find "row%s+level%s+security" or text:find "%f[%w_]policy%f[^%w_]"
    or text:find "alter%s+role" or text:find "alter%s+user" or text:find "'%s*grant%s") ~= nil
end

--- What a function changes of who has which rights.
---@param f table  of rls.Model.all_functions
---@return string? what, boolean? undecided
function rights.changed(f)
  local text, has = (f.body or ""):lower(), false
  for _, word in ipairs(WORDS) do has = has or text:find("%f[%w_]" .. word .. "%f[^%w_]") ~= nil end
  if not has then return nil end
  if f.language == "sql" then return of_text(f.body) end
  local block = f.language == "plpgsql" and compile.program_of(f)
  local what = block and of_list { block }
  if what then return what end
  if not block or is_built(text) then return "it may change roles, policies or row-level security by a statement that it builds", true end
  return nil
end

return rights
