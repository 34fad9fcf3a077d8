---@meta

--- `require "engine.store"`: named byte strings beneath one directory, or in one file. Scripts reach stores as
--- `ctx.store.<name>` (needs.stores) and, for options of type path, as `ctx.files.<option>`. Where the configuration's
--- artifacts are in Amazon S3, in what speaks its API or in Azure Blob Storage, ctx.store.artifacts has the same
--- methods; the credentials are in no script's reach.
---
--- A key is a relative path in UTF-8 of at most 1024 bytes and 64 components: none empty, none "." or "..", none over
--- 255 bytes, no leading "/", no control character. No key leads outside: every step is resolved by openat2(2) beneath the root, and
--- symbolic links are refused (as a value's own name, put replaces the link and delete removes it; neither follows it).
---
--- A store keeps no checksums of its own, so that a directory which people edit stays readable. Who must get back
--- exactly what was put keeps the sha256 that put gave and passes it to get.
---
--- Errors: store_key (no valid key, or a directory or file stands in its way), store_missing, store_denied (permission,
--- a symbolic link, a special file), store_full, store_corrupt, store_readonly, store_too_large, store_closed,
--- store_unsupported (a kernel without openat2), store_io, bad_argument. Of a service, besides: store_bucket (none of
--- the name), store_signature, store_expired and store_early (the credentials), store_clock (this machine's is off), store_region,
--- store_redirect, store_busy, store_proxy (it wants a login), store_answer (one that cannot be read), each with fields `status` and, where
--- the service has one, `word` (its own: "NoSuchKey"); and those of engine.http.
---@class engine.store
local store = {}

---@class store.handle
local handle = {}

---@class store.info
---@field key string
---@field size integer       bytes
---@field sha256? string     lower-case hex; from put and get
---@field modified? integer  seconds since 1970; from get, head and list

---@class store.open_options
---@field kind? "local"|"file"  local (default): path is a directory; file: path is one regular file, whose name is the only key
---@field path string
---@field readonly? boolean     put and delete raise store_readonly
---@field create? boolean       make the directory if it is missing (kind local, not readonly)

--- Opens a store; scripts get theirs from ctx.store and ctx.files.
---@param options store.open_options
---@return store.handle
---Errors: store_missing, store_denied, store_unsupported.
function store.open(options) end

--- Replaces a value, atomically and durably (temporary file, fsync, rename, fsync of the directory), making the
--- directories its key names. After an error the former value is still there, whole, and nothing else.
---
--- ```lua
--- local info = ctx.store.artifacts:put("doc/example.txt", "bytes")
--- assert(info.size == 5)
--- assert(ctx.store.artifacts:get("doc/example.txt", { expect_sha256 = info.sha256 }) == "bytes")
--- assert(ctx.store.artifacts:delete("doc/example.txt"))
--- ```
---@param key string|nil  nil: the one key of a store of kind file
---@param bytes string
---@return store.info     with size and sha256
function handle:put(key, bytes) end

--- Reads a value. With expect_sha256 its bytes are compared with that checksum: store_corrupt.
---@param key? string
---@param options? {expect_sha256?: string, max?: integer}  max: bytes accepted (default 64 MB), more is store_too_large
---@return string bytes
---@return store.info info  with size, sha256 and modified
function handle:get(key, options) end

--- What is known of a value without reading it; nil when there is none.
---@param key? string
---@return store.info|nil
function handle:head(key) end

--- Every value whose key begins with prefix, sorted by the bytes of the key. Symbolic links, special files and
--- unfinished writes are left out; a directory that cannot be read raises store_denied.
---@param prefix? string  such as "run1/"; default: all
---@return store.info[]
function handle:list(prefix) end

--- Removes a value, and the directories above it that become empty.
---@param key? string
---@return boolean removed  false when there was none
function handle:delete(key) end

---@class store.writer
local writer = {}

---@class store.reader
local reader = {}

--- Begins a value that is written in parts, for what is too large to be held at once. It is there, whole, after commit
--- and not before; a writer that is closed without it leaves the former value.
---
--- ```lua
--- local w <close> = ctx.store.artifacts:writer("doc/large.bin")
--- w:write(("x"):rep(10)):write(("y"):rep(10))
--- assert(w:commit().size == 20)
--- local r <close> = ctx.store.artifacts:reader("doc/large.bin")
--- assert(r:read() == ("x"):rep(10) .. ("y"):rep(10) and r:read() == nil)
--- ctx.store.artifacts:delete("doc/large.bin")
--- ```
---@param key? string
---@return store.writer
function handle:writer(key) end

--- Reads a value in parts.
---@param key? string
---@return store.reader
function handle:reader(key) end

--- Adds bytes to the value.
---@param bytes string
---@return store.writer self
function writer:write(bytes) end

--- Ends the value. The writer is closed then.
---@return store.info  with size and sha256
function writer:commit() end

--- Lets go of what was not committed. May be repeated; also done by `local w <close>`.
function writer:close() end

--- The next part, at most 8 MB; nil at the end.
---@return string?
function reader:read() end

--- Ends the reading. May be repeated; also done by `local r <close>`.
function reader:close() end

--- The same place, opened with credentials that must be refused. Empty where the store has none.
---@return {what: string, store: store.handle}[]
function handle:forged() end

--- Another tenant's place, opened with this tenant's credentials (artifacts.other_tenant); nil where there is none.
---@return {tenant: string, store: store.handle}?
function handle:elsewhere() end

--- What was seen of a service: how often it was asked and asked again, the longest of each of http.timings, its certificate, when
--- its credentials end where they say so; nil for files.
---@return {requests: integer, repeated: integer, ends: string?, address: string?, certificate: http.certificate?, [string]: number}?
function handle:seen() end

--- May be repeated; also done by `local s <close>` and the garbage collector.
function handle:close() end

return store
