/* SPDX-License-Identifier: BSD-3-Clause
 *
 * queue.h - the queues between the host's main thread and the engine's thread.
 *
 * A zz_queue has one producer thread and one consumer thread. It is a list of
 * chunks; a record is laid whole into one chunk and handed over in place, so a
 * consumer reads topic, format and payload where the producer wrote them. The
 * producer appends records and then commits them; the consumer sees only what
 * was committed. Neither side takes a lock. A queue has no bound of its own:
 * producers ask zz_queue_depth() or zz_queue_bytes() and decide.
 *
 * A zz_waker wakes a consumer that has said that it will sleep: the producer
 * pays for a write to the eventfd only then, once per sleep.
 *
 * The structs are the same in C11, C++20 and cgo; see the static assertions.
 */
#ifndef ZEEKZMQ_QUEUE_H
#define ZEEKZMQ_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
#include <atomic>
#define _Atomic(T) std::atomic<T>
extern "C" {
#else
#include <stdatomic.h>
#endif

/* What a record is. The number is part of the ABI. */
enum {
    ZZ_SKIP = 0,           /* taken back by the producer before the commit: ignore */
    ZZ_EVENT = 1,          /* topic, format, payload: a serialized event */
    ZZ_LOG = 2,            /* format, payload: a serialized log batch */
    ZZ_SUBSCRIBE = 3,      /* topic: the prefix to subscribe to */
    ZZ_UNSUBSCRIBE = 4,    /* topic: the prefix to unsubscribe from */
    ZZ_SUBSCRIPTION = 5,   /* topic: some node subscribed to it */
    ZZ_UNSUBSCRIPTION = 6, /* topic: its last subscriber is gone */
    ZZ_MONITOR = 7,        /* topic: endpoint; payload: u32 event number, u32 value, host byte order */
    ZZ_WARNING = 8,        /* payload: one line for the operator */
    ZZ_ERROR = 9,          /* payload: likewise, something was lost or refused */
    ZZ_FATAL = 10,         /* payload: the engine is gone; message and stack */
    ZZ_DROPS = 11,         /* topic; format: why, a metric's label; payload: u64, how many messages were dropped so */
};

/* The classes in which records are counted and bounded. */
enum { ZZ_CLASS_EVENT = 0, ZZ_CLASS_LOG = 1, ZZ_CLASS_CONTROL = 2, ZZ_CLASSES = 3 };

static inline int zz_class_of(uint16_t kind) {
    return kind == ZZ_EVENT ? ZZ_CLASS_EVENT : kind == ZZ_LOG ? ZZ_CLASS_LOG : ZZ_CLASS_CONTROL;
}

/* A record's head. Topic, format and payload follow it without padding; the
 * whole is rounded up to 8 bytes. */
typedef struct zz_record {
    uint32_t size; /* head, bodies and padding; where the next record starts */
    uint16_t kind;
    uint16_t format_len;
    uint32_t topic_len;
    uint32_t payload_len;
} zz_record;

/* Longest payload that a record can carry, in bytes. */
#define ZZ_PAYLOAD_MAX ((uint32_t)1 << 30)
/* Longest topic and format, in bytes. */
#define ZZ_TOPIC_MAX ((uint32_t)1 << 20)
#define ZZ_FORMAT_MAX ((uint32_t)255)

static inline const uint8_t* zz_record_topic(const zz_record* r) { return (const uint8_t*)(r + 1); }
static inline const uint8_t* zz_record_format(const zz_record* r) { return zz_record_topic(r) + r->topic_len; }
static inline const uint8_t* zz_record_payload(const zz_record* r) { return zz_record_format(r) + r->format_len; }

typedef struct zz_chunk {
    _Atomic(struct zz_chunk*) next; /* set once everything here is committed */
    _Atomic(uint32_t) committed;    /* bytes of data that the consumer may read */
    uint32_t capacity;              /* bytes of data */
    uint32_t written;               /* producer's: bytes of data written */
    struct zz_chunk* pending;       /* producer's: the successor, not yet published */
    /* data follows, 8-aligned */
} zz_chunk;

static inline uint8_t* zz_chunk_data(zz_chunk* c) { return (uint8_t*)(c + 1); }

typedef struct zz_queue {
    /* Producer's side. */
    zz_chunk* tail;        /* where the next record goes */
    zz_chunk* uncommitted; /* oldest chunk with uncommitted records, or tail */
    _Atomic(uint64_t) in[ZZ_CLASSES];
    _Atomic(uint64_t) bytes_in;
    uint64_t pending_in[ZZ_CLASSES];
    uint64_t pending_bytes;
    uint8_t pad0[64];

    /* Consumer's side. */
    zz_chunk* head;
    uint32_t read; /* bytes of head consumed */
    _Atomic(uint64_t) out[ZZ_CLASSES];
    _Atomic(uint64_t) bytes_out;
    uint8_t pad1[64];

    _Atomic(zz_chunk*) spare; /* one used chunk kept for the producer */
} zz_queue;

/* Sleep and wake between a consumer and its producers. */
typedef struct zz_waker {
    int fd; /* eventfd */
    _Atomic(uint32_t) waiting;
} zz_waker;

/* Counters, each written by one thread at a time and read by any. They only
 * grow. */
typedef struct zz_counters {
    _Atomic(uint64_t) xpub_drops;     /* events: the XPUB was at its high-water mark */
    _Atomic(uint64_t) onloop_drops;   /* events: the inbox was at onloop_queue_hwm */
    _Atomic(uint64_t) msg_errors;     /* messages with the wrong number of parts */
    _Atomic(uint64_t) invalid_events; /* events that failed validation */
    _Atomic(uint64_t) invalid_logs;   /* log batches that failed validation */
    _Atomic(uint64_t) log_drops;      /* log batches: the PUSH was at its high-water mark */
    _Atomic(uint64_t) queue_drops;    /* events and log batches: the queue to the engine was full */
    _Atomic(uint64_t) queue_blocks;   /* times the engine waited for room in an inbox */
    _Atomic(uint64_t) events_sent;
    _Atomic(uint64_t) events_received;
    _Atomic(uint64_t) logs_sent;      /* batches */
    _Atomic(uint64_t) logs_received;  /* batches */
    _Atomic(uint64_t) logs_spilled;   /* batches kept on disk */
    _Atomic(uint64_t) logs_resent;    /* batches sent from there */
    _Atomic(uint64_t) publish_blocks; /* times the host waited for room towards the engine */
} zz_counters;

/* The broker's traffic. frontend: the XSUB that nodes publish to; backend: the
 * XPUB that nodes receive from, as zmq_proxy(3) counts them. */
typedef struct zz_broker_stats {
    _Atomic(uint64_t) frontend_messages_received, frontend_bytes_received;
    _Atomic(uint64_t) frontend_messages_sent, frontend_bytes_sent;
    _Atomic(uint64_t) backend_messages_received, backend_bytes_received;
    _Atomic(uint64_t) backend_messages_sent, backend_bytes_sent;
    /* Whose inbox gets a ZZ_FATAL if the broker fails while it runs. The host's
     * to set, before the start; NULL: nobody's. Only this broker may use it. */
    struct zz_channel* tell;
} zz_broker_stats;

/* ---- Set-up. Not thread-safe. ---- */

/* False with errno set when memory is short. */
bool zz_queue_init(zz_queue* q);
void zz_queue_destroy(zz_queue* q);
bool zz_waker_init(zz_waker* w);
void zz_waker_destroy(zz_waker* w);

/* ---- Producer ---- */

/* Lays a record at the end of the queue, uncommitted, and returns it with its
 * head filled in and room for its bodies; the caller writes these. Lengths
 * must be within the limits above. NULL when memory is short. */
zz_record* zz_queue_reserve(zz_queue* q, uint16_t kind, uint32_t topic_len, uint16_t format_len, uint32_t payload_len);

/* Takes back the newest uncommitted record as if it had never been. Only
 * straight after its zz_queue_reserve(). */
void zz_queue_unreserve(zz_queue* q, zz_record* r);

/* Turns an uncommitted record into a ZZ_SKIP. */
void zz_queue_skip(zz_queue* q, zz_record* r);

/* Hands every uncommitted record to the consumer. */
void zz_queue_commit(zz_queue* q);

/* Reserve, copy and commit in one. False, with nothing queued, when memory is
 * short or a length is over its limit (errno ENOMEM or EMSGSIZE). */
bool zz_queue_push(zz_queue* q, uint16_t kind, const void* topic, size_t topic_len, const void* format,
                   size_t format_len, const void* payload, size_t payload_len);

/* Wakes the consumer if it sleeps. Call after a commit. */
void zz_waker_wake(zz_waker* w);

/* ---- Consumer ---- */

/* The oldest committed record not yet consumed, or NULL. It stays valid until
 * zz_queue_consume(). */
zz_record* zz_queue_peek(zz_queue* q);

/* Done with the record that zz_queue_peek() gave. */
void zz_queue_consume(zz_queue* q, const zz_record* r);

/* Says that the consumer will sleep on w->fd. The caller must look at its
 * queues once more afterwards, and zz_waker_cancel() if there is something. */
void zz_waker_prepare(zz_waker* w);
void zz_waker_cancel(zz_waker* w);

/* Resets w->fd after a wake-up. Never blocks. */
void zz_waker_clear(zz_waker* w);

/* ---- Either side: a snapshot, exact only for what the caller's side did ---- */

/* Records of one class in the queue, uncommitted ones excluded. */
uint64_t zz_queue_depth(const zz_queue* q, int cls);
/* Bytes in the queue, heads and padding included. */
uint64_t zz_queue_bytes(const zz_queue* q);

#ifdef __cplusplus
}
static_assert(sizeof(std::atomic<uint64_t>) == 8 && sizeof(std::atomic<uint32_t>) == 4);
static_assert(sizeof(zz_record) == 16);
static_assert(sizeof(zz_chunk) == 32);
static_assert(std::atomic<uint64_t>::is_always_lock_free && std::atomic<void*>::is_always_lock_free);
#else
_Static_assert(sizeof(zz_record) == 16, "part of the ABI");
_Static_assert(sizeof(zz_chunk) == 32, "part of the ABI");
#endif

#endif
