/* Answers in XML: any bytes are read or refused, and what was read is a tree within its limits. */
#include <string.h>

#include "prim/http_xml.h"
#include "promise.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    http_xml x;
    err e;
    err_clear(&e);
    if (http_xml_parse((const char *)data, n, &x, &e) == 0) {
        PROMISE(x.count > 0 && x.count <= HTTP_XML_NODES_MAX && x.nodes[0].parent == 0);
        size_t text = 0;
        for (size_t i = 0; i < x.count; i++) {
            PROMISE(x.nodes[i].name[0] != '\0' && (i == 0 || x.nodes[i].parent < i));
            text += x.nodes[i].text.len;
            size_t depth = 1;
            for (size_t at = i; at != 0; at = x.nodes[at].parent) {
                depth++;
            }
            PROMISE(depth <= HTTP_XML_DEPTH_MAX);
        }
        PROMISE(text <= 3 * n); /* nothing is blown up: UTF-16 and Latin-1 grow by less */
    } else {
        PROMISE(strcmp(e.code, "http_protocol") == 0 || strcmp(e.code, "out_of_memory") == 0);
    }
    http_xml_free(&x);
    return 0;
}
