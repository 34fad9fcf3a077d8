/* gate-audit: runs one tenant audit on one plan and says its verdict. Nothing else is linked in, nothing else is
 * reachable.
 *
 * In (standard input): one frame, JSON {"source", "path", "memory", "helpers", "pack"?, "history"?, "saved"?,
 * "earlier"?}, payload = the plan as JSON, which must be of the pack. The audit sees as many earlier weeks as `history`
 * says, without it none. saved: the plan comes from a file, so that nobody knows yet whether it is one. earlier:
 * lengths of the texts of earlier weeks which stand behind the plan's (plan.h). Out (standard output): one frame,
 * {"status": "PASS"|"FAIL"|"ERROR", "name", "violations": [{"object", "detail"}], "more": n, "error": {…}|null,
 * "memory_used": bytes, "memory_peak": bytes}. The wall clock and the address space are kept from outside. */
#include <lauxlib.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err_json.h"
#include "base/frame.h"
#include "base/mem.h"
#include "base/plan.h"
#include "base/text.h"
#include "prim/ring.h"
#include "vm/conv.h"
#include "vm/luax.h"
#include "vm/vm.h"

/* Together they stay well below a frame's bound, so that what an audit says can end in nothing but a verdict. */
enum { VIOLATIONS_MAX = 10000, TEXT_BYTES_MAX = 2000, TEXT_TOTAL_MAX = 2 << 20 };

typedef struct report {
    json_t *violations; /* owned */
    size_t bytes;       /* of their texts */
    json_int_t more;    /* violations over the maximum: counted, not kept */
} report;

#define REPORT "gate.audit.report"

/* A text or number of a violation, bounded; anything else by its type, so that a violation is never lost to its form.
 */
static json_t *violation_text(lua_State *L, int idx) {
    if (lua_type(L, idx) == LUA_TNIL) {
        return json_null();
    }
    if (lua_type(L, idx) != LUA_TSTRING && lua_type(L, idx) != LUA_TNUMBER) {
        return json_sprintf("(a %s)", luaL_typename(L, idx));
    }
    lua_pushvalue(L, idx);
    size_t n;
    const char *s = lua_tolstring(L, -1, &n);
    buf clean = BUF_INIT;
    json_t *out =
        text_sanitise(&clean, s, n, TEXT_BYTES_MAX, false) == 0 ? json_stringn(buf_str(&clean), clean.len) : NULL;
    buf_free(&clean);
    lua_pop(L, 1);
    return out;
}

/* report:violation{object=, detail=} or report:violation("detail"). Counts even when nothing is said of it. */
static int report_violation(lua_State *L) {
    static const char *const FIELDS[] = {"object", "detail", NULL};
    report **box = luax_check(L, 1, REPORT, "report:violation");
    report *r = *box;
    if (json_array_size(r->violations) >= VIOLATIONS_MAX || r->bytes >= TEXT_TOTAL_MAX) {
        r->more++;
        return 0;
    }
    json_t *object = NULL;
    json_t *detail = NULL;
    lua_settop(L, 2);
    if (lua_type(L, 2) == LUA_TTABLE) {
        lua_pushliteral(L, "object");
        lua_rawget(L, 2);
        object = violation_text(L, -1);
        lua_pushliteral(L, "detail");
        lua_rawget(L, 2);
        detail = violation_text(L, -1);
    } else {
        object = json_null();
        detail = violation_text(L, 2);
    }
    r->bytes += json_string_length(object) + json_string_length(detail);
    bool table = lua_type(L, 2) == LUA_TTABLE;
    json_t *entry = json_pack("{s:o, s:o}", "object", object, "detail", detail);
    if (entry == NULL || json_array_append_new(r->violations, entry) != 0) {
        r->more++;
    }
    if (table) { /* it counts already; a field that is not read would be lost without a word */
        luax_only_keys(L, 2, "report:violation", FIELDS);
    }
    return 0;
}

static void push_report(lua_State *L, report *r) {
    static const luaL_Reg METHODS[] = {{"violation", report_violation}, {NULL, NULL}};
    luax_class(L, REPORT, METHODS, NULL);
    report **box = luax_new(L, REPORT, sizeof *box, 0);
    *box = r;
}

/* lua_CFunction(plan as light userdata, report as light userdata, chunk): runs the audit. Returns its name. */
static int run_audit(lua_State *L) {
    const json_t *plan = lua_touserdata(L, 1);
    report *r = lua_touserdata(L, 2);
    lua_call(L, 0, 1);
    if (lua_type(L, -1) != LUA_TTABLE) {
        return luax_fail_fix(L, "audit_shape", "return { name = …, pack = …, audit = function(plan, report) … end }",
                             "the audit returned a %s, expected a table", luaL_typename(L, -1));
    }
    int self = lua_gettop(L);
    lua_pushliteral(L, "audit");
    if (lua_rawget(L, self) != LUA_TFUNCTION) {
        return luax_fail(L, "audit_shape", "the field audit: expected a function, found a %s", luaL_typename(L, -1));
    }
    conv_push_json(L, plan);
    push_report(L, r);
    lua_call(L, 2, 1);
    if (!lua_isnil(L, -1)) { /* "return false" was meant as a verdict, and must not be a pass */
        return luax_fail_fix(
            L, "audit_shape",
            "call report:violation { object = …, detail = … } for each thing that is wrong; none is a pass",
            "the function audit: expected it to return nothing, found %s returned",
            lua_isboolean(L, -1) ? (lua_toboolean(L, -1) ? "true" : "false")
                                 : lua_pushfstring(L, "a %s", luaL_typename(L, -1)));
    }
    lua_pushliteral(L, "name");
    lua_rawget(L, self);
    return 1;
}

