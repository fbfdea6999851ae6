/* SPDX-License-Identifier: BSD-3-Clause
 *
 * batch.h - whole batches between libzmq sockets and zz_queues, one call each.
 *
 * Runs on the thread that owns the sockets: a node's engine, or a broker. No
 * call here blocks, but those that wait, up to their timeout. A result is 0, or the
 * errno of the failure; ETERM means that the context was shut down.
 *
 * Edge rule (zmq_getsockopt(3), ZMQ_FD): a socket's descriptor may be quiet
 * although messages wait, if some other call on the socket took the news. So a
 * socket may be left to poll() only after a receive on it gave EAGAIN and
 * nothing was sent on it since; otherwise zz_wait() must be told to ask.
 */
#ifndef ZEEKZMQ_BATCH_H
#define ZEEKZMQ_BATCH_H

#include <zmq.h>

#include "zeekzmq.h"

/* Most messages that one receive call takes. */
enum { ZZ_BATCH_MAX = 256 };

/* What never changes from one message to the next, kept as libzmq messages so
 * that sending a copy costs no allocation. */
typedef struct zz_sender {
    zmq_msg_t node_id;
    zmq_msg_t log_write; /* part 1 of every log batch */
    zmq_msg_t format;    /* the format sent last */
} zz_sender;

int zz_sender_init(zz_sender* s, const void* node_id, size_t len);
void zz_sender_close(zz_sender* s);

typedef struct zz_send_result {
    uint32_t sent;     /* events or log batches handed to libzmq */
    uint32_t controls; /* subscriptions and unsubscriptions, likewise */
    bool blocked;      /* the oldest record met the high-water mark, and is still in the queue */
    bool more;         /* max was reached with records left */
} zz_send_result;

/* Sends up to max records of events_out: events to xpub, subscriptions to
 * xsub. */
int zz_send_events(zz_queue* q, void* xpub, void* xsub, zz_sender* s, uint32_t max, zz_send_result* res);

/* Sends up to max log batches of logs_out to push. */
int zz_send_logs(zz_queue* q, void* push, zz_sender* s, uint32_t max, zz_send_result* res);

/* Sends one log batch that is in no queue. EAGAIN at the high-water mark. */
int zz_send_log(void* push, zz_sender* s, const void* format, size_t format_len, const void* payload,
                size_t payload_len);

/* A topic cut to what a metric's label needs. */
typedef struct zz_label {
    uint8_t len;
    uint8_t text[63];
} zz_label;

/* A receive call's bounds, and what came of it. The records it made are in
 * records, uncommitted: the caller checks them, then zz_inbox_commit(). */
typedef struct zz_recv {
    /* Set by the caller. */
    uint32_t max;        /* messages to take at most; capped at ZZ_BATCH_MAX */
    uint64_t depth_max;  /* events: drop while the inbox holds this many; 0: no bound */
    uint64_t bytes_max;  /* stop while the inbox holds this many bytes; 0: no bound */
    const uint8_t* self; /* messages from this node id are ours, and ignored */
    size_t self_len;
    bool wait_for_room; /* at depth_max, stop instead of dropping */

    /* Set by the call. */
    uint32_t taken;     /* messages taken off the socket, whatever became of them */
    uint32_t n;         /* records made */
    uint32_t dropped;   /* at depth_max */
    uint32_t errors;    /* wrong number of parts, or a part longer than a record can hold */
    uint32_t bad_parts; /* of the last of these: its number of parts */
    bool full;          /* stopped at a bound with messages perhaps waiting */
    bool more;          /* stopped at max */
    zz_record* records[ZZ_BATCH_MAX];
    zz_label dropped_topics[ZZ_BATCH_MAX];
} zz_recv;

int zz_recv_events(void* xsub, zz_queue* inbox, zz_recv* r);
int zz_recv_logs(void* pull, zz_queue* inbox, zz_recv* r);
int zz_recv_subscriptions(void* xpub, zz_queue* inbox, zz_recv* r);
int zz_recv_monitor(void* pair, zz_queue* inbox, zz_recv* r);

/* Commits what the receive calls made and wakes the host if it sleeps. */
void zz_inbox_commit(zz_queue* inbox, zz_waker* w);

/* One socket of a wait. */
typedef struct zz_item {
    void* socket;
    int fd;   /* ZMQ_FD */
    bool ask; /* see the edge rule; reset by zz_wait() */
} zz_item;

enum { ZZ_ITEMS_MAX = 16 };

/* How busy a thread is. Above a rate at which each wake-up would bring it but a
 * few messages, zz_wait() first lets some more arrive: that saves waking and
 * sleeping, here and in the threads that send. */
typedef struct zz_pace {
    uint64_t since; /* ns: start of the period that is being counted */
    uint64_t moved; /* messages moved in it */
    uint64_t nap;   /* ns: what zz_wait() adds to the time that a message takes, at most */
} zz_pace;

