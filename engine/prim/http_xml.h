/* http_xml.h: answers in XML (lists of objects, errors of stores), read by expat. */
#ifndef GE_PRIM_HTTP_XML_H
#define GE_PRIM_HTTP_XML_H

#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define HTTP_XML_NODES_MAX 100000
#define HTTP_XML_DEPTH_MAX 32

typedef struct http_xml_node {
    char *name;    /* owned; as it stands there, with its prefix */
    size_t parent; /* index of the element around it; its own for the first */
    buf text;      /* what stands directly in it */
} http_xml_node;

typedef struct http_xml {
    http_xml_node *nodes; /* owned, in the order of their start tags; a parent stands before its children */
    size_t count, cap;
} http_xml;

/* Reads one document. 0, or -1 with http_protocol: no well-formed XML, a document type (none is needed, and entities
 * come with it), deeper than HTTP_XML_DEPTH_MAX or more elements than HTTP_XML_NODES_MAX. Free with http_xml_free, also
 * after failure. */
int http_xml_parse(const char *text, size_t n, http_xml *out, err *e);
void http_xml_free(http_xml *x);

#endif
