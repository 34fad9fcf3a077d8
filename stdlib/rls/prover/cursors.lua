--- Statements of PL/pgSQL that hand rows on: OPEN, FETCH, RETURN NEXT, GET DIAGNOSTICS, and EXECUTE of a text that stands there. Part of
-- rls.prover.statements.
--
-- What a cursor's query reads may go to whoever called (PostgreSQL manual, 43.7): it counts where the cursor is opened.

---@param compile table
---@param Walk table  gets the methods
return function(compile, Walk)
  local OTHER = {}

  function OTHER.call(self, s, conds) self:procedure(s.text, conds) end

  function OTHER.open(self, s, conds)
    local query = s.text:match "^%s*%a+%s+[%w_]+.-%f[%w_][fF][oO][rR]%f[^%w_](.*)$"
    if query and query:lower():find "^%s*execute%f[^%w_]" then return self:execute(query:match "^%s*%a+(.*)$", conds) end
    if query then return self:statement(query, conds) end
    local name = s.text:match "^%s*%a+%s+([%w_]+)"
    local declared = name and self.types[name:lower()]
    if not declared or not declared:lower():find "%f[%w_]cursor%f[^%w_]" then return self:give_up "open" end
    self:cursor(declared, conds)
    local arguments = s.text:match "^%s*%a+%s+[%w_]+%s*(%b())%s*$"
    if arguments and arguments:find ":=" then return self:give_up "open" end
    if arguments and arguments:find "[^%s()]" then self:statement("SELECT " .. arguments:sub(2, -2), conds) end
  end

  --- What variables hold afterwards is not known.
  local function forget(self, s) self:forget(self:given_in { s }) end
  OTHER.fetch, OTHER.move, OTHER.close, OTHER.get = forget, forget, forget, forget

  OTHER["RETURN NEXT"] = function(self, s, conds)
    if s.text ~= "" then self:statement("SELECT " .. s.text, conds) end
  end

  --- A statement that no branch of its own is for.
  ---@param s plpgsql.Statement
  ---@param conds prover.Node[]
  function Walk:other(s, conds)
    local fn = OTHER[s.what or ""]
    if fn then return fn(self, s, conds) end
    self:give_up(tostring(s.what))
  end

  --- The query that a cursor is bound to, with whatever arguments.
  ---@param type_text string  what stands behind the variable's name
  ---@param conds prover.Node[]
  function Walk:cursor(type_text, conds)
    local head = type_text:lower():find "%f[%w_]cursor%f[^%w_]"
    if not head then return end
    local rest = type_text:sub(head + 6)
    local arguments = rest:match "^%s*(%b())"
    local query = rest:match "^%s*%b()%s*%a+%s+(.*)$" or rest:match "^%s*%a+%s+(.*)$"
    if not query then return self:give_up "a cursor without a query" end
    local known = {}
    for name in (arguments or ""):gmatch "[(,]%s*([%w_]+)" do
      known[name] = self.scope.params[name] or false
      self.scope.params[name] = compile.opaque "an argument of a cursor"
    end
    self:statement(query, conds)
    for name, node in pairs(known) do self.scope.params[name] = node or nil end
  end

  --- The text that EXECUTE is given, where it stands there and takes no values.
  function Walk:fixed_text(tree)
    local value = tree and #(tree.targetList or {}) == 1 and tree.targetList[1].ResTarget.val.A_Const
    local text = value and value.sval and value.sval.sval
    return text and not text:find "%$%d" and text or nil
  end
end