enum {
    ZZ_BUSY_PERIOD_NS = 1000000, /* over which messages are counted */
    ZZ_BUSY_RATE = 50000,        /* messages a second from which on there is a nap */
    ZZ_BUSY_NAP_NS = 30000,      /* how long that is; with the timer's slack it takes up to twice that */
};

/* Waits up to timeout_ms (negative: no bound) for news on items, for a record
 * in a or b (either may be NULL), or for w to be written. Bit i of *ready is
 * set for news on item i, which may turn out to be none. pace, which may be NULL,
 * is told by the caller what was moved. */
int zz_wait(zz_item* items, uint32_t n, zz_waker* w, zz_queue* a, zz_queue* b, zz_pace* pace, int timeout_ms,
            uint32_t* ready);

/* A broker's forwarding in one direction. */
typedef struct zz_forwarder {
    void* from;
    void* to;
    bool holding; /* part holds a part of a message that to had no room for */
    bool holding_more;
    zmq_msg_t part;
} zz_forwarder;

void zz_forwarder_init(zz_forwarder* f, void* from, void* to);
void zz_forwarder_close(zz_forwarder* f);

/* Forwards up to max messages. *moved is how many, *blocked whether one waits
 * for room. The counters are those of zz_broker_stats for this direction. */
int zz_forward(zz_forwarder* f, uint32_t max, _Atomic(uint64_t)* messages_in, _Atomic(uint64_t)* bytes_in,
               _Atomic(uint64_t)* messages_out, _Atomic(uint64_t)* bytes_out, uint32_t* moved, bool* blocked);

/* A broker: items are its XSUB and its XPUB, down forwards from the one to the
 * other, up back. It runs on a thread of its own, in zz_relay_run(), or is lent
 * to a node of the process: then it takes its turns in that node's zz_wait_on()
 * and zz_serve(), on the node's thread, which saves two hops on the way of every
 * message of that node. */
typedef struct zz_relay {
    zz_item items[2];
    zz_item* at;    /* where its items are: above, or among a node's */
    uint32_t burst; /* messages forwarded one way before the other has its turn */
    uint32_t ready; /* bits of the items to serve in the next turn */
    uint64_t moved; /* messages, in the last turn */
    int failure;    /* errno of what ended it, or 0 */
    zz_forwarder down, up;
    zz_waker w;
    zz_pace pace;
    zz_broker_stats* stats;
    _Atomic(uint32_t) stop;   /* set, then w written: end */
    _Atomic(uint32_t) wanted; /* likewise: a node asks for it */
    _Atomic(uint64_t) turns;  /* taken so far */
} zz_relay;

enum { ZZ_RELAY_BURST = 1000 };

/* Forwards both ways, and sleeps while there is nothing to forward. With
 * timeout_ms negative, until it is to stop or a node wants it; otherwise one
 * turn with a sleep of up to that long. */
int zz_relay_run(zz_relay* r, int timeout_ms);

/* Lends r to a node whose items, from the given one on, are to hold its three:
 * XSUB, XPUB and waker. */
void zz_relay_lend(zz_relay* r, zz_item* items, uint32_t burst);
enum { ZZ_RELAY_ITEMS = 3 };

/* Takes it back. */
void zz_relay_return(zz_relay* r);

/* Whether a node has to give it back. */
bool zz_relay_due(const zz_relay* r);

/* zz_wait() with a turn of r, which may be NULL, before it. With a lent one, its
 * pace counts, and *ready is without the bits of its items. */
int zz_wait_on(zz_relay* r, zz_item* items, uint32_t n, zz_waker* w, zz_queue* a, zz_queue* b, zz_pace* pace,
               int timeout_ms, uint32_t* ready);

/* A topic or a name. */
typedef struct zz_name {
    const uint8_t* text;
    size_t len;
} zz_name;

/* What zz_serve() needs besides what zz_wait() does. */
typedef struct zz_service {
    zz_channel* ch;
    zz_sender* sender;
    void* xpub;
    void* xsub;
    void* push;      /* NULL: logs are not sent */
    zz_relay* relay; /* lent to this node, or NULL */
    uint32_t xpub_item, xsub_item;

    zz_recv* recv;          /* with its bounds set; NULL: events are the caller's to receive */
    const zz_name* unknown; /* names of events that are not plain */
    size_t unknown_count;
    uint64_t delivered; /* events, in the last zz_serve() */
    bool undecided;     /* recv holds uncommitted records that the caller has to check */
} zz_service;

/* Waits without bound as zz_wait_on() does, and meanwhile sends what the channel's
 * outbound queues get, and delivers what is plain (plain.h) and has room, so that
 * a node with little to decide stays in here. Returns when there is other news
 * on an item, when a message met a high-water mark, when the channel is
 * stopping, or when the relay is due. */
int zz_serve(zz_item* items, uint32_t n, zz_service* s, zz_pace* pace, uint32_t* ready);

#endif
