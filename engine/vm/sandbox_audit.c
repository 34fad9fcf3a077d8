/* sandbox_audit.c: what makes an audit give the same verdict and the same bytes each time.
 *
 * Lua seeds its string hash by time and address, so `pairs` walks string keys in another order in each process, and a
 * table's text holds its address. Here keys come sorted (numbers, then strings by bytes) and addresses are masked. */
#include <lauxlib.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "vm/luax.h"
#include "vm/vm_internal.h"

/* A key as it is compared: a number (text NULL; float or integer in `bits`), or a string by its first eight bytes and
 * then the rest. The string belongs to the table that is walked. */
typedef struct key {
    uint64_t bits;
    const char *text;
    uint32_t length; /* of a number: 1 for a float */
    uint32_t slot;   /* its place in the list of keys */
} key;

/* The order of a walk, in a userdata; the keys are its user values, where they are few, else in a list. */
typedef struct walk {
    size_t n, at, cap;
    key keys[];
} walk;

#define FEW 16

static double as_float(const key *k) {
    double d;
    memcpy(&d, &k->bits, sizeof d);
    return d;
}

/* Is the integer i below the float d? Exact, also where i has no float of its own. */
static bool integer_below(int64_t i, double d) {
    if (d >= 9223372036854775808.0) {
        return true;
    }
    if (!(d > -9223372036854775808.0)) {
        return false;
    }
    int64_t whole = (int64_t)d; /* towards zero */
    return i < whole || (i == whole && d > (double)whole);
}

static bool number_before(const key *a, const key *b) {
    if (a->length == b->length) {
        return a->length == 1 ? as_float(a) < as_float(b) : (int64_t)a->bits < (int64_t)b->bits;
    }
    if (a->length == 0) {
        return integer_below((int64_t)a->bits, as_float(b));
    }
    /* A float key never equals an integer key: Lua makes whole floats integers. */
    return !integer_below((int64_t)b->bits, as_float(a));
}

/* Numbers by value, then strings by bytes (lua_compare follows the locale). */
static bool key_before(const key *a, const key *b) {
    if (a->text == NULL || b->text == NULL) {
        return a->text == NULL && (b->text != NULL || number_before(a, b));
    }
    if (a->bits != b->bits) {
        return a->bits < b->bits;
    }
    uint32_t n = a->length < b->length ? a->length : b->length;
    int c = n > 8 ? memcmp(a->text + 8, b->text + 8, n - 8) : 0;
    return c < 0 || (c == 0 && a->length < b->length);
}

/* Reads the key at the top, which stays there. [-0, +0, v] */
static void read_key(lua_State *L, key *k, size_t slot) {
    int t = lua_type(L, -1);
    *k = (key){.slot = (uint32_t)slot};
    if (t == LUA_TSTRING) {
        size_t n;
        k->text = lua_tolstring(L, -1, &n);
        k->length = (uint32_t)n;
        for (size_t i = 0; i < 8; i++) {
            k->bits = k->bits << 8 | (i < n ? (unsigned char)k->text[i] : 0);
        }
    } else if (lua_isinteger(L, -1)) {
        k->bits = (uint64_t)lua_tointeger(L, -1);
    } else if (t == LUA_TNUMBER) {
        double d = lua_tonumber(L, -1);
        memcpy(&k->bits, &d, sizeof d);
        k->length = 1;
    } else {
        luax_fail_fix(L, "audit_key_order", "use strings or numbers as keys",
                      "pairs: keys other than strings and numbers have no order that is the same in every run");
    }
}

static void insertion_sort(key *keys, size_t n) {
    for (size_t i = 1; i < n; i++) {
        key k = keys[i];
        size_t at = i;
        for (; at > 0 && key_before(&k, &keys[at - 1]); at--) {
            keys[at] = keys[at - 1];
        }
        keys[at] = k;
    }
}

/* Merge sort (Knuth, TAOCP 3, 5.2.4), so that no order of keys is slow. `room` holds n keys more. */
static void merge_sort(key *keys, key *room, size_t n) {
    if (n <= 12) {
        insertion_sort(keys, n);
        return;
    }
    size_t half = n / 2, a = 0, b = half, out = 0;
    merge_sort(keys, room, half);
    merge_sort(keys + half, room, n - half);
    if (!key_before(&keys[half], &keys[half - 1])) {
        return;
    }
    memcpy(room, keys, half * sizeof *keys);
    while (a < half && b < n) {
        keys[out++] = key_before(&keys[b], &room[a]) ? keys[b++] : room[a++];
    }
    memcpy(keys + out, room + a, (half - a) * sizeof *keys);
}

