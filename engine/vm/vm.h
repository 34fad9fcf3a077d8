/* vm.h: one Lua state with one script in it, and the first ring around that script.
 *
 * What holds in every state: text chunks only, the allow-listed libraries of sandbox.c, undeclared globals are errors,
 * no finaliser from a script (`__gc` is refused), a capped allocator whose flag is sticky: a script that swallows "not
 * enough memory" still ends as an error. Time is not kept here: the supervisor kills from outside. This ring is one of
 * several; SECURITY notes say what it does not stop. */
#ifndef GE_VM_VM_H
#define GE_VM_VM_H

#include <jansson.h>
#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

typedef enum {
    VM_CONFIG, /* data: `env` and `file`, no library */
    VM_SCRIPT, /* gates, suites, operations, their modules */
    VM_AUDIT   /* a tenant's audit: nothing that could make two runs differ */
} vm_profile;

typedef struct vm_options {
    vm_profile profile;
    size_t memory_bytes;     /* most the state may hold; must not be 0 */
    size_t rest_bytes;       /* nothing is collected before it holds more than this; 0: as Lua does */
    const char *stdlib_dir;  /* where `require` looks first; NULL: no require of files */
    const char *script_dir;  /* where it looks next; may be NULL */
    const char *modules_dir; /* holds engine/<noun>.so; NULL: none can be loaded */
    const char *here;        /* names of files in messages are relative to it; may be NULL */
    const json_t *helpers;   /* VM_AUDIT: {"name": source} instead of files; may be NULL */
    /* A line a script printed, n bytes of anything; NULL drops it. */
    void (*print)(void *ctx, const char *text, size_t n);
    void *print_ctx;
} vm_options;

typedef struct vm vm;

/* A fresh state, or NULL with *e set (out_of_memory). The strings of `o` must outlive it. */
vm *vm_new(const vm_options *o, err *e);
void vm_free(vm *v);
lua_State *vm_lua(vm *v);

/* Memory: was the limit ever hit (sticky), the most that was in use, the limit. */
bool vm_memory_hit(const vm *v);
size_t vm_memory_peak(const vm *v);
/* What it uses now. */
size_t vm_memory_used(const vm *v);
/* The stack: did a script catch Lua's error of a full one (sticky)? 0, or -1 with code script_stack. */
int vm_stack_check(const vm *v, err *e);
/* Did a script ask for a module that is a capability, and catch the refusal (sticky)? 0, or -1 with code
 * script_capability. */
int vm_capability_check(const vm *v, err *e);
size_t vm_memory_limit(const vm *v);

/* Compiles text (never bytecode) named `chunk` ("@path") and pushes the function with the script's environment, or the
 * trusted one's, whose libraries no script can reach. 0 / -1 with code script_syntax or script_memory. [-0, +1, -] */
int vm_load(vm *v, const char *chunk, const char *text, size_t n, bool trusted, err *e);
/* The same on the stack of one of its coroutines, which is where whatever the running function asks for belongs. */
int vm_load_in(vm *v, lua_State *L, const char *chunk, const char *text, size_t n, bool trusted, err *e);
/* The same for a file; script_missing where it cannot be read. */
int vm_load_file(vm *v, lua_State *L, const char *path, bool trusted, err *e);
/* The one protected call. On failure *e says what was raised, read raw and bounded: a structured error keeps its
 * fields; anything else has code script_error. [-(nargs + 1), +nresults or 0, -] */
int vm_call(vm *v, int nargs, int nresults, err *e);

/* Reads an error object (at idx) into *e: raw, bounded, no metamethod of it runs. [-0, +0, -] */
void vm_read_error(lua_State *L, int idx, err *e);
/* A message handler for lua_pcall and xpcall: turns what was raised into {code, message, detail, fix, where, line,
 * types}: the file:line of the innermost Lua function, that line of the source, and for Lua's own errors the types of
 * the names in it ("hours: nil, row.total: number"). [-1, +1, m] */
int vm_message_handler(lua_State *L);

/* Puts what the handler found into the error of a failed vm_call: the place before the message where it names none, the
 * line and its types as the detail where there is none. */
void vm_place_error(const vm *v, err *e);
/* "@path", relative to where the options say, as chunks are named. [-0, +0, -] */
void vm_chunk_name(const vm *v, const char *path, char *out, size_t cap);

/* Files that `require` loaded, as [{"path", "name"}], a new reference. */
json_t *vm_loaded_files(vm *v);

#endif
