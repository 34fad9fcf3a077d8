-- Stores on a real file system: round trips, and attempts to get out of the root or to leave rubbish behind.
local store = require "engine.store"
local kit = require "testkit"
local failure = require("raised").failure

local root, outside

local function sh(fmt, ...)
  assert(os.execute(fmt:format(...)), fmt)
end

local function read(path)
  local f = assert(io.open(path, "rb"))
  local s = f:read "a"
  f:close()
  return s
end

local function write(path, bytes)
  local f = assert(io.open(path, "wb"))
  f:write(bytes)
  f:close()
end

--- Everything below the root, as find prints it.
local function tree(path)
  local p = assert(io.popen(("cd '%s' && find . -mindepth 1 | sort"):format(path)))
  local s = p:read "a"
  p:close()
  return s
end

local function keys(list)
  local out = {}
  for i, item in ipairs(list) do out[i] = item.key end
  return out
end

describe("engine.store", function()
  local s

  before_each(function()
    local p = assert(io.popen "mktemp -d")
    local base = p:read "l"
    p:close()
    root, outside = base .. "/root", base .. "/outside"
    sh("mkdir '%s' '%s'", root, outside)
    s = store.open { path = root }
  end)

  after_each(function()
    s:close()
    sh("rm -rf '%s'", (root:gsub("/root$", "")))
  end)

  describe("round trip", function()
    it("gives back the bytes that were put, with size and SHA-256", function()
      local bytes = "\0\1\255 plan\n"
      local info = s:put("a/b/plan.json", bytes)
      assert.are.same({ key = "a/b/plan.json", size = 9 }, { key = info.key, size = info.size })
      local p = assert(io.popen(("sha256sum '%s/a/b/plan.json'"):format(root)))
      assert.are.equal(p:read(64), info.sha256)
      p:close()
      local got, about = s:get "a/b/plan.json"
      assert.are.equal(bytes, got)
      assert.are.equal(info.sha256, about.sha256)
      assert.are.equal(9, s:head("a/b/plan.json").size)
    end)

    it("holds for the empty value and for several megabytes", function()
      s:put("empty", "")
      assert.are.equal("", (s:get "empty"))
      local big = ("0123456789abcdef"):rep(300 * 1024)
      s:put("big", big)
      assert.is_true((s:get "big") == big)
    end)

    it("replaces a value and leaves nothing else", function()
      s:put("k", "one")
      s:put("k", "two")
      assert.are.equal("two", (s:get "k"))
      assert.are.equal("./k\n", tree(root))
    end)

    it("raises store_corrupt for bytes which are not what was put", function()
      local info = s:put("k", "what was put")
      assert.are.equal("what was put", (s:get("k", { expect_sha256 = info.sha256 })))
      write(root .. "/k", "something else")
      local e = failure(s.get, s, "k", { expect_sha256 = info.sha256 })
      assert.are.equal("store_corrupt", e.code)
      assert.matches(info.sha256, e.message, 1, true)
    end)

    it("says missing for what is not there, a directory included", function()
      s:put("dir/k", "x")
      assert.are.equal("store_missing", failure(s.get, s, "nothing").code)
      assert.are.equal("store_missing", failure(s.get, s, "no/thing").code)
      assert.are.equal("store_missing", failure(s.get, s, "dir").code)
      assert.is_nil(s:head "nothing")
      assert.is_nil(s:head "no/thing")
      assert.is_nil(s:head "dir")
      assert.is_false(s:delete "nothing")
      assert.is_false(s:delete "dir")
      assert.are.equal("x", (s:get "dir/k"))
    end)

    it("stops at the given size", function()
      s:put("k", ("x"):rep(100))
      assert.are.equal("store_too_large", failure(s.get, s, "k", { max = 99 }).code)
      assert.are.equal(100, #s:get("k", { max = 100 }))
    end)
  end)

  describe("list", function()
    it("is sorted by key and takes any beginning as prefix", function()
      for _, k in ipairs { "b", "a/2", "a/10", "a-b", "ab/x", "c/d/e/f" } do s:put(k, k) end
      assert.are.same({ "a-b", "a/10", "a/2", "ab/x", "b", "c/d/e/f" }, keys(s:list()))
      assert.are.same({ "a/10", "a/2" }, keys(s:list "a/"))
      assert.are.same({ "a-b", "a/10", "a/2", "ab/x" }, keys(s:list "a"))
      assert.are.same({ "c/d/e/f" }, keys(s:list "c/d/e/f"))
      assert.are.same({}, keys(s:list "zz"))
      assert.are.equal(4, s:list("a/10")[1].size)
    end)

    it("leaves links, special files and unfinished writes out", function()
      s:put("real", "x")
      sh("cd '%s' && ln -s real link && ln -s ../outside dirlink && mkfifo fifo && echo x > .gate-tmp-00ff", root)
      write(outside .. "/secret", "s")
      assert.are.same({ "real" }, keys(s:list()))
      assert.are.same({}, keys(s:list "dirlink/"))
    end)

    it("finds nothing outside by any prefix", function()
      write(outside .. "/secret", "s")
      assert.are.same({}, keys(s:list "../outside/"))
      assert.are.equal("store_key", failure(s.list, s, outside .. "/").code)
      assert.are.equal("store_key", failure(s.list, s, "a\0b").code)
    end)
  end)

  describe("delete", function()
    it("removes the value and the directories that become empty, and no others", function()
      s:put("a/b/c/one", "1")
      s:put("a/two", "2")
      assert.is_true(s:delete "a/b/c/one")
      assert.are.equal("./a\n./a/two\n", tree(root))
      assert.is_true(s:delete "a/two")
      assert.are.equal("", tree(root))
    end)
  end)

  describe("a key", function()
    for title, key in pairs {
      ["that climbs"] = "../outside/x",
      ["that climbs amid"] = "a/../../outside/x",
      ["that is absolute"] = "/etc/passwd",
      ["with a dot component"] = "a/./b",
      ["with an empty component"] = "a//b",
      ["that ends in a slash"] = "a/",
      ["that is empty"] = "",
      ["that is the parent"] = "..",
      ["with a NUL byte"] = "a\0b",
      ["with a component of 300 bytes"] = "a/" .. ("x"):rep(300),
      ["over 1024 bytes"] = ("abcdefg/"):rep(128) .. "x",
      ["with over 64 components"] = ("a/"):rep(64) .. "b",
      ["that is not UTF-8"] = "a\255b",
      ["with a line break"] = "a\nb",
      ["with an escape"] = "a\27[2Jb",
      ["with a delete character"] = "a\127b",
      ["with a C1 control character"] = "a\u{9b}2Jb",
      ["of an unfinished write"] = ".gate-tmp-00ff",
    } do
      it(title .. " is refused by every operation", function()
        sh("mkdir -p '%s/a'", root)
        assert.are.equal("store_key", failure(s.put, s, key, "x").code)
        assert.are.equal("store_key", failure(s.get, s, key).code)
        assert.are.equal("store_key", failure(s.head, s, key).code)
        assert.are.equal("store_key", failure(s.delete, s, key).code)
        assert.are.equal("./a\n", tree(root))
      end)
    end

    it("may be as long as the rules allow and hold any other character", function()
      for _, key in ipairs { ("x"):rep(255), ("abcdefg/"):rep(7) .. "é ü*'\"\\", "..a", "a..", "..." } do
        s:put(key, key)
        assert.are.equal(key, (s:get(key)))
      end
    end)

    it("cannot go through a file, nor replace a directory", function()
      s:put("file", "x")
      s:put("dir/k", "x")
      assert.are.equal("store_key", failure(s.put, s, "file/k", "x").code)
      assert.are.equal("store_key", failure(s.put, s, "dir", "x").code)
      assert.are.equal("./dir\n./dir/k\n./file\n", tree(root))
    end)
  end)

  describe("a symbolic link", function()
    it("to a file outside is neither read nor written through", function()
      write(outside .. "/secret", "secret")
      sh("ln -s '%s/secret' '%s/k'", outside, root)
      assert.are.equal("store_denied", failure(s.get, s, "k").code)
      assert.are.equal("store_denied", failure(s.head, s, "k").code)
      s:put("k", "mine")
      assert.are.equal("secret", read(outside .. "/secret"))
      assert.are.equal("mine", (s:get "k"))
    end)

    it("to a directory outside is no way out for any operation", function()
      write(outside .. "/secret", "secret")
      sh("ln -s '%s' '%s/d'", outside, root)
      assert.are.equal("store_denied", failure(s.get, s, "d/secret").code)
      assert.are.equal("store_denied", failure(s.put, s, "d/new", "x").code)
      assert.are.equal("store_denied", failure(s.put, s, "d/deeper/new", "x").code)
      assert.are.equal("store_denied", failure(s.delete, s, "d/secret").code)
      assert.are.equal("./secret\n", tree(outside))
    end)

    it("to a directory inside is refused as well", function()
      s:put("real/k", "x")
      sh("ln -s real '%s/d'", root)
      assert.are.equal("store_denied", failure(s.get, s, "d/k").code)
    end)

    it("swapped in for a parent again and again never leads outside", function()
      write(outside .. "/k", "secret")
      local stop = root .. "/../stop"
      local pid = kit.spawn { "/bin/sh", "-c", ([[cd '%s'; exec 2>/dev/null; while [ ! -e '%s' ]; do
        mkdir d; rm -rf d; ln -s '%s' d; rm -f d; done; true]]):format(root, stop, outside) }
      for _ = 1, 1000 do
        local ok, got = pcall(s.get, s, "d/k")
        assert.is_true(not ok or got ~= "secret")
        pcall(s.put, s, "d/k", "ours")
        pcall(s.delete, s, "d/k")
      end
      write(stop, "")
      kit.wait(pid)
      assert.are.equal("secret", read(outside .. "/k"))
      assert.are.equal("./k\n", tree(outside))
    end)
  end)

  it("is not held up by a FIFO under a key", function()
    sh("mkfifo '%s/k'", root)
    assert.are.equal("store_denied", failure(s.get, s, "k").code)
  end)

  describe("a full disk", function()
    after_each(function()
      kit.limit_file_size(-1)
    end)

    it("leaves the former value and no unfinished file (limit on file size)", function()
      s:put("k", "former")
      kit.limit_file_size(4096)
      local e = failure(s.put, s, "k", ("x"):rep(8192))
      kit.limit_file_size(-1)
      assert.are.equal("store_full", e.code)
      assert.are.equal("former", (s:get "k"))
      assert.are.equal("./k\n", tree(root))
    end)

    it("leaves the former value and no unfinished file (a file system of 64 KB)", function()
      if kit.uid ~= 0 or not os.execute(("mount -t tmpfs -o size=64k none '%s' 2>/dev/null"):format(root)) then
        pending "needs the right to mount"
        return
      end
      finally(function() sh("umount '%s'", root) end)
      local small <close> = store.open { path = root }
      small:put("k", "former")
      assert.are.equal("store_full", failure(small.put, small, "k", ("x"):rep(256 * 1024)).code)
      assert.are.equal("former", (small:get "k"))
      assert.are.equal("./k\n", tree(root))
    end)
  end)

  describe("read only", function()
    it("refuses put and delete, and creates nothing", function()
      s:put("k", "x")
      local r <close> = store.open { path = root, readonly = true }
      assert.are.equal("store_readonly", failure(r.put, r, "k2", "x").code)
      assert.are.equal("store_readonly", failure(r.delete, r, "k").code)
      assert.are.equal("x", (r:get "k"))
      assert.are.equal("./k\n", tree(root))
      assert.are.equal("store_missing",
        failure(store.open, { path = root .. "/new", readonly = true, create = true }).code)
    end)
  end)

  describe("of one file", function()
    it("has that file's name as its only key", function()
      write(outside .. "/input.txt", "one")
      write(outside .. "/other.txt", "two")
      local f <close> = store.open { kind = "file", path = outside .. "/input.txt", readonly = true }
      assert.are.equal("one", (f:get()))
      assert.are.equal("one", (f:get "input.txt"))
      assert.are.same({ "input.txt" }, keys(f:list()))
      assert.are.same({}, keys(f:list "o"))
      assert.are.equal("store_missing", failure(f.get, f, "other.txt").code)
      assert.are.equal("store_readonly", failure(f.put, f, nil, "x").code)
    end)

    it("is replaced in place, and nothing beside it is made", function()
      write(outside .. "/input.txt", "one")
      local f <close> = store.open { kind = "file", path = outside .. "/input.txt" }
      f:put(nil, "new")
      assert.are.equal("new", read(outside .. "/input.txt"))
      assert.are.equal("store_missing", failure(f.put, f, "other.txt", "x").code)
      assert.are.equal("./input.txt\n", tree(outside))
    end)

    it("must be a regular file that is there", function()
      assert.are.equal("store_missing", failure(store.open, { kind = "file", path = outside .. "/no" }).code)
      assert.are.equal("store_key", failure(store.open, { kind = "file", path = outside }).code)
      assert.are.equal("store_key", failure(store.open, { kind = "file", path = "/dev/null" }).code)
    end)
  end)

  describe("opening", function()
    it("makes the directory only when asked to", function()
      assert.are.equal("store_missing", failure(store.open, { path = root .. "/x/y" }).code)
      local n <close> = store.open { path = root .. "/x/y", create = true }
      n:put("k", "v")
      assert.are.equal("v", read(root .. "/x/y/k"))
    end)

    it("names a wrong option", function()
      assert.matches('did you mean "readonly"', failure(store.open, { path = root, readnly = true }).message, 1, true)
      assert.matches('"kind"', failure(store.open, { path = root, kind = "s3" }).message, 1, true)
      assert.are.equal("bad_argument", failure(store.open, {}).code)
    end)
  end)

  it("says clearly that a closed store is closed", function()
    s:close()
    s:close()
    assert.are.equal("store (closed)", tostring(s))
    assert.are.equal("store_closed", failure(s.get, s, "k").code)
  end)

  describe("values in parts", function()
    it("are there, whole, after commit and not before", function()
      local own <close> = store.open { kind = "local", path = root }
      own:put("v", "old")
      local w <close> = own:writer "v"
      assert.equal(w, w:write "one")
      w:write(""):write "two"
      assert.equal("old", (own:get "v"))
      assert.equal("v", own:list()[1].key)
      assert.equal(1, #own:list())
      local info = w:commit()
      assert.same({ "v", 6 }, { info.key, info.size })
      assert.equal("onetwo", (own:get("v", { expect_sha256 = info.sha256 })))
      assert.equal("store_closed", failure(w.write, w, "x").code)
      assert.equal("store_closed", failure(w.commit, w).code)
      own:delete "v"
    end)

    it("leave nothing where they are let go, and the former value as it was", function()
      local own <close> = store.open { kind = "local", path = root }
      local before = tree(root)
      own:put("v", "old")
      local between = tree(root)
      do
        local w <close> = own:writer "v"
        w:write "new"
      end
      assert.equal(between, tree(root))
      assert.equal("old", (own:get "v"))
      own:delete "v"
      assert.equal(before, tree(root))
    end)

    it("are read to their end, in parts of 8 MB", function()
      local own <close> = store.open { kind = "local", path = root }
      local w <close> = own:writer "v"
      for i = 0, 8 do w:write(string.char(65 + i):rep(1 << 20)) end
      w:commit()
      local r <close> = own:reader "v"
      local first, second = r:read(), r:read()
      assert.same({ 8 << 20, 1 << 20 }, { #first, #second })
      assert.same({ "A", "I" }, { first:sub(1, 1), second:sub(-1) })
      assert.is_nil(r:read())
      r:close()
      assert.equal("store_closed", failure(r.read, r).code)
      own:delete "v"
      assert.equal("store_missing", failure(own.reader, own, "v").code)
    end)

    it("are refused where a value would be", function()
      local own <close> = store.open { kind = "local", path = root }
      assert.equal("store_key", failure(s.writer, s, "../v").code)
      assert.equal("bad_argument", failure(own:writer "v".write, own:writer "v", 1).code)
      local readonly <close> = store.open { kind = "local", path = root, readonly = true }
      assert.equal("store_readonly", failure(readonly.writer, readonly, "v").code)
      collectgarbage()
      assert.is_nil(own:head "v")
    end)
  end)
end)
