/* data.h: what engine/run hands to a state and takes from it, so that it needs no Lua of its own.
 *
 * The pushing functions never raise: they run protected, and leave nothing on the stack when they fail. */
#ifndef GE_VM_DATA_H
#define GE_VM_DATA_H

#include <jansson.h>
#include <stddef.h>

#include "vm/vm.h"

/* Pushes a JSON value. 0 / -1 with *e set (script_memory). [-0, +1, -] */
int vm_push_json(vm *v, const json_t *value, err *e);
/* Pushes what vm_load_file compiles from the script, or nil where there is none, and the message handler.
 * [-0, +2, -] */
int vm_push_script(vm *v, const char *path, err *e);
/* SHA-256 of n bytes as a JSON string of 64 hexadecimal digits, by the engine's own hash module: the program that holds
 * the state need not link a crypto library. NULL with *e set. [-0, +0, -] */
json_t *vm_sha256(vm *v, const char *bytes, size_t n, err *e);
/* Gives the configuration's chunk on top of the stack its two functions: env "NAME" or env("NAME", default), and
 * file "PATH" relative to `dir`, at most `max` bytes. [-0, +0, -] */
int vm_give_config_functions(vm *v, const char *dir, size_t max, err *e);

#endif
