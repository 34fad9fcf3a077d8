/* vm_internal.h: shared by vm.c and sandbox*.c alone. */
#ifndef GE_VM_VM_INTERNAL_H
#define GE_VM_VM_INTERNAL_H

#include "vm/alloc.h"
#include "vm/vm.h"

/* Registry names. */
#define SANDBOX_ENV "gate.env"
#define SANDBOX_TRUSTED_ENV "gate.env.trusted"
#define SANDBOX_LOADED "gate.loaded"
#define SANDBOX_VM "gate.vm"

/* A chunk as it was loaded, for the lines that errors name. Both owned. */
typedef struct blame_source {
    char *name, *text;
} blame_source;

/* Where the last error came from: "FILE:LINE", the line, the types of the names in it. Empty: not known. */
typedef struct blame_place {
    char where[200], line[256], types[400];
} blame_place;

struct vm {
    vm_options o;
    alloc_cap cap;
    lua_State *L;
    bool stack_hit;        /* sticky: a script caught Lua's error of a full stack */
    char refused[64];      /* sticky: the capability that require refused last; "" */
    json_t *loaded;        /* owned: files that require loaded */
    blame_source *sources; /* owned */
    size_t nsources;
    blame_place place;
};

/* Is it text that may be a script: UTF-8, no bytecode, no NUL? -1 with script_syntax, naming the line. */
int blame_text(const char *chunk, const char *text, size_t n, err *e);
/* Remembers a chunk's text. 0 / -1 out of memory. */
int blame_keep(vm *v, const char *chunk, const char *text, size_t n);
/* Adds the line and what it most often comes from to an error of Lua's parser. */
void blame_syntax(const vm *v, const char *chunk, err *e);
void blame_free(vm *v);

/* lua_CFunction(vm as light userdata): opens libraries and builds both environments. */
int sandbox_open(lua_State *L);
/* The vm of a state. [-0, +0, -] */
vm *sandbox_vm(lua_State *L);
/* require for an environment; upvalue 1 says whether it is the trusted one. */
int sandbox_require(lua_State *L);
/* Pushes the module of engine/<noun>.so ("engine.<noun>"). [-0, +1, v] */
int sandbox_native(lua_State *L, vm *v, const char *name);
/* What VM_AUDIT replaces so that the same input gives the same bytes; the library table is at the top. */
void sandbox_deterministic_base(lua_State *L, int env);
void sandbox_deterministic_string(lua_State *L, int lib);
/* Gives the environment at `env` a pcall, xpcall and coroutine.wrap that remember a full stack. [-0, +0, m] */
void sandbox_stack(lua_State *L, int env);
/* The same for the n results of coroutine.resume or close, which are on top. Returns n. [-0, +0, -] */
int sandbox_note_stack(lua_State *L, int n);
/* Makes the string.format of the libraries at `libs` take number-like userdata (metamethod __tonumber). [-0, +0, m] */
void sandbox_number_format(lua_State *L, int libs);

#endif
