/* exec.c: require "engine.exec", a worker's channel to the broker (stdlib/meta/exec.lua is its reference).
 *
 * Every call is a userdata that owns its part of the channel; a continuation finds it at stack index 1 and looks at the
 * state itself, so it does not matter which coroutine read the reply. */
#include <math.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>

#include "base/clock.h"
#include "base/frame.h"
#include "bind/wait.h"
#include "prim/exec_channel.h"
#include "vm/conv.h"
#include "vm/luax.h"

#define CHANNEL "gate.exec.channel"
#define CALL "gate.exec.call"
#define STALL_DEFAULT_S 60.0
#define GRACE_S 10.0 /* what the broker may take longer than the command's own timeout */
#define NAME_MAX_BYTES 255

typedef struct channel {
    exec_channel *c; /* owned; NULL once closed */
    int64_t stall_ms;
} channel;

typedef enum call_kind { CALL_SEND, CALL_REQUEST, CALL_RUN, CALL_RESOLVE } call_kind;

/* User value 1 is the channel, which so outlives its calls. */
typedef struct call {
    exec_call x;
    channel *ch;
    call_kind kind;
    int64_t deadline_ms; /* 0 = none */
    int64_t stall_at_ms;
    uint64_t written;
    double timeout_s;
} call;

static channel *check_open(lua_State *L, const char *fn) { /* [-0, +0, v] */
    channel *ch = luax_check(L, 1, CHANNEL, fn);
    if (ch->c == NULL) {
        luax_fail(L, "channel_lost", "%s: the channel is closed", fn);
    }
    return ch;
}

static int channel_gc(lua_State *L) { /* [-0, +0, -] */
    channel *ch = luaL_checkudata(L, 1, CHANNEL);
    exec_channel *c = ch->c;
    ch->c = NULL;
    exec_channel_close(c);
    return 0;
}

static int channel_tostring(lua_State *L) {
    const channel *ch = luaL_checkudata(L, 1, CHANNEL);
    lua_pushstring(L, ch->c != NULL ? "exec.channel (open)" : "exec.channel (closed)");
    return 1;
}

static int call_gc(lua_State *L) { /* [-0, +0, -] */
    call *k = luaL_checkudata(L, 1, CALL);
    exec_call_end(&k->x);
    return 0;
}

/* Ends the call before its error is raised: it must not keep the channel readable until it is collected. */
static int fail_call(lua_State *L, call *k, const err *e) { /* [-0, +0, v] */
    exec_call_end(&k->x);
    return luax_raise(L, e);
}

static void strip_envelope(json_t *reply) {
    json_object_del(reply, "id");
    json_object_del(reply, "ok");
    json_object_del(reply, "t");
}

static int push_request(lua_State *L, call *k) { /* [-0, +2, m] */
    strip_envelope(k->x.reply);
    conv_push_json(L, k->x.reply);
    lua_pushlstring(L, buf_str(&k->x.payload), k->x.payload.len);
    exec_call_end(&k->x);
    return 2;
}

static bool take_length(json_t *reply, const char *key, size_t *out) {
    const json_t *v = json_object_get(reply, key);
    if (!json_is_integer(v) || json_integer_value(v) < 0) {
        return false;
    }
    *out = (size_t)json_integer_value(v);
    json_object_del(reply, key);
    return true;
}

/* JSON null is a value in Lua, and a true one: what did not happen is absent instead. */
static void drop_null(json_t *reply, const char *key) {
    if (json_is_null(json_object_get(reply, key))) {
        json_object_del(reply, key);
    }
}

/* Of the answer that was kept before, where there is one, the lengths; else 0. */
static bool take_earlier(json_t *reply, size_t *out, size_t *errs) {
    json_t *earlier = json_object_get(reply, "earlier");
    *out = *errs = 0;
    if (earlier == NULL) {
        return true;
    }
    drop_null(earlier, "exit");
    drop_null(earlier, "signal");
    return take_length(earlier, "stdout_len", out) && take_length(earlier, "stderr_len", errs);
}

