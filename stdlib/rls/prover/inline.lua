--- Calls: the part of rls.prover.compile that reads the functions a policy calls.
--
-- A function in SQL with one SELECT is read as what it returns, and so is one in PL/pgSQL that only assigns, asks and returns
-- (rls.prover.program). Any other function is opaque, and only if nothing in its text could change the session: a function may set the
-- very setting that a policy compares with. In the text of a function that does not pin its search_path names mean what the caller
-- makes of them, and types and tables can be shadowed in pg_temp even then, unless the path names it last (PostgreSQL manual, CREATE
-- FUNCTION, "Writing SECURITY DEFINER Functions Safely").
local builtins = require "rls.prover.builtins"
local functions = require "rls.prover.functions"
local sorts = require "rls.prover.sorts"

local DEPTH_MAX = 8
local HIJACKED = "\1hijacked." -- no setting is called so

---@class prover.Function
---@field language string          "sql", "plpgsql", …
---@field body string              prosrc, or what pg_get_function_sqlbody prints
---@field parsed boolean?          the body was parsed when the function was made (RETURN …, BEGIN ATOMIC)
---@field args {name: string?, type: string}[]?
---@field defaults string?         those of its last arguments, as expressions with commas between them
---@field returns string?          format_type
---@field returns_set boolean?
---@field strict boolean?
---@field volatility string?       "i", "s", "v"
---@field security_definer boolean?
---@field owner string?
---@field owner_bypasses boolean?  is its owner bound by no row-level security at all?
---@field config string[]?         proconfig
---@field shadowed boolean?         pg_catalog has a function of that name, which a bare name means

-- Words that a body may not have unless the prover reads the body itself.
local FORBIDDEN = {}
for word in ("set_config execute set reset discard call insert update delete merge copy do load import perform"):gmatch "%S+" do
  FORBIDDEN[word] = true
end
-- What may stand before a parenthesis without being a call that matters.
local HARMLESS = {}
for word in ([[if elsif while and or not in exists any all some coalesce nullif values select where when then else from on using as over by
    array row cast count sum max min avg bool_or bool_and array_agg now current_setting greatest least case return is limit with union
    varchar numeric char decimal extract]]):gmatch "%S+" do
  HARMLESS[word] = true
end

