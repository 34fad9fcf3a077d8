-- The worker's channel to the broker, against a peer process that speaks the frame format on its own.
local exec = require "engine.exec"
local kit = require "testkit"
local task = require "engine.task"
local failure = require("raised").failure

local SUPPORT = debug.getinfo(1, "S").source:match("^@(.*/)") .. "support/"

local peers = {}

--- Starts the peer and attaches to it.
local function attach(scenario, options)
  local mine, theirs = kit.socketpair()
  local pid = kit.spawn({ "/usr/bin/python3", SUPPORT .. "broker_peer.py", scenario }, theirs)
  peers[#peers + 1] = pid
  kit.close(theirs)
  local channel = exec.attach(mine, options)
  kit.close(mine)
  return channel, pid
end

describe("engine.exec", function()
  after_each(function()
    for _, pid in ipairs(peers) do
      pcall(kit.kill, pid)
      kit.wait(pid)
    end
    peers = {}
  end)

  describe("a request", function()
    it("comes back with the peer's reply and its payload, byte for byte", function()
      local channel = attach "echo"
      local bytes = "\0\1\255 payload"
      local reply, payload = channel:request({ op = "x", list = { 1, 2 }, text = "ü" }, bytes)
      assert.are.equal("req", reply.echo.t)
      assert.are.same({ 1, 2 }, reply.echo.list)
      assert.are.equal("ü", reply.echo.text)
      assert.are.equal(#bytes, reply.n)
      assert.are.equal(bytes, payload)
      assert.is_nil(reply.id)
      assert.is_nil(reply.ok)
    end)

    it("carries megabytes each way without the two ends blocking on each other", function()
      local channel = attach "echo"
      local bytes = ("0123456789abcdef"):rep(512 * 1024)
      local reply, payload = channel:request({ op = "x" }, bytes)
      assert.are.equal(#bytes, reply.n)
      assert.is_true(payload == bytes)
    end)

    it("gets its own reply when replies come in another order and cut across reads", function()
      local channel = attach "reversed"
      local names = task.map({ "first", "second" }, 2, function(name)
        return (channel:request { op = "x", name = name }).name
      end)
      assert.are.equal("first second", table.concat(names, " "))
    end)

    it("is answered for each of many coroutines on one channel", function()
      local channel = attach "echo"
      local list = {}
      for i = 1, 200 do list[i] = i end
      local got = task.map(list, 16, function(i)
        local reply, payload = channel:request({ op = "x", i = i }, ("p"):rep(i * 100))
        return reply.echo.i * 1000000 + #payload
      end)
      for i = 1, 200 do
        assert.are.equal(i * 1000000 + i * 100, got[i])
      end
    end)

    it("raises the broker's refusal with all its fields", function()
      local channel = attach "refusal"
      local e = failure(channel.run, channel, "reboot")
      assert.are.same({ "exec_not_declared", 'no command "reboot"', "declared: a, b", "declare it" },
        { e.code, e.message, e.detail, e.fix })
    end)

    it("refuses what JSON cannot hold, and the channel goes on", function()
      local channel = attach "echo"
      local cycle = {}
      cycle.me = cycle
      assert.are.equal("value_cycle", failure(channel.request, channel, cycle).code)
      assert.are.equal("bad_argument", failure(channel.request, channel, { 1, 2 }).code)
      assert.are.equal("bad_argument", failure(channel.request, channel, "text").code)
      assert.are.equal(7, channel:request({ op = "x", i = 7 }).echo.i)
    end)

    it("ends at its own timeout while the broker is silent", function()
      local channel = attach "silent"
      assert.are.equal("channel_timeout", failure(channel.request, channel, { op = "x" }, "", 0.05).code)
    end)
  end)

  describe("an event", function()
    it("reaches the broker before the next one and before the next request", function()
      local channel = attach "collect"
      local sent = {}
      for i = 1, 100 do
        sent[i] = "event " .. i
        channel:send({ t = "check", name = sent[i] }, ("x"):rep(i))
      end
      local reply = channel:request { op = "count" }
      assert.are.same(sent, reply.seen)
      assert.are.equal(5050, reply.bytes)
    end)

    it("of many coroutines is never mixed with another's bytes", function()
      local channel = attach "collect"
      local names = {}
      for i = 1, 20 do names[i] = "n" .. i end
      local bytes = ("y"):rep(1 << 20)
      task.map(names, 20, function(name)
        channel:send({ name = name }, bytes)
      end)
      local reply = channel:request { op = "count" }
      table.sort(names)
      table.sort(reply.seen)
      assert.are.same(names, reply.seen)
      assert.are.equal(20 << 20, reply.bytes)
    end)

    it("to a broker which reads nothing ends with channel_lost, not with waiting", function()
      local channel = attach("silent", { stall = 0.05 })
      local e = failure(function()
        channel:send({ name = "x" }, ("z"):rep(16 << 20))
      end)
      assert.are.equal("channel_lost", e.code)
    end)
  end)

  describe("a broker that is gone", function()
    for scenario, code in pairs {
      close_at_once = "channel_lost",
      close_after_request = "channel_lost",
      half_a_frame = "channel_lost",
      no_frame = "channel_protocol",
      wrong_id = "channel_protocol",
    } do
      it("ends the open request and every later one with " .. code .. " (" .. scenario .. ")", function()
        local channel = attach(scenario)
        assert.are.equal(code, failure(channel.request, channel, { op = "x" }).code)
        assert.are.equal(code, failure(channel.request, channel, { op = "x" }).code)
        assert.are.equal(code, failure(channel.send, channel, { name = "x" }).code)
      end)
    end

    it("ends the requests of all coroutines", function()
      local channel, pid = attach "silent"
      local codes = task.map({ 1, 2, 3, 4 }, 4, function(i)
        if i == 4 then
          kit.kill(pid)
        end
        return failure(channel.request, channel, { op = "x" }).code
      end)
      assert.are.equal(("channel_lost "):rep(4), table.concat(codes, " ") .. " ")
    end)
  end)

  describe("a command", function()
    it("gives its exit status and both outputs apart, byte for byte", function()
      local channel = attach "command"
      local r = channel:run("solver", { stdin = "a\0b", args = { "-x", "1" }, perturb = { env = { TZ = "UTC" } }, timeout = 5 })
      assert.are.equal(3, r.exit)
      assert.is_nil(r.signal)
      assert.are.equal("out:a\0b", r.stdout)
      assert.are.equal("err\0\255", r.stderr)
      assert.are.equal(1.5, r.duration_ms)
      assert.are.same({ applied = { env = { TZ = "UTC" } }, args = { "-x", "1" } }, r.perturb)
      assert.is_nil(r.stdout_len)
    end)

    it("takes an empty list of arguments as a list", function()
      local channel = attach "command"
      assert.are.same({}, channel:run("solver", { args = {} }).perturb.args)
    end)

    it("whose lengths do not add up is a broken answer", function()
      local channel = attach "wrong_lengths"
      assert.are.equal("channel_protocol", failure(channel.run, channel, "solver").code)
    end)

    it("refuses arguments that no argv can hold, and misspelt options", function()
      local channel = attach "silent"
      assert.are.equal("bad_argument", failure(channel.run, channel, "s", { args = { "a\0b" } }).code)
      assert.are.equal("bad_argument", failure(channel.run, channel, "s", { args = { 1 } }).code)
      assert.are.equal("bad_argument", failure(channel.run, channel, "s", { args = { x = "y" } }).code)
      assert.are.equal("bad_argument", failure(channel.run, channel, "s\0t").code)
      assert.matches('did you mean "stdin"', failure(channel.run, channel, "s", { stdn = "x" }).message, 1, true)
    end)
  end)

  it("resolves a name to the broker's addresses", function()
    local channel = attach "resolve"
    assert.are.same({ "127.0.0.1", "::1" }, channel:resolve("osrm.example", 5000))
  end)

  it("takes an empty list of addresses for a broken answer", function()
    local channel = attach "resolve_empty"
    assert.are.equal("channel_protocol", failure(channel.resolve, channel, "osrm.example").code)
  end)

  it("attaches to stream sockets alone", function()
    local r, w = kit.pipe()
    assert.are.equal("channel_lost", failure(exec.attach, r).code)
    assert.are.equal("channel_lost", failure(exec.attach, 9999).code)
    assert.are.equal("bad_argument", failure(exec.attach, -1).code)
    kit.close(r)
    kit.close(w)
  end)

  it("says clearly that a closed channel is closed", function()
    local channel = attach "echo"
    assert.are.equal("exec.channel (open)", tostring(channel))
    channel:close()
    channel:close()
    assert.are.equal("exec.channel (closed)", tostring(channel))
    assert.are.equal("channel_lost", failure(channel.request, channel, { op = "x" }).code)
  end)
end)
