#include "prim/http_xml.h"

#include <expat.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

typedef struct reader {
    XML_Parser parser;
    http_xml *out;
    size_t open[HTTP_XML_DEPTH_MAX]; /* indexes of the elements that are not closed yet */
    size_t depth;
    const char *refused; /* why it was given up, or NULL */
} reader;

static void give_up(reader *r, const char *why) {
    r->refused = r->refused != NULL ? r->refused : why;
    XML_StopParser(r->parser, XML_FALSE);
}

static bool grow(http_xml *x) {
    if (x->count < x->cap) {
        return true;
    }
    size_t cap = x->cap > 0 ? 2 * x->cap : 64;
    http_xml_node *grown = realloc(x->nodes, cap * sizeof *grown);
    if (grown == NULL) {
        return false;
    }
    x->nodes = grown;
    x->cap = cap;
    return true;
}

static void on_start(void *user, const XML_Char *name, const XML_Char **attributes) {
    (void)attributes;
    reader *r = user;
    if (r->depth == HTTP_XML_DEPTH_MAX || r->out->count == HTTP_XML_NODES_MAX) {
        give_up(r, r->depth == HTTP_XML_DEPTH_MAX ? "its elements are nested too deep" : "it has too many elements");
        return;
    }
    char *copy = grow(r->out) ? strdup(name) : NULL;
    if (copy == NULL) {
        give_up(r, "out of memory");
        return;
    }
    size_t at = r->out->count++;
    r->out->nodes[at] = (http_xml_node){.name = copy, .parent = r->depth > 0 ? r->open[r->depth - 1] : at};
    r->open[r->depth++] = at;
}

static void on_end(void *user, const XML_Char *name) {
    (void)name;
    reader *r = user;
    r->depth -= r->depth > 0 ? 1 : 0;
}

static void on_text(void *user, const XML_Char *text, int n) {
    reader *r = user;
    if (r->depth > 0 && buf_append(&r->out->nodes[r->open[r->depth - 1]].text, text, (size_t)n) != 0) {
        give_up(r, "out of memory");
    }
}

static void on_doctype(void *user, const XML_Char *name, const XML_Char *system, const XML_Char *public, int subset) {
    (void)name;
    (void)system;
    (void)public;
    (void)subset;
    give_up(user, "it declares a document type");
}

int http_xml_parse(const char *text, size_t n, http_xml *out, err *e) {
    *out = (http_xml){0};
    reader r = {.out = out, .parser = XML_ParserCreate(NULL)};
    if (r.parser == NULL) {
        return err_set(e, "out_of_memory", "http: out of memory");
    }
    XML_SetUserData(r.parser, &r);
    XML_SetElementHandler(r.parser, on_start, on_end);
    XML_SetCharacterDataHandler(r.parser, on_text);
    XML_SetStartDoctypeDeclHandler(r.parser, on_doctype);
    int rc = 0;
    if (n > INT_MAX) {
        rc = err_set(e, "http_protocol", "http: the answer is too long to be read as XML");
    } else if (XML_Parse(r.parser, text, (int)n, XML_TRUE) != XML_STATUS_OK || r.refused != NULL) {
        const char *why = r.refused != NULL ? r.refused : XML_ErrorString(XML_GetErrorCode(r.parser));
        rc = err_set(
            e, r.refused != NULL && strcmp(r.refused, "out of memory") == 0 ? "out_of_memory" : "http_protocol",
            "http: the answer is no valid XML: %s (line %lu)", why, (unsigned long)XML_GetCurrentLineNumber(r.parser));
    }
    XML_ParserFree(r.parser);
    return rc;
}

void http_xml_free(http_xml *x) {
    for (size_t i = 0; i < x->count; i++) {
        free(x->nodes[i].name);
        buf_free(&x->nodes[i].text);
    }
    free(x->nodes);
    *x = (http_xml){0};
}
