/* xml.h: writes XML 1.0 into a buffer, element by element.
 *
 * Own code instead of a library, for what is to be written is little and must be whole or not there: Mini-XML crashes
 * where memory runs out, or leaves out elements and values without a word. Here only the buffer allocates, and it
 * remembers a failure. */
#ifndef GE_BASE_XML_H
#define GE_BASE_XML_H

#include "base/buf.h"

#define XML_DEPTH_MAX 16

typedef struct xml {
    buf *out; /* not owned; its `failed` says whether everything was written */
    const char *open[XML_DEPTH_MAX];
    int depth;
    bool in_tag; /* the start tag still takes attributes */
    bool text;   /* the innermost element has text: no white space is put into it */
} xml;

/* The declaration. Then elements; names are literals of the caller, never foreign text. */
void xml_begin(xml *x, buf *out);
void xml_open(xml *x, const char *name);
/* Only right after xml_open or another attribute. Line breaks and tabs are written as references, so that they survive
 * (XML 1.0 section 3.3.3). */
void xml_attribute(xml *x, const char *name, const char *value);
/* Text of the innermost element. Characters that XML cannot hold (section 2.2) become "?". */
void xml_text(xml *x, const char *text);
void xml_close(xml *x);

#endif