/* Radix sort (Knuth, TAOCP 3, 5.2.5) by the bytes of `bits` in which keys differ, the last one first; keys that agree
 * in all eight are then sorted by what follows. All keys are strings, or all are integers whose bits begin with a
 * flipped sign. */
static void radix_sort(key *keys, key *room, size_t n) {
    uint64_t differ = 0;
    for (size_t i = 1; i < n; i++) {
        differ |= keys[i].bits ^ keys[0].bits;
    }
    key *from = keys, *to = room;
    for (unsigned shift = 0; shift < 64; shift += 8) {
        size_t at[257] = {0};
        if ((differ >> shift & 0xff) == 0) {
            continue;
        }
        for (size_t i = 0; i < n; i++) {
            at[(from[i].bits >> shift & 0xff) + 1]++;
        }
        for (size_t i = 1; i < 257; i++) {
            at[i] += at[i - 1];
        }
        for (size_t i = 0; i < n; i++) {
            to[at[from[i].bits >> shift & 0xff]++] = from[i];
        }
        key *other = from;
        from = to;
        to = other;
    }
    if (from != keys) {
        memcpy(keys, from, n * sizeof *keys);
    }
    for (size_t i = 0, end; i < n; i = end) {
        for (end = i + 1; end < n && keys[end].bits == keys[i].bits; end++) {
        }
        merge_sort(keys + i, room, end - i);
    }
}

#define RADIX_MIN 48

/* `strings`, `integers`: how many of the keys are such. */
static void sort_keys(lua_State *L, walk *w, size_t strings, size_t integers) {
    key *room = w->n > 12 ? lua_newuserdatauv(L, w->n * sizeof *room, 0) : NULL;
    if (w->n < RADIX_MIN || (strings != w->n && integers != w->n)) {
        merge_sort(w->keys, room, w->n);
        return;
    }
    for (size_t i = 0; integers > 0 && i < w->n; i++) {
        w->keys[i].bits ^= UINT64_C(1) << 63;
    }
    radix_sort(w->keys, room, w->n); /* the bits of integers are not looked at again */
}

/* A walk with room for more keys, on top in the place of the one at idx. [-0, +0, m] */
static walk *grow(lua_State *L, int idx, walk *old, size_t cap) {
    if (cap > UINT32_MAX / 2) {
        luaL_error(L, "table overflow");
    }
    walk *w = lua_newuserdatauv(L, sizeof *w + cap * sizeof *w->keys, cap <= FEW ? FEW : 0);
    w->n = w->at = 0;
    w->cap = cap;
    if (old != NULL) {
        w->n = old->n;
        memcpy(w->keys, old->keys, old->n * sizeof *w->keys);
        lua_replace(L, idx);
    }
    return w;
}

/* Moves the first FEW keys from a small walk into a list, and makes room for more. The walk is at 2; the list goes
 * to 3. */
static walk *grow_large(lua_State *L, walk *w) {
    lua_createtable(L, 4 * FEW, 0);
    lua_insert(L, 3);
    for (int i = 1; i <= FEW; i++) {
        lua_getiuservalue(L, 2, i);
        lua_rawseti(L, 3, i);
    }
    return grow(L, 2, w, (size_t)lua_rawlen(L, 1) + 4 * FEW);
}

/* Pushes the walk of the table at 1, and the list of its keys or nil where they are few. [-0, +2, v] */
static walk *push_keys(lua_State *L) {
    walk *w = grow(L, 2, NULL, FEW);
    bool sorted = true, large = false;
    size_t strings = 0, integers = 0;
    lua_pushnil(L);
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        if (w->n == w->cap) {
            w = large ? grow(L, 2, w, w->cap * 2) : grow_large(L, w);
            large = true;
        }
        key *k = &w->keys[w->n++];
        read_key(L, k, w->n);
        strings += k->text != NULL;
        integers += k->text == NULL && k->length == 0;
        sorted = sorted && (w->n == 1 || key_before(k - 1, k));
        lua_pushvalue(L, -1);
        if (large) {
            lua_rawseti(L, 3, (lua_Integer)w->n);
        } else {
            lua_setiuservalue(L, 2, (int)w->n);
        }
    }
    lua_settop(L, large ? 3 : 2);
    if (!sorted) {
        sort_keys(L, w, strings, integers);
        lua_settop(L, large ? 3 : 2);
    }
    lua_settop(L, 3);
    return w;
}

/* The iterator: upvalues: walk, list of keys or nil, table. Keys whose value became nil are passed over, as next does.
 */
