/* deterministic.c: what the linker puts in the place of four functions of gate-audit's Lua (ld(1), --wrap), so that
 * nothing of the moment or of the address space gets into a verdict.
 *
 * Lua seeds its string hash from the time and three addresses (lstate.c, luai_makeseed), and table.sort picks the pivot
 * of a large unbalanced part from the clock and the time (ltablib.c, l_randomizePivot): the order of `next`, the moment
 * a table grows, and what a comparator sees would differ from run to run. With them fixed, who writes a plan can build
 * keys that collide or lists that sort slowly: that costs the audit its own processor time, which is bounded. */
#include <stddef.h>
#include <time.h>

unsigned int __wrap_luaS_hash(const char *text, size_t n, unsigned int seed);
const void *__real_luaT_gettm(void *events, int event, void *name);
const void *__wrap_luaT_gettm(void *events, int event, void *name);
time_t __wrap_time(time_t *out);
clock_t __wrap_clock(void);

/* Any number does; 0 would make table.sort take the end of the first quarter for its pivot each time. This one is the
 * golden ratio's (Knuth, TAOCP 3, 6.4). */
#define SORT_PIVOT 0x9e3779b9
#define TM_MODE 3

/* Only luai_makeseed calls it from another object file; strings hash inside of lstring.c. */
unsigned int __wrap_luaS_hash(const char *text, size_t n, unsigned int seed) {
    (void)text;
    (void)n;
    (void)seed;
    return 0x67617465u;
}

/* When a weak table loses an entry depends on when memory is collected, and that on all that was allocated before, the
 * length of the script's path included: tables of audits are strong. Only the collector asks for TM_MODE (lgc.c), which
 * is the fourth event of ltm.h in Lua 5.4. */
const void *__wrap_luaT_gettm(void *events, int event, void *name) {
    return event == TM_MODE ? NULL : __real_luaT_gettm(events, event, name);
}

time_t __wrap_time(time_t *out) {
    if (out != NULL) {
        *out = 0;
    }
    return 0;
}

clock_t __wrap_clock(void) {
    return SORT_PIVOT;
}
