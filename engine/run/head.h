/* head.h: what a script says of itself (design §3), checked before anything of it runs. */
#ifndef GE_RUN_HEAD_H
#define GE_RUN_HEAD_H

#include <jansson.h>

#include "base/err.h"

/* Checks what loader_head returned. *head is a new reference to the head with defaults filled in:
 *   kind "gate"|"suite"|"operation"|"audit", id, name, number|null, purpose, pass|null, owner|null, runbook|null,
 * parallel, needs {db:[], endpoints:[]|true, stores:[], commands:[], solver, audits, auth:[]} (of an audit:
 * {history?}), options {name: {type, default?, min?, max?, choices?, access?, search?, multiple, required, help}},
 * failures {class: {text, fix?, severity}}, gates [] (suite), pack|null, has_run, has_recover; functions are
 * {"$function": line}. Fails on the first problem, in err the message `FILE:LINE: key: …`. */
int head_check(const json_t *raw, json_t **head, err *e);

/* As head_check, but every problem is appended to `problems` as schema.h's schema_check does. head may be NULL. */
int head_problems(const json_t *raw, json_t **head, json_t *problems, err *e);

#endif
