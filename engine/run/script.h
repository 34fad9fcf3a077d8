/* script.h: finding and loading the scripts a command line or a suite names. */
#ifndef GE_RUN_SCRIPT_H
#define GE_RUN_SCRIPT_H

#include <jansson.h>
#include <stdbool.h>

#include "base/err.h"
#include "base/paths.h"

typedef struct script {
    char *path;   /* owned; absolute */
    char *label;  /* owned; as messages and reports name it */
    json_t *raw;  /* owned; what the loader returned */
    json_t *head; /* owned; checked */
} script;

/* The installed tree; found once, kept for the process. NULL with *e: install_broken. */
const paths *script_tree(err *e);

/* How messages name a file: relative to the working directory or to the installed tree where it lies in one of them.
 * Owned by the caller; NULL out of memory (or for NULL). */
char *script_label(const char *path);

/* Is this (what the loader returned) one of this program's gates or scripts, unchanged and in its place of the
 * installed tree? */
bool script_is_shipped(const json_t *raw);

/* A name as given → absolute path (owned by the caller): a path in the working directory, then in the installed tree;
 * or an id: its file in gates/ or scripts/ of the installed tree, then of the working directory. `beside` (may be
 * NULL): a directory tried first for paths. Error: usage_script, with the nearest name, or where it is a symbolic link
 * that leads out of its directory (those of the installed tree may). */
int script_find(const char *name, const char *beside, char **path, err *e);
/* The error of such a link, `what` being what was to be read. -1. */
int script_refuse_link(const char *what, const char *path, err *e);

/* Finds, loads (in a contained process, with the stdlib of stdlib_dir; NULL = the installed one) and checks.
 * Errors: those of script_find, the loader and the head. */
int script_load(const char *name, const char *beside, const char *stdlib_dir, script *out, err *e);
void script_free(script *s);

/* Notes in `seen` (an object that begins empty) that the gate is the i-th (from 1) of the suite `label`. Errors:
 * head_suite where a gate before it has its id, naming both; out_of_memory. */
int script_note_gate(json_t *seen, const char *label, size_t i, const script *gate, err *e);

/* Ids or labels ("rls_harness", "gates/rls_harness.lua") of what the installed tree holds in gates/ and scripts/,
 * sorted. New reference. */
json_t *script_names(bool labels, err *e);

#endif
