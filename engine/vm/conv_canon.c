/* conv_canon.c: a Lua value's canonical JSON. Of a table that is an object all members are looked at first and put in
 * order, then written one after the other: what was written is final, and can be hashed while the rest is still read.
 *
 * No string is copied before it is written: the tables that are being read hold them, and nothing here runs a script.
 */
#include "vm/conv.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/canon.h"
#include "base/canon_write.h"
#include "base/mem.h"
#include "vm/conv_walk.h"

enum { SHAPE_MAX = 24, SHAPES = 4, STACK_SPARE = 8 };

/* A value as it was found. Lengths are within the limit of bytes, which is no more than 32 bits hold. */
typedef struct found {
    union {
        lua_Integer integer;
        lua_Number number;
        const char *text;
        int index; /* of a table, on Lua's stack */
        bool truth;
    } is;
    uint32_t len; /* of the text */
    int type;     /* LUA_TNIL for null; LUA_TNONE for an integer */
} found;

typedef struct member {
    const char *key;
    found value;
    uint32_t len;
    bool plain; /* the key is written as it is */
} member;

/* The keys of an object as Lua walked them, and their order: most objects of a list have the same, walked alike. Lua
 * keeps one copy of a short string, so that the same key is the same string. */
typedef struct shape {
    size_t n; /* 0 = none yet */
    struct {
        const void *string;
        const char *key;
        uint32_t len;
        bool plain;
    } keys[SHAPE_MAX];
    unsigned char order[SHAPE_MAX]; /* which of them is written first, second, … */
} shape;

typedef struct writer {
    conv_walk walk;
    buf *out;
    member *members; /* of all objects that are open, the innermost last */
    size_t count, cap;
    shape shapes[SHAPES]; /* of the object that was last at this depth, or at one that shares its place */
} writer;

/* --- errors --- */

/* About the member of the table that is being read, or NULL = about what the walk stands at. */
static int fail_at(writer *w, const member *m, const char *code, const char *what) {
    if (m != NULL) {
        conv_here(&w->walk)->key = m->key;
        conv_here(&w->walk)->at = m->len;
    }
    return conv_fail(&w->walk, code, what);
}

static int refuse_type(writer *w, const member *m, int type) {
    char what[64];
    snprintf(what, sizeof what, "a %s", lua_typename(w->walk.L, type));
    return fail_at(w, m, "value_type", what);
}

/* --- what stands in a table --- */

static inline int count_bytes(writer *w, const member *m, size_t n) {
    w->walk.bytes += n;
    return w->walk.bytes <= w->walk.lim->bytes ? 0 : fail_at(w, m, "value_size", "too many bytes");
}

static int find_number(writer *w, int idx, const member *m, found *v) {
    int whole;
    v->is.integer = lua_tointegerx(w->walk.L, idx, &whole); /* 1.0 has the canonical form of 1 */
    if (whole) {
        v->type = LUA_TNONE;
        return 0;
    }
    v->is.number = lua_tonumber(w->walk.L, idx);
    return isfinite(v->is.number) ? 0
                                  : fail_at(w, m, "value_number", "a number that JSON does not have (NaN or infinite)");
}

/* What stands at idx, as the member m or, where that is NULL, as what the walk stands at. */
static inline int find(writer *w, int idx, const member *m, found *v) {
    lua_State *L = w->walk.L;
    size_t len;
    if (++w->walk.nodes > w->walk.lim->nodes) {
        return fail_at(w, m, "value_size", "too many values");
    }
    v->type = lua_type(L, idx);
    switch (v->type) {
    case LUA_TSTRING:
        v->is.text = lua_tolstring(L, idx, &len);
        v->len = (uint32_t)len;
        return count_bytes(w, m, len);
    case LUA_TNUMBER:
        return find_number(w, idx, m, v);
    case LUA_TBOOLEAN:
        v->is.truth = lua_toboolean(L, idx) != 0;
        return 0;
    case LUA_TNIL:
        return 0;
    case LUA_TTABLE:
        v->is.index = idx;
        return 0;
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, idx) == NULL) {
            v->type = LUA_TNIL;
            return 0;
        }
        break;
    default:
        break;
    }
    return refuse_type(w, m, v->type);
}

/* --- writing --- */

/* What is written ends with no zero before all of it is there. */
static inline int put(writer *w, const char *bytes, size_t n) {
    char *at = canon_room(w->out, n);
    if (at == NULL) {
        return conv_no_memory(&w->walk);
    }
    memcpy(at, bytes, n);
    w->out->len += n;
    return 0;
}

/* A text that is not all plain ASCII. */
static int write_any_text(writer *w, const char *text, size_t n, const member *m, const char *what) {
    if (canon_string(w->out, text, n, w->walk.e) == 0) {
        return 0;
    }
    return strcmp(w->walk.e->code, "json_utf8") == 0 ? fail_at(w, m, "value_utf8", what) : conv_no_memory(&w->walk);
}