static int push_run(lua_State *L, call *k) { /* [-0, +1, v] */
    size_t out = 0, errs = 0, before = 0, unused = 0;
    if (!take_length(k->x.reply, "stdout_len", &out) || !take_length(k->x.reply, "stderr_len", &errs) ||
        !take_earlier(k->x.reply, &before, &unused) || out > k->x.payload.len || errs > k->x.payload.len - out ||
        before > k->x.payload.len - out - errs || unused != k->x.payload.len - out - errs - before) {
        err e;
        err_set(&e, "channel_protocol", "channel:run: the broker's lengths of output do not add up to its payload");
        return fail_call(L, k, &e);
    }
    strip_envelope(k->x.reply);
    drop_null(k->x.reply, "exit");
    drop_null(k->x.reply, "signal");
    conv_push_json(L, k->x.reply);
    lua_pushlstring(L, buf_str(&k->x.payload), out);
    lua_setfield(L, -2, "stdout");
    lua_pushlstring(L, buf_str(&k->x.payload) + out, errs);
    lua_setfield(L, -2, "stderr");
    if (lua_getfield(L, -1, "earlier") == LUA_TTABLE) {
        lua_pushlstring(L, buf_str(&k->x.payload) + out + errs, before);
        lua_setfield(L, -2, "stdout");
    }
    lua_pop(L, 1);
    exec_call_end(&k->x);
    return 1;
}

static int push_resolve(lua_State *L, call *k) { /* [-0, +1, v] */
    const json_t *list = json_object_get(k->x.reply, "addresses");
    bool fits = json_is_array(list) && json_array_size(list) > 0;
    for (size_t i = 0; fits && i < json_array_size(list); i++) {
        fits = json_is_string(json_array_get(list, i));
    }
    if (!fits) {
        err e;
        err_set(&e, "channel_protocol", "channel:resolve: expected a list of addresses from the broker");
        return fail_call(L, k, &e);
    }
    conv_push_json(L, list);
    exec_call_end(&k->x);
    return 1;
}

static int push_result(lua_State *L, call *k) { /* [-0, +n, v] */
    if (k->x.error.code[0] != '\0') {
        err e = k->x.error;
        return fail_call(L, k, &e);
    }
    switch (k->kind) {
    case CALL_RUN:
        return push_run(L, k);
    case CALL_RESOLVE:
        return push_resolve(L, k);
    default:
        return push_request(L, k);
    }
}

/* Is the call over? 1 = yes, 0 = wait on, -1 = failed. What it looks at may have been brought by another coroutine. */
static int look(call *k, err *e) {
    if (k->ch->c == NULL) {
        return err_set(e, "channel_lost", "the channel to the broker was closed");
    }
    if (k->kind == CALL_SEND ? exec_channel_flushed(k->ch->c) : k->x.done) {
        return 1;
    }
    int64_t now = clock_ms();
    uint64_t written = exec_channel_written(k->ch->c);
    if (written != k->written || exec_channel_flushed(k->ch->c)) {
        k->written = written;
        k->stall_at_ms = now + k->ch->stall_ms;
    } else if (now >= k->stall_at_ms) {
        err_set(e, "channel_lost", "the broker has read nothing for %.3g s", (double)k->ch->stall_ms / 1000.0);
        exec_channel_lose(k->ch->c, e);
        return -1;
    }
    if (k->deadline_ms != 0 && now >= k->deadline_ms) {
        return err_set(e, k->kind == CALL_RUN ? "exec_timeout" : "channel_timeout",
                       "the broker did not answer within %.3g s", k->timeout_s);
    }
    return 0;
}

/* How long this call may sleep: to its deadline, and to the stall bound while something is unwritten. */
static int sleep_ms(const call *k) {
    int64_t until = k->deadline_ms;
    if (!exec_channel_flushed(k->ch->c) && (until == 0 || k->stall_at_ms < until)) {
        until = k->stall_at_ms;
    }
    if (until == 0) {
        return -1;
    }
    int64_t left = until - clock_ms();
    return left < 0 ? 0 : left > INT32_MAX ? INT32_MAX : (int)left;
}

