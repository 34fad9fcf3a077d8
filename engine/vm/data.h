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
/* Pushes what vm_load compiles from the script's text (named by its path), or nil where the path is NULL, and the
 * message handler. [-0, +2, -] */
int vm_push_script(vm *v, const char *path, const char *text, size_t n, err *e);
/* Gives the configuration's chunk on top of the stack its two functions: env "NAME" or env("NAME", default), and
 * file "PATH" relative to `dir`, at most `max` bytes. [-0, +0, -] */
int vm_give_config_functions(vm *v, const char *dir, size_t max, err *e);

#endif