/* The plan as the audit asks for it, a new reference: of its pack, else it would find nothing and pass, and with as
 * many earlier weeks as it needs. NULL with *e set. */
static json_t *admit(const json_t *job, const buf *payload, err *e) {
    const char *pack = json_string_value(json_object_get(job, "pack"));
    json_int_t weeks = json_integer_value(json_object_get(job, "history"));
    json_t *plan = plan_join(buf_str(payload), payload->len, json_object_get(job, "earlier"), e);
    int rc = plan != NULL ? 0 : -1;
    rc = rc == 0 && json_is_true(json_object_get(job, "saved")) ? plan_check_saved(plan, e) : rc;
    rc = rc == 0 && pack != NULL ? plan_is_of(plan, pack, e) : rc;
    rc = rc == 0 ? plan_trim(plan, weeks > 0 ? (size_t)weeks : 0, e) : rc;
    if (rc != 0) {
        mem_explain(e);
        json_decref(plan);
        return NULL;
    }
    return plan;
}

static json_t *no_verdict(const err *e) {
    return json_pack("{s:s, s:[], s:o}", "status", "ERROR", "violations", "error", err_to_json(e));
}

static json_t *verdict(const json_t *job, const json_t *plan) {
    err e;
    err_clear(&e);
    const char *source = json_string_value(json_object_get(job, "source"));
    const char *path = json_string_value(json_object_get(job, "path"));
    report r = {.violations = json_array()};
    vm_options o = {.profile = VM_AUDIT,
                    .memory_bytes = (size_t)json_integer_value(json_object_get(job, "memory")),
                    .helpers = json_object_get(job, "helpers")};
    char chunk[512];
    snprintf(chunk, sizeof chunk, "@%s", path != NULL ? path : "audit");
    json_t *name = NULL;
    vm *v = source != NULL && o.memory_bytes > 0 ? vm_new(&o, &e) : NULL;
    bool ok = false;
    if (v != NULL) {
        lua_State *L = vm_lua(v);
        lua_pushcfunction(L, run_audit);
        lua_pushlightuserdata(L, (void *)plan);
        lua_pushlightuserdata(L, &r);
        ok = vm_load(v, chunk, source, json_string_length(json_object_get(job, "source")), false, &e) == 0 &&
             vm_call(v, 3, 1, &e) == 0;
        if (!ok && !vm_memory_hit(v)) {
            vm_place_error(v, &e);
        }
        name = ok ? violation_text(L, -1) : NULL;
        if (ok && vm_memory_hit(v)) {
            ok = false;
            err_set(&e, "script_memory", "the audit used more than its memory limit of %zu MB", o.memory_bytes >> 20);
        }
        ok = ok && vm_stack_check(v, &e) == 0;
    } else if (e.code[0] == '\0') {
        err_set(&e, "audit_shape", "the request names no source or no memory limit");
    }
    if (mem_lost() > 0) {
        ok = false;
        mem_explain(&e);
    }
    size_t found = json_array_size(r.violations);
    if (ok && found == 0 && r.more > 0) {
        ok = false;
        err_set(&e, "script_memory", "the audit reported violations that there was no memory to keep");
    }
    json_t *out =
        json_pack("{s:s, s:o?, s:o, s:I, s:o, s:I, s:I}", "status",
                  !ok                       ? "ERROR"
                  : found > 0 || r.more > 0 ? "FAIL"
                                            : "PASS",
                  "name", name, "violations", r.violations, "more", r.more, "error", ok ? json_null() : err_to_json(&e),
                  "memory_used", (json_int_t)(v != NULL ? vm_memory_used(v) : 0), "memory_peak",
                  (json_int_t)(v != NULL ? vm_memory_peak(v) : 0));
#if defined(__SANITIZE_ADDRESS__)
    vm_free(v); /* else the end of the process does it at once */
#endif
    return out;
}

/* A process that lives for one audit gives nothing back to the kernel before it ends: what was freed is used again
 * (glibc, mallopt(3)). What it may have is bounded by its address space. */
static void keep_memory(void) {
    (void)mallopt(M_TRIM_THRESHOLD, 1 << 30);
    (void)mallopt(M_MMAP_THRESHOLD, 32 << 20);
    (void)mallopt(M_TOP_PAD, 1 << 20);
}

int main(void) {
    keep_memory();
    mem_watch();
    err e;
    buf pending = BUF_INIT;
    buf payload = BUF_INIT;
    json_t *job = NULL;
    json_t *plan = NULL;
    json_t *answer = NULL;
    int rc = 2;
    if (frame_read(0, &pending, &job, &payload, &e) == 1) {
        ring_status active;
        ring_options rings = {.profile = RING_AUDIT};
        if (ring_enter(&rings, &active, &e) != 0 || (plan = admit(job, &payload, &e)) == NULL) {
            answer = no_verdict(&e);
        } else {
            answer = verdict(job, plan);
        }
        rc = answer != NULL && frame_write(1, answer, NULL, 0, &e) == 1 ? 0 : 2;
    }
    rc = rc != 0 && mem_lost() > 0 ? MEM_EXIT : rc;
    json_decref(answer);
    json_decref(plan);
    json_decref(job);
    buf_free(&pending);
    buf_free(&payload);
    return rc;
}
