/* platform.h: the verb `platform`: one embedded server kept between runs. */
#ifndef GE_RUN_PLATFORM_H
#define GE_RUN_PLATFORM_H

/* argv[0] is the verb itself ("platform"), argv[1] start, stop, status, psql or reset. Returns the exit code: 0 done
 * (or nothing to do), 1 status: not running, 2 usage, 3 could not be carried out, 130 and 143 interrupted. psql does
 * not return: it becomes psql. */
int platform_main(int argc, char **argv);

#endif