static int call_continue(lua_State *L, int status, lua_KContext ctx);

/* Runs the call at index 1 to its end; a loop and no recursion, since a slow peer may make it wait thousands of times.
 */
static int call_drive(lua_State *L) { /* [-0, +n, v] */
    call *k = lua_touserdata(L, 1);
    for (;;) {
        err e;
        int over = look(k, &e);
        if (over == 0 && exec_channel_pump(k->ch->c, &e) != 0 && (k->kind == CALL_SEND || !k->x.done)) {
            return fail_call(L, k, &e);
        }
        over = over == 0 ? look(k, &e) : over;
        if (over < 0) {
            return fail_call(L, k, &e);
        }
        if (over > 0) {
            return k->kind == CALL_SEND ? 0 : push_result(L, k);
        }
        if (gate_can_yield(L)) {
            return gate_yield(L, exec_channel_fd(k->ch->c), POLLIN, sleep_ms(k), 0, call_continue);
        }
        gate_poll(exec_channel_fd(k->ch->c), POLLIN, sleep_ms(k));
    }
}

static int call_continue(lua_State *L, int status, lua_KContext ctx) { /* [-0, +n, v] */
    (void)status;
    (void)ctx;
    int revents = gate_wait_result(L);
    lua_settop(L, 1);
    call *k = lua_touserdata(L, 1);
    if (revents & GATE_WAIT_CANCELLED) {
        exec_call_end(&k->x);
        return gate_cancelled(L);
    }
    return call_drive(L);
}

/* A call on the channel at index 1; pushed. timeout_s <= 0 means none. */
static call *new_call(lua_State *L, channel *ch, call_kind kind, double timeout_s) { /* [-0, +1, m] */
    call *k = luax_new(L, CALL, sizeof *k, 1);
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    k->ch = ch;
    k->kind = kind;
    k->timeout_s = timeout_s;
    k->deadline_ms = timeout_s > 0 ? clock_ms() + (int64_t)ceil(timeout_s * 1000.0) : 0;
    k->stall_at_ms = clock_ms() + ch->stall_ms;
    k->written = exec_channel_written(ch->c);
    return k;
}

/* Sends message (taken over) for the call on top of the stack and waits for its end. */
static int start_call(lua_State *L, call *k, json_t *message, const char *payload, size_t n) { /* [-0, +n, v] */
    err e;
    int rc = k->kind == CALL_SEND ? exec_channel_send(k->ch->c, message, payload, n, &e)
                                  : exec_channel_call(k->ch->c, &k->x, message, payload, n, &e);
    json_decref(message);
    if (rc != 0) {
        return fail_call(L, k, &e);
    }
    lua_replace(L, 1);
    lua_settop(L, 1);
    return call_drive(L);
}

static json_t *message_arg(lua_State *L, const char *fn, err *e) { /* [-0, +0, -] */
    if (lua_type(L, 2) != LUA_TTABLE) {
        err_set(e, "bad_argument", "%s: expected a table to send, got %s", fn, luaL_typename(L, 2));
        return NULL;
    }
    /* What the other side would not take is refused here, where the script sees which value it was. */
    const conv_limits limits = {.depth = 64, .nodes = FRAME_VALUES_MAX / 2, .bytes = FRAME_JSON_MAX};
    json_t *message = conv_to_json(L, 2, &limits, e);
    if (message != NULL && !json_is_object(message)) {
        json_decref(message);
        err_set(e, "bad_argument", "%s: expected a table with named fields, got a list", fn);
        return NULL;
    }
    return message;
}

