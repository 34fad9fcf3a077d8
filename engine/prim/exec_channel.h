/* exec_channel.h: the worker's end of its stream socket to the broker.
 *
 * Frames (base/frame.h) go both ways: events out, requests {"t":"req","id",…} out, replies {"id",…} in, in any order.
 * Nothing here waits: the caller waits for exec_channel_fd() to be readable, then calls exec_channel_pump(). Once the
 * peer is gone or breaks the protocol the channel is lost for good: every open call ends with that error, and so does
 * every later one. */
#ifndef GE_PRIM_EXEC_CHANNEL_H
#define GE_PRIM_EXEC_CHANNEL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

/* Most bytes which may wait to be written; a single frame may still be as large as frame.h allows. */
#define EXEC_CHANNEL_QUEUE_MAX (96u << 20)

typedef struct exec_channel exec_channel;

/* One request and its reply. Zeroed by the owner, who keeps it in place until exec_call_end(). */
typedef struct exec_call {
    exec_channel *channel; /* NULL: not under way */
    struct exec_call *next;
    uint64_t id;
    bool done;     /* reply or error is set */
    bool counted;  /* done and not yet ended: the channel stays readable for it */
    json_t *reply; /* owned; NULL when failed */
    buf payload;   /* owned */
    err error;     /* error.code is empty on success */
} exec_call;

/* Takes a duplicate of fd, which must be a stream socket; the caller keeps fd. Errors: channel_lost, poll_setup,
 * out_of_memory. */
exec_channel *exec_channel_open(int fd, err *e);
/* Ends every open call with channel_lost, then frees. NULL is fine. */
void exec_channel_close(exec_channel *c);
/* Readable when exec_channel_pump() has something to do, or a call is done which its owner has not ended. */
int exec_channel_fd(const exec_channel *c);
/* Queues one message and writes what the socket takes. Errors: frame_too_large, channel_full, channel_lost,
 * out_of_memory. */
int exec_channel_send(exec_channel *c, const json_t *message, const void *payload, size_t n, err *e);
/* Everything queued was written. */
bool exec_channel_flushed(const exec_channel *c);
/* Counts the bytes ever written: a caller that waits for the queue sees by it whether the peer still reads. */
uint64_t exec_channel_written(const exec_channel *c);
/* Sends message as request with a fresh id; adds "t" and "id" to it. On failure the call is not under way. */
int exec_channel_call(exec_channel *c, exec_call *call, json_t *message, const void *payload, size_t n, err *e);
/* Writes and reads what can be without waiting, and hands replies to their calls. Errors: channel_lost,
 * channel_protocol. */
int exec_channel_pump(exec_channel *c, err *e);
/* Gives the channel up for a reason of the caller's, such as a peer that does not read. */
void exec_channel_lose(exec_channel *c, const err *why);
/* Takes the call off its channel (a reply that still comes is dropped) and frees what it holds. May be repeated. */
void exec_call_end(exec_call *call);

#endif
