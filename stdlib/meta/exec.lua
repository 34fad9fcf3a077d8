---@meta

--- `require "engine.exec"`: a worker's channel to the broker, which starts declared commands, resolves configured names
--- and takes the worker's events. Scripts reach it as `ctx.exec` (needs.commands); the engine attaches it.
---
--- Frames (a length, JSON, payload bytes) cross one stream socket in both directions. Requests carry ids, replies may
--- come in any order: under task.map many coroutines may wait on one channel. Once the broker is gone every call, open
--- or new, raises channel_lost; nothing waits for a dead peer.
---
--- Errors of every call: channel_lost (the broker is gone or has read nothing for the stall bound), channel_protocol
--- (it sent what no broker sends), channel_full (over 96 MB wait to be written), frame_too_large, bad_argument, and for
--- values which JSON cannot hold value_type, value_cycle, value_depth, value_size, value_utf8.
---@class engine.exec
local exec = {}

---@class exec.channel
local channel = {}

---@class exec.run_options
---@field args? string[]   appended to the declared argv, if its declaration takes arguments; no NUL bytes
---@field stdin? string    bytes for the command's standard input
---@field perturb? table   conditions to run under: env, cwd, aslr, cpu, faketime, order, clock, pid, random, threads, load
---@field timeout? number  seconds, 0.001 to 1e6; the shorter of this and the declaration's holds
---@field keep? integer    1 to 1000: the answer is kept under this number until the gate comes to its end, and where an earlier run of it
---                        broke off the one that it kept is given instead, if all that it depends on is as it was
---@field again? boolean   with keep: made anew in any case; the kept one is then in `earlier`

---@class exec.run_result
---@field exit? integer        exit status, when it ended by itself
---@field signal? integer      signal number, when a signal ended it
---@field stdout string        bytes
---@field stderr string        bytes
---@field duration_ms number
---@field perturb? table       what was applied and what could not be
---@field taken_over? true      this answer was kept from an earlier run
---@field earlier? table        with again: what was kept {exit, signal, stdout, duration_ms, perturb}

--- Attaches to a connected stream socket. The channel works on a duplicate: fd stays the caller's, and its blocking mode
--- is left as it is. While a channel is attached, nobody else may read from or write to the socket.
---@param fd integer
---@param options? {stall?: number}  stall: seconds without a byte read by the broker before it counts as gone (default 60)
---@return exec.channel
---Errors: channel_lost (no stream socket), poll_setup.
function exec.attach(fd, options) end

--- Sends a one-way event; returns when its last byte was written to the socket.
---@param message table  with named fields
---@param payload? string
function channel:send(message, payload) end

--- Sends a request and waits for its reply. Adds `t = "req"` and a fresh `id`.
---@param message table    with `op` and what the operation wants
---@param payload? string
---@param timeout? number  seconds; 0 or absent: until the reply comes or the broker is gone
---@return table reply     without the envelope (id, ok)
---@return string payload  "" where there was none
---Errors: what the broker answers (its code, message, detail, fix); channel_timeout.
function channel:request(message, payload, timeout) end

--- Runs a command that the configuration declares; never a shell. A command which fails (exit status, signal) is a
--- result. Errors: exec_not_declared, exec_timeout, exec_limit, exec_failed_to_start.
---@param name string
---@param options? exec.run_options
---@return exec.run_result
function channel:run(name, options) end

--- Asks the broker for a configured host's addresses.
---@param host string
---@param port? integer
---@return string[] addresses  IPv4 and IPv6 addresses as text, at least one
---Errors: what the broker answers, such as a name that is not configured or does not resolve.
function channel:resolve(host, port) end

--- Gives the channel up; open calls in other coroutines end with channel_lost. May be repeated.
function channel:close() end

return exec