static int channel_send(lua_State *L) { /* [-2, +0, v] */
    channel *ch = check_open(L, "channel:send");
    lua_settop(L, 3);
    size_t n = 0;
    const char *payload = luaL_optlstring(L, 3, "", &n);
    call *k = new_call(L, ch, CALL_SEND, 0);
    err e;
    json_t *message = message_arg(L, "channel:send", &e);
    return message != NULL ? start_call(L, k, message, payload, n) : luax_raise(L, &e);
}

static int channel_request(lua_State *L) { /* [-4, +2, v] */
    channel *ch = check_open(L, "channel:request");
    lua_settop(L, 4);
    size_t n = 0;
    const char *payload = luaL_optlstring(L, 3, "", &n);
    double timeout = luaL_optnumber(L, 4, 0);
    if (!(timeout >= 0 && timeout <= 1e6)) {
        return luax_fail(L, "bad_argument", "channel:request: timeout: expected seconds from 0 to 1e6, got %g",
                         timeout);
    }
    call *k = new_call(L, ch, CALL_REQUEST, timeout);
    err e;
    json_t *message = message_arg(L, "channel:request", &e);
    return message != NULL ? start_call(L, k, message, payload, n) : luax_raise(L, &e);
}

/* Adds the table option `key` of the table at index 3 to message, if it is there. Never raises. */
static int add_option(lua_State *L, json_t *message, const char *key, err *e) {
    if (lua_type(L, 3) != LUA_TTABLE) {
        return 0;
    }
    lua_pushstring(L, key);
    int type = lua_rawget(L, 3);
    json_t *value = type == LUA_TNIL ? NULL : conv_to_json(L, -1, &CONV_DEFAULT, e);
    lua_pop(L, 1);
    if (type == LUA_TNIL) {
        return 0;
    }
    if (value == NULL) {
        return -1;
    }
    /* An empty Lua table is an object; an empty argument list is meant as a list. */
    if (strcmp(key, "args") == 0 && json_is_object(value) && json_object_size(value) == 0) {
        json_decref(value);
        value = json_array();
    }
    if (json_object_set_new(message, key, value) != 0) {
        return err_set(e, "out_of_memory", "channel:run: out of memory");
    }
    return 0;
}

static int check_args(const json_t *message, err *e) {
    const json_t *args = json_object_get(message, "args");
    if (args != NULL && !json_is_array(args)) {
        return err_set(e, "bad_argument", "channel:run: option \"args\": expected a list of strings");
    }
    for (size_t i = 0; i < json_array_size(args); i++) {
        const json_t *arg = json_array_get(args, i);
        if (!json_is_string(arg) || strlen(json_string_value(arg)) != json_string_length(arg)) {
            return err_set(e, "bad_argument", "channel:run: args[%zu]: expected a string without NUL bytes", i + 1);
        }
    }
    const json_t *perturb = json_object_get(message, "perturb");
    if (perturb != NULL && !json_is_object(perturb)) {
        return err_set(e, "bad_argument", "channel:run: option \"perturb\": expected a table with named fields");
    }
    return 0;
}

static json_t *run_message(lua_State *L, const char *name, double timeout, err *e) { /* [-0, +0, -] */
    json_t *message = json_pack("{s:s, s:s}", "op", "exec", "command", name);
    if (message == NULL || (timeout > 0 && json_object_set_new(message, "timeout", json_real(timeout)) != 0)) {
        json_decref(message);
        err_set(e, "bad_argument", "channel:run: expected a command name in UTF-8");
        return NULL;
    }
    if (add_option(L, message, "args", e) != 0 || add_option(L, message, "perturb", e) != 0 ||
        add_option(L, message, "keep", e) != 0 || add_option(L, message, "again", e) != 0 ||
        check_args(message, e) != 0) {
        json_decref(message);
        return NULL;
    }
    return message;
}

