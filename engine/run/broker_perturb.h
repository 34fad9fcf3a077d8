/* broker_perturb.h: the environment of a declared command, and what differs in it on purpose (design §9). Used by
 * the broker's jobs alone. */
#ifndef GE_RUN_BROKER_PERTURB_H
#define GE_RUN_BROKER_PERTURB_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "run/child.h"

typedef struct env_list {
    char **v;
    size_t n;
    bool failed;
} env_list;

/* The PATH of every declared command. */
#define COMMAND_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* A clean environment: nothing of the engine's own, where credentials live, reaches a command. What finds no memory
 * sets env->failed. */
void env_base(env_list *env, const json_t *command);
void env_free(env_list *env);
/* Fills env and p from a request's perturb table (may be NULL) for this command, whose "shim" is the path of
 * perturb.so. Returns what is done and what cannot be, a new reference: {"applied": {}, "not_applied": {name: why}};
 * NULL out of memory. */
json_t *perturb_command(const json_t *wish, const json_t *command, env_list *env, child_perturb *p);

#define NEIGHBOURS_MAX 8

/* Where "load" is among what perturb_command says is done: starts processes that do nothing and use all the processor
 * time they get, one on p's processor, or on each that may be used. What cannot be started is moved to what is not
 * done. They last until they are stopped, or for so many seconds of their own. */
void neighbours_start(json_t *applied, const child_perturb *p, double most_s, child list[NEIGHBOURS_MAX]);
void neighbours_stop(child list[NEIGHBOURS_MAX]);

#endif
