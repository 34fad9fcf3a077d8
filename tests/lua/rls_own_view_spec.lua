-- What a repair of a policy changes of what the tenant's own session sees: seen on a server, with the settings of the configuration.
local SUPPORT = debug.getinfo(1, "S").source:match("^@(.*/)") .. "support/"
package.path = SUPPORT .. "?.lua;" .. package.path

local db = require "engine.db"
local pg = require "pg"
local catalogue = require "rls.catalogue"
local own_view = require "rls.own_view"

local SETTINGS = { tenant = { column = "org_id", setting = "app.org" }, schemas = { "gv" }, fixtures = {} }
local OWN = "org_id = nullif(current_setting('app.org', true), '')::int"

describe("what the tenant's own session sees", function()
  local admin

  setup(function() admin = db.connect(pg.shared():options()) end)
  teardown(function()
    admin:script "drop schema gv cascade; drop owned by own_view_app; drop role own_view_app"
    admin:close()
  end)

  --- What is said of a policy in place of another.
  local function difference(before, after, settings)
    admin:script(([[drop schema if exists gv cascade; create schema gv;
      do $$ begin create role own_view_app login; exception when duplicate_object then null; end $$;
      grant usage on schema gv to own_view_app;
      create table gv.invoices (id int generated always as identity primary key, org_id int not null, status text not null, paid boolean);
      alter table gv.invoices enable row level security; create policy p on gv.invoices using (%s);
      grant select on gv.invoices to own_view_app]]):format(before))
    settings = settings or SETTINGS
    local list, by_oid = catalogue.read(admin, settings, "own_view_app")
    local seen = { settings = settings, by_oid = by_oid, app = { role = "own_view_app" }, admin = { super = true } }
    local said
    admin:transaction(function()
      local ask = own_view.watch(admin, seen, list)
      local first = ask()
      admin:script(("alter policy p on gv.invoices using (%s)"):format(after))
      said = own_view.difference(first["gv.invoices"], ask()["gv.invoices"])
    end, { rollback = true })
    return said
  end

  it("is the same after a repair that takes away what is another tenant's alone", function()
    assert.is_nil(difference(OWN .. " and status <> 'secret' or status = 'published'",
      OWN .. " and (status <> 'secret' or status = 'published')"))
    assert.is_nil(difference(OWN .. " or paid", OWN))
  end)

  it("is another where a condition was dropped or added, or a list is read as one value", function()
    assert.equal("the tenant's own session sees 1 of its own row(s) with \"status\" = 'secret' afterwards, and saw 0 before",
      difference(OWN .. " and status <> 'secret' or status = 'published'", OWN))
    assert.equal("the tenant's own session sees 0 of its own row(s) afterwards, and saw 1 before",
      difference(OWN .. " and (paid or paid is null)", OWN .. " and paid"))
    local lists = { tenant = { column = "org_id", setting = "app.org", value = "{id},2" }, schemas = { "gv" }, fixtures = {} }
    assert.equal("the tenant's own statements end in an error afterwards",
      difference("org_id = any(string_to_array(current_setting('app.org', true), ',')::int[])", OWN, lists))
  end)
end)
