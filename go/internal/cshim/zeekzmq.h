/* SPDX-License-Identifier: BSD-3-Clause
 *
 * zeekzmq.h - the C boundary between a host (Zeek's plugin, or any C program)
 * and the engine in libzeekzmq.so.
 *
 * The host and the engine meet in a zz_channel: queues in C memory, one waker
 * (an eventfd) for each direction, and counters. The host never calls into Go
 * on its hot path; it appends to a queue, and takes from a queue. Calls into
 * the library are for control alone: start, stop. Go pointers never cross.
 *
 * Most hosts call the zz_* functions of loader.h, which run every zeekzmq_*
 * call below on a thread of their own: a host's signal handlers, signal mask,
 * CPU affinity and stack then never meet the Go runtime.
 */
#ifndef ZEEKZMQ_H
#define ZEEKZMQ_H

#include <stddef.h>
#include <stdint.h>

#include "queue.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Checked by the loader against zeekzmq_abi_version(). Raise it whenever a
 * struct in this header or queue.h, or a signature below, changes. */
#define ZEEKZMQ_ABI_VERSION 1

/* What a call came to. Every result but ZEEKZMQ_OK comes with one line of
 * text in the caller's err buffer, always NUL-terminated. */
typedef enum zeekzmq_result {
    ZEEKZMQ_OK = 0,
    ZEEKZMQ_EOPTION = 1,   /* an option's value cannot be used; the text names both */
    ZEEKZMQ_EENDPOINT = 2, /* bind or connect failed; the text names option, endpoint and reason */
    ZEEKZMQ_ESYSTEM = 3,   /* libzmq or the system refused (descriptors, memory) */
    ZEEKZMQ_EHANDLE = 4,   /* no such node or broker, or stopped already */
    ZEEKZMQ_ETIMEOUT = 5,  /* did not end in time */
    ZEEKZMQ_EPANIC = 6,    /* the engine panicked; the text is its message and stack */
    ZEEKZMQ_ELOAD = 7,     /* the library cannot be loaded or used here (loader only) */
} zeekzmq_result;

/* One option, by the name it has in the Cluster::Backend::ZeroMQ module. The
 * value is text: integers in decimal, booleans "T" or "F", intervals in
 * seconds; an option that is a vector is given once for each element. Options
 * not given keep their defaults. Both strings are read during the call only. */
typedef struct zeekzmq_option {
    const char* name;
    const char* value;
    size_t value_len;
} zeekzmq_option;

/* Bits of zz_channel.flags, set by the host before zeekzmq_node_start(). */
enum {
    ZZ_NODE_NO_LOGS = 1,    /* never sends or receives logs: no PUSH, no PULL */
    ZZ_NODE_NO_MONITOR = 2, /* nobody is told what happens to connections: no ZZ_MONITOR, fewer descriptors */
};

/* The meeting place of a host and one engine, for one start of it. The host
 * makes it with zz_channel_new() and may fill the outbound queues before the
 * engine exists; what is queued then is sent once the engine runs. */
typedef struct zz_channel {
    /* Host to engine. Produced by the host's main thread alone. */
    zz_queue events_out; /* ZZ_EVENT, ZZ_SUBSCRIBE, ZZ_UNSUBSCRIBE, in order */
    zz_queue logs_out;   /* ZZ_LOG; a queue of its own, so that one kind never holds up the other */
    zz_waker engine_waker;

    /* Engine to host. Consumed by the host's main thread alone. */
    zz_queue
        inbox; /* ZZ_EVENT, ZZ_LOG, ZZ_SUBSCRIPTION, ZZ_UNSUBSCRIPTION, ZZ_MONITOR, ZZ_WARNING, ZZ_ERROR, ZZ_FATAL */
    zz_waker host_waker;

    zz_counters* counters; /* may be shared by the channels of a process; outlives them */
    uint32_t flags;
    _Atomic(uint32_t) stopping; /* set once by the engine's owner: flush, then end */
} zz_channel;

/* Allocates a channel with empty queues and two eventfds (close-on-exec,
 * non-blocking). Returns NULL with errno set if memory or descriptors are
 * short. */
zz_channel* zz_channel_new(zz_counters* counters);

/* Frees the channel, its queues and descriptors. Only when no engine uses it:
 * before zeekzmq_node_start(), or after zeekzmq_node_stop() gave ZEEKZMQ_OK.
 * NULL is fine. */
void zz_channel_free(zz_channel* ch);

/* ---- Exported by libzeekzmq.so. Any thread, but read loader.h first. ---- */

/* The version of this header that the library was built with. */
uint32_t zeekzmq_abi_version(void);

/* Starts a node: connects XSUB and XPUB to the broker and PUSH to the loggers,
 * binds PULL if listen_log_endpoint is set, and starts the engine's thread on
 * ch. "node_id" must be among the options. On ZEEKZMQ_OK *node is a handle,
 * never 0; on any other result nothing is left behind and ch is untouched. */
int32_t zeekzmq_node_start(const zeekzmq_option* options, size_t n, zz_channel* ch, uint64_t* node, char* err,
                           size_t err_size);

/* Flushes what is queued within linger_ms, closes the sockets and ends the
 * engine's thread. Afterwards the inbox still holds what had arrived. Gives
 * ZEEKZMQ_EHANDLE for a handle that was stopped already, ZEEKZMQ_ETIMEOUT if
 * the engine did not end within linger_ms and a second (ch must then be
 * leaked), ZEEKZMQ_EPANIC if it had died. The handle is gone in every case. */
int32_t zeekzmq_node_stop(uint64_t node, char* err, size_t err_size);

/* Starts the central broker: binds listen_xpub_endpoint and
 * listen_xsub_endpoint and forwards between them, in a libzmq context of its
 * own and on a thread of its own. A node with the option "own_broker" shares the
 * context, and its thread does the forwarding while it runs. stats is updated
 * while the broker runs and must outlive it. */
int32_t zeekzmq_broker_start(const zeekzmq_option* options, size_t n, zz_broker_stats* stats, uint64_t* broker,
                             char* err, size_t err_size);

/* Forwards what has arrived, within linger_ms, then ends the broker. Results
 * as zeekzmq_node_stop(). */
int32_t zeekzmq_broker_stop(uint64_t broker, char* err, size_t err_size);

/* Makes a CURVE key pair: Z85 text of 40 characters each, NUL-terminated. */
int32_t zeekzmq_keypair(char public_key[41], char secret_key[41], char* err, size_t err_size);

/* *n becomes the number of handles in use, nodes and brokers together: 0 after
 * everything stopped. Always ZEEKZMQ_OK. */
int32_t zeekzmq_open_handles(uint64_t* n);

#ifdef __cplusplus
}
#endif

#endif
