-- The outbox's states on a real server, with what a mail server's answer cannot make: an attempt that ends by an error which says nothing
-- of the message, and a database that is lost while the mail is under way.
local pg = require "pg"
local db = require "engine.db"
local errors = require "errors"
local lifecycle = require "lifecycle"
local outbox = require "outbox"

local MIGRATIONS = { "001_roles", "002_core", "009_lifecycle", "010_outbox" }

describe("outbox", function()
  local server, operator, n = nil, nil, 0

  setup(function()
    server = pg.start()
    local admin <close> = db.connect(server:options { user = "postgres" })
    for _, name in ipairs(MIGRATIONS) do
      local f = assert(io.open("stdlib/platform/migrations/" .. name .. ".sql"))
      admin:script(f:read "a")
      f:close()
    end
    operator = db.connect(server:options { user = "platform_admin" })
  end)
  teardown(function() server:stop() end)

  --- A tenant that went live, with its message; `send` is the mail server's side.
  local function live(send, options)
    n = n + 1
    local code = "t" .. n
    local id = operator:value("insert into core.tenants (code, name) values ($1, $1) returning id::text", code)
    local event = lifecycle.as_tenant(operator, id, function(tx)
      local event = lifecycle.note(tx, id, "activated", { evidence = ("%064x"):format(n) })
      outbox.add(tx, id, event, { message_id = "<" .. code .. "@x>", to = { "a@b.example" }, message = "x" })
      return event
    end)
    local ctx = { db = { operator = operator }, tenant = { code = code }, options = options or {}, mail = { send = send } }
    function ctx.db.open() return db.connect(server:options { user = "platform_admin" }) end
    function ctx.step(_, _, fn) return fn() end
    function ctx.refuse(_, class) errors.raise { code = class, message = class } end
    return { settle = function() return pcall(outbox.settle, ctx, id, event) end,
      state = function() return outbox.of(operator, id, event).state end, ctx = ctx }
  end

  it("goes back to pending where the server has certainly not taken it", function()
    local mail = live(function() errors.raise { code = "mail_connect", message = "nobody" } end)
    local ok, e = mail.settle()
    assert.is_false(ok)
    assert.equal("mail_connect", e.code)
    assert.equal("pending", mail.state())
    mail.ctx.mail.send = function() return { outcome = "sent", reply = 250, detail = "taken" } end
    assert.same({ true, "done" }, { mail.settle() })
    assert.equal("sent", mail.state())
  end)

  it("is unknown where the attempt ended by an error that says nothing of the message", function()
    local sent = 0
    local mail = live(function()
      sent = sent + 1
      error("not enough memory", 0)
    end)
    assert.is_false((mail.settle()))
    assert.equal("unknown", mail.state())
    local ok, e = mail.settle()
    assert.is_false(ok)
    assert.equal("mail_unknown", e.code)
    assert.equal(1, sent)
  end)

  it("is sending, and then unknown, where the database was lost before the outcome could be put down", function()
    local sent = 0
    local mail
    mail = live(function()
      sent = sent + 1
      local admin <close> = db.connect(server:options { user = "postgres" })
      admin:exec("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'platform_admin'")
      return { outcome = "sent", reply = 250, detail = "taken" }
    end)
    assert.is_false((mail.settle()))
    operator = db.connect(server:options { user = "platform_admin" })
    mail.ctx.db.operator = operator
    assert.equal("sending", mail.state())
    local ok, e = mail.settle()
    assert.is_false(ok)
    assert.equal("mail_unknown", e.code)
    assert.equal("unknown", mail.state())
    assert.equal(1, sent)
    mail.ctx.options.arrived = true
    assert.same({ true, "done" }, { mail.settle() })
    assert.equal("sent", mail.state())
  end)

  it("is sent by one of two that are at it at the same time", function()
    local other
    local mail
    mail = live(function()
      other = { mail.settle() }
      return { outcome = "sent", reply = 250, detail = "taken" }
    end)
    assert.same({ true, "done" }, { mail.settle() })
    assert.is_false(other[1])
    assert.equal("mail_busy", other[2].code)
    assert.equal("sent", mail.state())
  end)
end)
