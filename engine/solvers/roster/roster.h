/* roster.h: what the parts of the roster solver share.
 *
 * The program reads a problem (canonical JSON) and writes a plan: which driver drives which tour of one week. Its
 * answer is a function of its input bytes alone, on any machine: whole minutes and integers only, own random numbers,
 * effort counted in steps and never in seconds, tours brought into an order of their own first, so that neither the
 * order of the input's list nor anything about the process can show in the output.
 *
 * Words: a tour is one instance; a unit is what may not be taken apart (one tour, or the two of a split shift); a block
 * is what one driver does on one day. */
#ifndef GE_ROSTER_H
#define GE_ROSTER_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "solvers/common/rng.h"

#define RS_NAME "roster-solver"
/* Changes whenever the plan for any input may change: it is part of solver_config_hash. */
#define RS_VERSION "1.0.0"

#define RS_DAYS 7
#define RS_DAY_MINUTES 1440
#define RS_BLOCK_TOURS 3
#define RS_TOURS_MAX 200000

/* Gaps inside a block, in minutes (domain: blocks). */
#define RS_GAP_MIN 30
#define RS_GAP_MAX 60
#define RS_BREAK_MIN 240
#define RS_BREAK_MAX 360

typedef enum { RS_NONE, RS_1ER, RS_2ER_REG, RS_2ER_SPLIT, RS_3ER } rs_type;

typedef struct rs_limits {
    int weekly;       /* most minutes of work in the week */
    int rest;         /* least minutes between the end of one daily block and the start of the next */
    int span_regular; /* 1er, 2er-reg: most minutes from first start to last end */
    int span_split;   /* 2er-split, 3er-chain: the same */
} rs_limits;

typedef struct rs_tour {
    const char *id;    /* borrowed from the input document */
    const char *group; /* split group or NULL; borrowed */
    int day;           /* 0 to 6 */
    int start, end;    /* minutes on the week's line */
} rs_tour;

typedef struct rs_unit {
    int day;
    int n;                    /* tours, 1 to RS_BLOCK_TOURS */
    int tour[RS_BLOCK_TOURS]; /* indexes, in order of start */
    int minutes;              /* of work */
} rs_unit;

typedef struct rs_block {
    int n; /* units; 0 = the driver is free that day */
    int unit[RS_BLOCK_TOURS];
    int start, end;
    int minutes;
    rs_type type;
} rs_block;

typedef struct rs_problem {
    json_t *doc; /* owned: keeps the ids alive */
    rs_limits limits;
    int64_t seed;
    int n_tours;
    rs_tour *tours; /* owned; sorted by day, start, end, id */
    int n_units;
    rs_unit *units; /* owned; in the order of their first tours */
} rs_problem;

typedef struct rs_driver {
    rs_block day[RS_DAYS];
    int minutes;
} rs_driver;

typedef struct rs_week {
    const rs_problem *p; /* borrowed */
    int n;               /* drivers */
    int cap;
    rs_driver *drivers; /* owned */
    int *driver_of;     /* owned; driver of each unit, -1 = none yet */
} rs_week;

/* input.c: a problem from JSON text. Strict: every key known, every value in range, no id twice. On success p owns its
 * memory (rs_problem_free). Errors: input_json, input_value, out_of_memory. */
int rs_problem_read(rs_problem *p, const char *text, size_t n, err *e);
void rs_problem_free(rs_problem *p);

/* unit.c: tours to units. A tour or split shift that no driver could ever drive is named with the rule that forbids it.
 * Errors: infeasible_tour, infeasible_split_group, no_plan_found (not placed, and not proven impossible),
 * input_value, out_of_memory. */
int rs_units_make(rs_problem *p, err *e);
/* The block of some units (at most RS_BLOCK_TOURS; 0 = the empty block), if it is one of the four types and keeps the
 * limits on spans and weekly work. */
bool rs_block_make(const rs_problem *p, const int *units, int n, rs_block *out);

/* week.c: the drivers' weeks. Every week reachable through these keeps all seven audits' rules but coverage. */
int rs_week_init(rs_week *w, const rs_problem *p, err *e);
int rs_week_copy(rs_week *to, const rs_week *from, err *e); /* `to` was initialised for the same problem */
void rs_week_free(rs_week *w);
/* Adds a driver with no work; returns its index, or -1 out of memory. */
int rs_week_add_driver(rs_week *w);
/* Removes a driver; its units are unassigned. The last driver takes its index. */
void rs_week_drop_driver(rs_week *w, int d);
/* May driver d have block b on that day, in place of what it has there? */
bool rs_week_fits(const rs_week *w, int d, int day, const rs_block *b);
/* Gives driver d block b on that day; units which it had there and b lacks are unassigned. */
void rs_week_set(rs_week *w, int d, int day, const rs_block *b);
/* The block of d on the unit's day with the unit added, or taken out. False when that is no block. */
bool rs_week_with(const rs_week *w, int d, int unit, rs_block *out);
bool rs_week_without(const rs_week *w, int d, int unit, rs_block *out);

/* greedy.c: a first complete plan. */
int rs_greedy(rs_week *w, err *e);
/* search.c: fewer drivers, never below `bound`. */
int rs_search_drivers(rs_week *w, int bound, solver_rng *rng, err *e);
/* level.c: work spread so that every driver comes near full time. */
int rs_search_full_time(rs_week *w, solver_rng *rng, err *e);

/* bound.c: a proven lower bound on the number of drivers, at least 1; -1 out of memory. */
int rs_lower_bound(const rs_problem *p, err *e);

/* output.c: the plan as canonical JSON. */
int rs_plan_write(const rs_week *w, int bound, buf *out, err *e);

/* The whole way from input text to output text. */
int rs_solve_text(const char *text, size_t n, buf *out, err *e);

#endif