static int sorted_step(lua_State *L) {
    walk *w = lua_touserdata(L, lua_upvalueindex(1));
    while (w->at < w->n) {
        int slot = (int)w->keys[w->at++].slot;
        if (w->cap <= FEW) {
            lua_getiuservalue(L, lua_upvalueindex(1), slot);
        } else {
            lua_rawgeti(L, lua_upvalueindex(2), slot);
        }
        lua_pushvalue(L, -1);
        if (lua_rawget(L, lua_upvalueindex(3)) != LUA_TNIL) {
            return 2;
        }
        lua_pop(L, 2);
    }
    lua_pushnil(L);
    return 1;
}

static int sorted_pairs(lua_State *L) {
    luaL_checkany(L, 1);
    if (luaL_getmetafield(L, 1, "__pairs") != LUA_TNIL) {
        lua_pushvalue(L, 1);
        lua_call(L, 1, 3);
        return 3;
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    push_keys(L);
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, sorted_step, 3);
    lua_pushvalue(L, 1);
    lua_pushnil(L);
    return 3;
}

/* next(t): the first key in order, or nil. next(t, k): the one after k, which need not be there any more. Looks through
 * the table without a copy of its keys; who wants all of them uses pairs. */
static int sorted_next(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 2);
    bool first = lua_isnil(L, 2), any = false;
    key given = {0}, best = {0}, k;
    if (!first) {
        read_key(L, &given, 0);
    }
    lua_pushnil(L); /* 3: the smallest key after the one given */
    lua_pushnil(L); /* 4: the walk's key */
    while (lua_next(L, 1)) {
        lua_pop(L, 1);
        read_key(L, &k, 0);
        if ((first || key_before(&given, &k)) && (!any || key_before(&k, &best))) {
            any = true;
            best = k;
            lua_pushvalue(L, 4);
            lua_replace(L, 3);
        }
    }
    if (!any) {
        lua_pushnil(L);
        return 1;
    }
    lua_pushvalue(L, 3);
    lua_pushvalue(L, 3);
    lua_rawget(L, 1);
    return 2;
}

/* Would its text hold an address? */
static bool is_addressed(lua_State *L, int idx) {
    int t = lua_type(L, idx);
    return t > LUA_TSTRING || t == LUA_TLIGHTUSERDATA;
}

/* "table", "function", … instead of a text with an address, unless the value says its text itself. */
static void push_masked(lua_State *L, int idx) {
    bool addressed = is_addressed(L, idx);
    if (addressed && luaL_getmetafield(L, idx, "__tostring") == LUA_TNIL) {
        lua_pushstring(L, luaL_typename(L, idx));
        return;
    }
    if (addressed) {
        lua_pop(L, 1);
    }
    luaL_tolstring(L, idx, NULL);
}

static int masked_tostring(lua_State *L) {
    luaL_checkany(L, 1);
    push_masked(L, 1);
    return 1;
}

/* string.format with addresses masked in what %s shows. %p is refused. Lua's own (upvalue 1) then works on the same
 * arguments in the same call. */
static int masked_format(lua_State *L) {
    size_t n;
    const char *fmt = luaL_checklstring(L, 1, &n);
    int arg = 1;
    const char *end = fmt + n;
    bool plain = memchr(fmt, 'p', n) == NULL;
    for (int i = lua_gettop(L); i > 1 && plain; i--) {
        plain = !is_addressed(L, i);
    }
    if (plain) {
        return lua_tocfunction(L, lua_upvalueindex(1))(L);
    }
    for (const char *p = memchr(fmt, '%', n); p != NULL; p = memchr(p + 1, '%', (size_t)(end - p - 1))) {
        do {
            p++;
        } while (*p == '-' || *p == '+' || *p == ' ' || *p == '#' || *p == '.' || (*p >= '0' && *p <= '9'));
        if (p >= end) {
            break;
        }
        arg += *p != '%' ? 1 : 0;
        if (*p == 'p') {
            return luax_fail(L, "audit_address", "string.format: %%p shows an address, which differs in every run");
        }
        if (*p == 's' && arg <= lua_gettop(L) && is_addressed(L, arg)) {
            push_masked(L, arg);
            lua_replace(L, arg);
        }
    }
    return lua_tocfunction(L, lua_upvalueindex(1))(L);
}

void sandbox_deterministic_base(lua_State *L, int env) {
    static const luaL_Reg OWN[] = {{"pairs", sorted_pairs}, {"next", sorted_next}, {"tostring", masked_tostring}};
    for (size_t i = 0; i < sizeof OWN / sizeof OWN[0]; i++) {
        lua_pushcfunction(L, OWN[i].func);
        lua_setfield(L, env, OWN[i].name);
    }
}

void sandbox_deterministic_string(lua_State *L, int lib) {
    lua_getfield(L, lib, "format");
    lua_pushcclosure(L, masked_format, 1);
    lua_setfield(L, lib, "format");
}