static int channel_run(lua_State *L) { /* [-3, +1, v] */
    static const char *const KEYS[] = {"args", "stdin", "perturb", "timeout", "keep", "again", NULL};
    channel *ch = check_open(L, "channel:run");
    size_t name_len = 0;
    const char *name = luaL_checklstring(L, 2, &name_len);
    if (name_len == 0 || name_len > NAME_MAX_BYTES || strlen(name) != name_len) {
        return luax_fail(L, "bad_argument", "channel:run: expected the name of a declared command");
    }
    lua_settop(L, 3);
    const char *input = "";
    size_t n = 0;
    double timeout = 0;
    if (!lua_isnil(L, 3)) {
        luax_check_table(L, 3, "channel:run");
        luax_only_keys(L, 3, "channel:run", KEYS);
        input = luax_opt_string(L, 3, "channel:run", "stdin", &n, "");
        timeout = luax_opt_number(L, 3, "channel:run", "timeout", 0.001, 1e6, 0);
    }
    call *k = new_call(L, ch, CALL_RUN, timeout > 0 ? timeout + GRACE_S : 0);
    err e;
    json_t *message = run_message(L, name, timeout, &e);
    return message != NULL ? start_call(L, k, message, input, n) : luax_raise(L, &e);
}

static int channel_resolve(lua_State *L) { /* [-3, +1, v] */
    channel *ch = check_open(L, "channel:resolve");
    const char *host = luaL_checkstring(L, 2);
    lua_Integer port = luaL_optinteger(L, 3, 0);
    if (port < 0 || port > 65535) {
        return luax_fail(L, "bad_argument", "channel:resolve: expected a port from 0 to 65535, got %lld",
                         (long long)port);
    }
    call *k = new_call(L, ch, CALL_RESOLVE, 0);
    json_t *message = json_pack("{s:s, s:s, s:I}", "op", "resolve", "host", host, "port", (json_int_t)port);
    if (message == NULL) {
        return luax_fail(L, "bad_argument", "channel:resolve: expected a host name in UTF-8");
    }
    return start_call(L, k, message, "", 0);
}

static int exec_attach(lua_State *L) { /* [-2, +1, v] */
    static const char *const KEYS[] = {"stall", NULL};
    lua_Integer fd = luaL_checkinteger(L, 1);
    lua_settop(L, 2);
    double stall = STALL_DEFAULT_S;
    if (!lua_isnil(L, 2)) {
        luax_check_table(L, 2, "exec.attach");
        luax_only_keys(L, 2, "exec.attach", KEYS);
        stall = luax_opt_number(L, 2, "exec.attach", "stall", 0.001, 86400, STALL_DEFAULT_S);
    }
    if (fd < 0 || fd > INT32_MAX) {
        return luax_fail(L, "bad_argument", "exec.attach: expected a descriptor, got %lld", (long long)fd);
    }
    channel *ch = luax_new(L, CHANNEL, sizeof *ch, 0);
    ch->stall_ms = (int64_t)ceil(stall * 1000.0);
    err e;
    ch->c = exec_channel_open((int)fd, &e);
    return ch->c != NULL ? 1 : luax_raise(L, &e);
}

LUAX_EXPORT int luaopen_engine_exec(lua_State *L);

int luaopen_engine_exec(lua_State *L) {
    static const luaL_Reg METHODS[] = {{"send", channel_send},       {"request", channel_request}, {"run", channel_run},
                                       {"resolve", channel_resolve}, {"close", channel_gc},        {NULL, NULL}};
    static const luaL_Reg META[] = {
        {"__gc", channel_gc}, {"__close", channel_gc}, {"__tostring", channel_tostring}, {NULL, NULL}};
    static const luaL_Reg CALL_METHODS[] = {{NULL, NULL}};
    static const luaL_Reg CALL_META[] = {{"__gc", call_gc}, {NULL, NULL}};
    static const luaL_Reg FUNCTIONS[] = {{"attach", exec_attach}, {NULL, NULL}};
    luax_class(L, CHANNEL, METHODS, META);
    luax_class(L, CALL, CALL_METHODS, CALL_META);
    luaL_newlib(L, FUNCTIONS);
    return 1;
}