return function(compile)
  local opaque = compile.opaque

  --- The user's functions of this name. A bare one that is none of pg_catalog's means the only one of that name, in whatever schema:
  --- that the caller's search path finds it is noted where the name is looked up (compile.system_name).
  local function own_functions(names, cx)
    local all = cx.input.functions
    if not all then return nil end
    local name = table.concat(names, ".")
    if all[name] or #names > 1 or not cx.body or functions.known(name) or functions.DANGEROUS[name] then return all[name], name end
    local found
    for label in pairs(all) do
      if label:match "[^.]*$" == name and not (all[label][1] or all[label]).shadowed then
        if found then return nil end
        found = label
      end
    end
    return all[found or name], found or name
  end

  --- The default values of a function's last arguments, as trees.
  local function defaults_of(f)
    local tree = f.defaults and compile.parse("SELECT " .. f.defaults)
    return tree and tree.targetList or {}
  end

  --- The function of this name with so many arguments, or with more that have default values; nil for none or several.
  local function find(names, count, cx)
    local own = own_functions(names, cx)
    if own and own[1] then
      local found, several
      for _, f in ipairs(own) do
        local most = #(f.args or {})
        if count <= most and count >= most - #defaults_of(f) then
          several = found ~= nil
          found = found or f
        end
      end
      return not several and found or nil
    end
    return own
  end

  --- Why the text may change the session, or nil.
  local function wild(f, cx, depth)
    if f.volatility == "i" and (f.language == "c" or f.language == "internal") then return nil end
    if f.language ~= "sql" and f.language ~= "plpgsql" then return "it is written in " .. tostring(f.language) end
    local text = f.body:lower()
    for word in text:gmatch "[%a_][%w_$]*" do
      if FORBIDDEN[word] then return "its text has the word " .. word end
    end
    if text:find "%$" or text:find '"' then return "its text has quotes that are not read" end
    for name in text:gmatch "([%a_][%w_$.]*)%s*%(" do
      local own = cx.input.functions and cx.input.functions[name]
      if own and depth < DEPTH_MAX then
        for _, other in ipairs(own[1] and own or { own }) do
          local why = wild(other, cx, depth + 1)
          if why then return ("it calls %s, and %s"):format(name, why) end
        end
      elseif not HARMLESS[name] and not functions.known(name:gsub("^pg_catalog%.", "")) then
        return "it calls " .. name
      end
    end
    return nil
  end

  --- Has each of its statements looked at as part of the function that calls it?
  local function is_walked(f, cx)
    local touches = cx.input.may_touch
    return touches and (f.language == "sql" or f.language == "plpgsql") and not compile.stands_apart(f) and touches(f)
  end

  local function all_walked(own, cx)
    for _, f in ipairs(own and (own[1] and own or { own }) or {}) do
      if not is_walked(f, cx) then return false end
    end
    return own ~= nil
  end

  local function not_read(f, name, cx, why)
    local danger = not is_walked(f, cx) and wild(f, cx, 0)
    if danger and not cx.poison then
      cx.poison = ("it calls %s, which cannot be looked through: %s"):format(name, danger)
    end
    return opaque(("%s (%s)"):format(name, why), f.returns and sorts.of(f.returns, cx.input.types))
  end

  --- Drops comments that begin outside of quotes, as far as one line shows.
  local function without_comments(text)
    local out = {}
    for line in (text .. "\n"):gmatch "(.-)\n" do
      local at = line:find("--", 1, true)
      local before = at and line:sub(1, at - 1)
      if before and not before:find "['\"$]" then line = before end
      out[#out + 1] = line
    end
    return table.concat(out, "\n")
  end

  --- The one SELECT that a body returns, as text; nil with the reason.
  local function body_of(f)
    local text = without_comments(f.body)
    local lower = text:lower()
    if f.language == "plpgsql" then
      local block, problem = compile.program_of(f)
      local only = block and #block.body == 1 and not block.handlers and #block.declared == 0 and block.body[1]
      if only and only.k == "query" and f.returns_set then return only.text end
      if only and only.k == "return" and not f.returns_set then return "SELECT " .. only.text end
      return nil, problem or "PL/pgSQL with more than one RETURN"
    elseif f.language ~= "sql" then
      return nil, "written in " .. tostring(f.language)
    end
    local from = lower:match "^%s*return%s+()"
    if from then return "SELECT " .. text:sub(from):gsub("%s*;?%s*$", "") end
    local first, last = lower:match "^%s*begin%s+atomic%s+().-();?%s*end%s*;?%s*$"
    if first then return text:sub(first, last - 1) end
    return f.body
  end

  --- The search path that the function sets, as a list; nil where it sets none. A second result says that it sets something else too.
  local function path_of(f)
    local path, other
    for _, item in ipairs(f.config or {}) do
      local list = item:match "^search_path=(.*)$"
      if not list then
        other = item:match "^[^=]*"
      else
        path = {}
        for name in list:gmatch "[^,%s\"]+" do path[#path + 1] = name end
      end
    end
    return path, other
  end

  --- Where the names in a function's text are looked up.
  function compile.body_context(f, name, cx)
    local path, other = path_of(f)
    -- A function without one has the path of the function that calls it.
    path = path or cx.body and cx.body.path
    local role = cx.input.role
    local trusted = f.parsed or cx.input.trust_search_path
    return {
      name = name,
      path = path,
      pinned = trusted or path ~= nil or role.may_create == false,
      temp_last = trusted or role.may_temp == false or (path ~= nil and path[#path] == "pg_temp"),
    }, other
  end

  --- The arguments as parameters of the body, by name and number.
  local function parameters(f, name, args, cx)
    local params = {}
    for i, arg in ipairs(f.args or {}) do
      local node = compile.cast(args[i], sorts.of(arg.type, cx.input.types))
      params[i] = node
      if arg.name and arg.name ~= "" then params[arg.name] = node end
    end
    return { params = params, params_of = name:match "[^.]*$" }
  end

  --- Compiles the body in its own context: definer's rights, its search path. Without a tree it is a program in PL/pgSQL. The third result
  --- is what it rests on that the session may give another meaning, where the caller of this puts another node in its place then.
  local function read_body(f, name, args, cx, tree, may_replace)
    local saved = { cx.body, cx.current_user, cx.bypass, cx.depth, cx.definer }
    local body = compile.body_context(f, name, cx)
    body.replaced = may_replace and true or nil
    cx.body = body
    cx.depth = cx.depth + 1
    if f.security_definer then
      cx.definer, cx.current_user = true, f.owner or "?"
      cx.bypass = f.owner_bypasses == true and true or "unknown"
    end
    local read = tree and compile.select or function(_, params) return compile.program(f, params, cx) end
    local sub, problem = read(tree, parameters(f, name, args, cx), cx)
    cx.body, cx.current_user, cx.bypass, cx.depth, cx.definer = saved[1], saved[2], saved[3], saved[4], saved[5]
    return sub, problem, body.replaced ~= true and body.replaced or nil
  end

  --- Why the call cannot be read as the function's text, or nil with the text's tree.
  local function obstacle(f, args, cx)
    local _, other = path_of(f)
    if other then return "it sets " .. other end
    if cx.depth >= DEPTH_MAX then return "functions nested too deep" end
    if #args ~= #(f.args or {}) then return "called with default or variadic arguments" end
    local text, problem = body_of(f)
    if not text and compile.program_trees(f) then return nil, nil end
    if not text then return problem end
    local tree, unread = compile.parse(text)
    if not tree then return unread end
    return nil, tree
  end

  local function scan_text(f, name, cx, seen)
    local text = body_of(f)
    local tree = text and compile.parse(text)
    if tree then return compile.scan(tree, cx, seen) end
    local trees = compile.program_trees(f)
    for _, one in ipairs(trees or {}) do compile.scan(one, cx, seen) end
    if trees then return end
    local danger = wild(f, cx, 0)
    if danger then cx.poison = cx.poison or ("it calls %s, which cannot be looked through: %s"):format(name, danger) end
  end

  --- What a function does to the session, as far as its text tells.
  local function scan_function(f, name, cx, seen)
    if seen[f] then return end
    seen[f] = true
    if is_walked(f, cx) then return end
    local saved = cx.body
    cx.body = cx.body or { name = name }
    scan_text(f, name, cx, seen)
    cx.body = saved
  end

  --- Looks at every call in a tree, also where the construct around it is not understood: none may change the session.
  function compile.scan(tree, cx, seen)
    if type(tree) ~= "table" then return end
    for key, value in pairs(tree) do
      if key == "FuncCall" then
        local names = compile.names(value.funcname)
        local name = table.concat(names, ".")
        local own, label = own_functions(names, cx)
        name = label or name
        local system = #names == 1 or (#names == 2 and names[1] == "pg_catalog")
        if own then
          for _, f in ipairs(own[1] and own or { own }) do scan_function(f, name, cx, seen) end
        elseif not system or (functions.DANGEROUS[names[#names]] and not (cx.reads_runners and builtins.runs(names[#names]))) then
          cx.poison = cx.poison or (system and "it calls %s, which may change the session or run other SQL"
            or "it calls %s, of which nothing is known"):format(name)
        end
      end
      compile.scan(value, cx, seen)
    end
  end

  local function arguments(c, scope, cx)
    local args = {}
    for i, arg in ipairs(c.args or {}) do
      if arg.NamedArgExpr then return nil end
      args[i] = compile.expr(arg, scope, cx)
    end
    return not c.func_variadic and args or nil
  end

  --- The arguments with the default values of those that are not given.
  local function completed(f, args, cx)
    local list = defaults_of(f)
    for i = #args + 1, #(f.args or {}) do
      local item = list[#list - (#f.args - i)]
      args[i] = item and compile.expr(item.ResTarget.val, {}, cx) or nil
    end
    return args
  end

  local function unknown_function(name, cx)
    cx.poison = cx.poison or ("it calls %s, of which nothing is known"):format(name)
    return opaque("the function " .. name)
  end

  --- What is known of the kind of function that a name means: of several, only what holds for each of them.
  function compile.own_function(names, cx)
    local own = own_functions(names, cx)
    if not own or not own[1] then return own end
    local out = { language = own[1].language, returns_set = false, scalar = true }
    for _, f in ipairs(own) do
      out.returns_set = out.returns_set or f.returns_set == true
      if f.language ~= "sql" and f.language ~= "plpgsql" then out.language = f.language end
    end
    return out
  end

  --- What a function answers that the session gives another meaning: as a setting that it may set to anything.
  local function whatever(name, f, cx)
    return compile.cast({ k = "setting", t = "text", name = HIJACKED .. name, missing_ok = true }, sorts.of(f.returns, cx.input.types))
  end

  --- A call in an expression.
  function compile.call(c, scope, cx)
    local names = compile.names(c.funcname)
    local args = arguments(c, scope, cx)
    local system = compile.system_name(names, cx, "function")
    local own, name = own_functions(names, cx)
    if system and not own then
      local variadic = c.func_variadic and system:find "_extract_path_text$" and #(c.args or {}) == 2
      if variadic then
        local document, list = compile.expr(c.args[1], scope, cx), compile.expr(c.args[2], scope, cx)
        if list.k == "array" then return compile.system_call(system, { document, table.unpack(list.items) }, cx) end
      end
      if not args or c.agg_star or c.over then return opaque("a call of " .. system) end
      return compile.system_call(system, args, cx)
    end
    name = name or table.concat(names, ".")
    local f = find(names, #(c.args or {}), cx)
    if not f and all_walked(own, cx) then return opaque("the function " .. name) end
    if not f then return unknown_function(name, cx) end
    if not args then return not_read(f, name, cx, "named or variadic arguments") end
    args = completed(f, args, cx)
    local why, tree = obstacle(f, args, cx)
    if why or f.returns_set then return not_read(f, name, cx, why or "a set") end
    local sub, problem, open = read_body(f, name, args, cx, tree, f.returns ~= nil)
    if open then return whatever(name, f, cx) end
    if not sub then return not_read(f, name, cx, problem) end
    local node = tree and compile.scalar(sub) or sub
    if node.k == "scalar" then node.first = true end
    if f.returns then node = compile.cast(node, sorts.of(f.returns, cx.input.types)) end
    return f.strict and { k = "strict", t = node.t, args = args, a = node } or node
  end

  --- An operator of the user's own as a call of its function; nil for any other. A bare name that pg_catalog has too means the one or the
  --- other, by its operands.
  function compile.operator_call(c, written, scope, cx)
    local found
    for _, o in ipairs(c.kind == "AEXPR_OP" and cx.input.leads and cx.input.leads.operators or {}) do
      local bare = #c.name == 1 and cx.body and not o.shadowed and o.name:match "^[^.]*%.(.*)$" == written
      if o.name == written or bare then
        if found then return opaque("the operator " .. written .. ", of which there are several") end
        found = o.f
      end
    end
    local list = found and cx.input.functions[found.name]
    if not list or #list ~= 1 then return nil end
    local schema, name = found.name:match "^([^.]*)%.(.*)$"
    local args = c.lexpr and { c.lexpr, c.rexpr } or { c.rexpr }
    return compile.call({ funcname = { { String = { sval = schema } }, { String = { sval = name } } }, args = args }, scope, cx)
  end

  --- A call of a set-returning function: its query, or nil with the reason.
  function compile.set_function(c, scope, cx)
    local names = compile.names(c.funcname)
    local _, label = own_functions(names, cx)
    local name = label or table.concat(names, ".")
    local args = arguments(c, scope, cx)
    local f = args and find(names, #args, cx)
    if not f then
      unknown_function(name, cx)
      return nil, name
    end
    args = completed(f, args, cx)
    local why, tree = obstacle(f, args, cx)
    local sub
    if not why and tree then sub, why = read_body(f, name, args, cx, tree) end
    if not sub or sub.union or sub.aggregate or not sub.targets[1] then
      why = why or (sub and sub.union and "a UNION") or (sub and sub.aggregate and "an aggregate") or "its query"
      not_read(f, name, cx, why)
      return nil, ("%s (%s)"):format(name, why)
    end
    if f.returns then sub.targets[1] = compile.cast(sub.targets[1], sorts.of(f.returns, cx.input.types)) end
    return sub
  end
end
