/* book_source.h: the line of a script's source that an error names. */
#ifndef GE_RUN_BOOK_SOURCE_H
#define GE_RUN_BOOK_SOURCE_H

#include <jansson.h>
#include <stddef.h>

/* `raw` as the loader returned it (may be NULL), `where` as "FILE:LINE", FILE as Lua shortens it ("...end/of/path.lua",
 * Lua 5.4 manual, lua_Debug.short_src). Sets *line (borrowed from raw) to that line without the space around it and
 * returns its length; 0 where the place is not in this script or the line is empty. */
size_t book_source_line(const json_t *raw, const char *where, const char **line);

#endif
