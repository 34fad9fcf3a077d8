/* signals.h: INT, TERM and HUP become a flag and a readable descriptor; nothing else happens in a handler. */
#ifndef GE_RUN_SIGNALS_H
#define GE_RUN_SIGNALS_H

#include <signal.h>

#include "base/err.h"

/* The first signal that came, or 0. */
extern volatile sig_atomic_t signals_flag;

/* Installs the handlers once; SIGPIPE is ignored. */
int signals_install(err *e);
/* Readable from the moment a signal came; -1 before signals_install. */
int signals_fd(void);
/* Forgets the signal that came: it meant something else than the end of the run. */
void signals_forget(void);
/* In a fresh child: default actions, nothing blocked, the descriptor closed. */
void signals_reset_in_child(void);
/* The exit code for the signal that came: 130 for INT, 143 for TERM, 129 for HUP; 0 without one. */
int signals_exit_code(void);

#endif