static inline int write_text(writer *w, const char *text, size_t n, const member *m) {
    char *at = canon_room(w->out, n + 2);
    if (at == NULL) {
        return conv_no_memory(&w->walk);
    }
    if (canon_plain_length(text, n) != n) {
        return write_any_text(w, text, n, m, "text that is not UTF-8");
    }
    at[0] = '"';
    canon_copy(at + 1, text, n);
    at[n + 1] = '"';
    w->out->len += n + 2;
    return 0;
}

/* ',"key":', or with a brace before the first. */
static inline int write_key(writer *w, const member *m, char before) {
    size_t n = m->len;
    char *at = canon_room(w->out, n + 4);
    if (at == NULL) {
        return conv_no_memory(&w->walk);
    }
    at[0] = before;
    if (!m->plain) {
        w->out->len++;
        int rc = write_any_text(w, m->key, n, NULL, "a key that is not UTF-8");
        return rc == 0 ? put(w, ":", 1) : rc;
    }
    at[1] = '"';
    canon_copy(at + 2, m->key, n);
    at[n + 2] = '"';
    at[n + 3] = ':';
    w->out->len += n + 4;
    return 0;
}

/* A finite number. */
static int write_number(writer *w, double value) {
    char *at = canon_room(w->out, CANON_NUMBER_MAX);
    if (at == NULL) {
        return conv_no_memory(&w->walk);
    }
    w->out->len += (size_t)canon_number(value, at);
    return 0;
}

/* What is no table, as the member m or NULL. */
static inline int write_scalar(writer *w, const found *v, const member *m) {
    switch (v->type) {
    case LUA_TSTRING:
        return write_text(w, v->is.text, v->len, m);
    case LUA_TNONE:
        return canon_integer(w->out, v->is.integer, w->walk.e);
    case LUA_TNUMBER:
        return write_number(w, v->is.number);
    case LUA_TBOOLEAN:
        return v->is.truth ? put(w, "true", 4) : put(w, "false", 5);
    default:
        return put(w, "null", 4);
    }
}

static int write_table(writer *w, int idx);

/* --- objects --- */

static int by_key(const void *left, const void *right) {
    const member *a = left;
    const member *b = right;
    return canon_keys(a->key, a->len, b->key, b->len);
}

/* Sorts the keys of n members, which the shape has already. */
static void learn_order(shape *s, const member *m, size_t n) {
    s->n = n;
    for (size_t i = 0; i < n; i++) {
        size_t k = i;
        while (k > 0 && by_key(&m[s->order[k - 1]], &m[i]) > 0) {
            s->order[k] = s->order[k - 1];
            k--;
        }
        s->order[k] = (unsigned char)i;
    }
}

static member *add_member(writer *w) {
    if (w->count == w->cap) {
        size_t cap = w->cap > 0 ? 2 * w->cap : 64;
        member *more = reallocarray(w->members, cap, sizeof *more);
        if (more == NULL) {
            mem_note();
            conv_no_memory(&w->walk);
            return NULL;
        }
        w->members = more;
        w->cap = cap;
    }
    return &w->members[w->count++];
}

/* The key at -2, the i-th of an object; *known stays only where it is the shape's i-th too. */
static inline int take_key(writer *w, member *m, shape *s, size_t i, bool *known) {
    lua_State *L = w->walk.L;
    const void *string = lua_topointer(L, -2);
    if (i < s->n && s->keys[i].string == string) {
        m->key = s->keys[i].key;
        m->len = s->keys[i].len;
        m->plain = s->keys[i].plain;
        return count_bytes(w, m, m->len);
    }
    if (lua_type(L, -2) != LUA_TSTRING) {
        return fail_at(w, NULL, "value_key", "a key that is not a string in a table that is not a plain list,");
    }
    size_t len;
    m->key = lua_tolstring(L, -2, &len);
    m->len = (uint32_t)len;
    m->plain = canon_plain_length(m->key, len) == len;
    s->n = 0; /* what it has from here on is another object's */
    *known = false;
    if (i < SHAPE_MAX) {
        s->keys[i].string = string;
        s->keys[i].key = m->key;
        s->keys[i].len = m->len;
        s->keys[i].plain = m->plain;
    }
    return count_bytes(w, m, len);
}

/* The pair on top of the stack, of which the key is left there. A table stays below it, to be read later. */
static inline int take_pair(writer *w, shape *s, size_t i, bool *known) {
    lua_State *L = w->walk.L;
    member *m = add_member(w);
    if (m == NULL || take_key(w, m, s, i, known) != 0 || find(w, -1, m, &m->value) != 0) {
        return -1;
    }
    if (m->value.type != LUA_TTABLE) {
        lua_pop(L, 1);
        return 0;
    }
    lua_insert(L, -2);
    m->value.is.index = lua_gettop(L) - 1;
    return lua_checkstack(L, STACK_SPARE) ? 0 : fail_at(w, NULL, "out_of_memory", "out of stack");
}

