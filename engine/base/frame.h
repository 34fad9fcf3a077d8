/* frame.h: messages between the engine's processes.
 *
 * On the wire: u32 JSON length, u32 payload length (both big-endian), the JSON text, the payload bytes. Both lengths
 * are bounded before anything is allocated, and so is how many values the text has. JSON is read strictly (duplicate
 * keys and ill-formed UTF-8 refused). */
#ifndef GE_BASE_FRAME_H
#define GE_BASE_FRAME_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/err.h"

#define FRAME_JSON_MAX (16u << 20)
#define FRAME_PAYLOAD_MAX (64u << 20)
/* Values in one message: an empty list takes three bytes of text, and a hundred of the reader's memory. */
#define FRAME_VALUES_MAX 250000

/* Appends one frame to out. Errors: frame_too_large, out_of_memory. */
int frame_put(buf *out, const json_t *message, const void *payload, size_t n, err *e);
/* Takes one frame off the front of in. Returns 1 with *message (a new reference) and *payload (its bytes appended; may
 * be NULL when none is welcome: then a payload is an error), 0 when more bytes are needed, -1 on a broken frame. */
int frame_take(buf *in, json_t **message, buf *payload, err *e);
/* Blocking forms over a descriptor: 1 = a frame, 0 = end of file at a frame's edge, -1 = error. */
int frame_write(int fd, const json_t *message, const void *payload, size_t n, err *e);
int frame_read(int fd, buf *pending, json_t **message, buf *payload, err *e);

#endif