/* All pairs of the table at idx, the first of which stands on the stack. `order`: how they are to be written, where
 * they are no more than SHAPE_MAX; else they are sorted themselves. */
static int take_pairs(writer *w, int idx, unsigned char order[SHAPE_MAX]) {
    shape *s = &w->shapes[w->walk.depth % SHAPES];
    size_t base = w->count, n = 0;
    bool known = true;
    do {
        if (take_pair(w, s, n, &known) != 0) {
            return -1;
        }
        n++;
    } while (lua_next(w->walk.L, idx));
    member *m = w->members + base;
    if (n > SHAPE_MAX) {
        s->n = 0;
        qsort(m, n, sizeof *m, by_key);
        return 0;
    }
    if (!known || s->n != n) {
        learn_order(s, m, n);
    }
    memcpy(order, s->order, SHAPE_MAX); /* what is inside may have another */
    return 0;
}

static int write_inner(writer *w, const member *m) {
    conv_frame *here = conv_here(&w->walk);
    here->key = m->key;
    here->at = m->len;
    int rc = write_table(w, m->value.is.index); /* m may have moved when it returns */
    if (rc == 0) {
        conv_leave_member(&w->walk);
    }
    return rc;
}

static int write_object(writer *w, int idx) {
    unsigned char order[SHAPE_MAX];
    size_t base = w->count;
    if (take_pairs(w, idx, order) != 0) {
        return -1;
    }
    size_t n = w->count - base;
    for (size_t i = 0; i < n; i++) {
        const member *m = &w->members[base + (n > SHAPE_MAX ? i : order[i])];
        if (write_key(w, m, i == 0 ? '{' : ',') != 0 ||
            (m->value.type == LUA_TTABLE ? write_inner(w, m) : write_scalar(w, &m->value, m)) != 0) {
            return -1;
        }
    }
    w->count = base;
    return put(w, "}", 1);
}

/* --- arrays, and all --- */

static int write_array(writer *w, int idx, size_t n) {
    lua_State *L = w->walk.L;
    for (size_t i = 1; i <= n; i++) {
        found v;
        conv_here(&w->walk)->at = i;
        lua_rawgeti(L, idx, (lua_Integer)i);
        if (put(w, i > 1 ? "," : "[", 1) != 0 || find(w, -1, NULL, &v) != 0 ||
            (v.type == LUA_TTABLE ? write_table(w, lua_gettop(L)) : write_scalar(w, &v, NULL)) != 0) {
            return -1;
        }
        lua_pop(L, 1);
    }
    return put(w, "]", 1);
}

static int write_table(writer *w, int idx) {
    lua_State *L = w->walk.L;
    const char *what = NULL;
    const char *code = conv_enter(&w->walk, idx, &what);
    if (code != NULL) {
        return conv_fail(&w->walk, code, what);
    }
    int top = lua_gettop(L);
    size_t n = 0;
    int rc;
    lua_pushnil(L);
    if (!lua_next(L, idx)) {
        rc = put(w, conv_is_marked_array(L, idx) ? "[]" : "{}", 2);
    } else if (lua_type(L, -2) != LUA_TSTRING && conv_is_sequence(L, idx, &n)) {
        lua_settop(L, top);
        rc = write_array(w, idx, n);
    } else {
        rc = write_object(w, idx);
    }
    lua_settop(L, top);
    w->walk.depth -= rc == 0;
    return rc;
}

int conv_canonical(lua_State *L, int idx, buf *out, err *e) {
    writer w; /* large, and most of it is written before it is read */
    w.walk.L = L;
    w.walk.lim = &CONV_DEFAULT;
    w.walk.e = e;
    w.walk.nodes = w.walk.bytes = 0;
    w.walk.depth = 0;
    w.out = out;
    w.members = NULL;
    w.count = w.cap = 0;
    for (size_t i = 0; i < SHAPES; i++) {
        w.shapes[i].n = 0;
    }
    err_clear(e);
    if (!lua_checkstack(L, STACK_SPARE)) {
        return conv_fail(&w.walk, "out_of_memory", "out of stack");
    }
    int top = lua_gettop(L);
    found v;
    int rc = find(&w, lua_absindex(L, idx), NULL, &v);
    if (rc == 0) {
        rc = v.type == LUA_TTABLE ? write_table(&w, v.is.index) : write_scalar(&w, &v, NULL);
    }
    if (rc == 0) {
        rc = buf_append(out, "", 0) == 0 ? 0 : conv_no_memory(&w.walk);
    }
    lua_settop(L, top);
    free(w.members);
    return rc;
}
