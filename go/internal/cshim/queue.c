// SPDX-License-Identifier: BSD-3-Clause
//
// See queue.h. Runs on the producer's and the consumer's thread of each queue,
// as its functions say.

#include "queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "zeekzmq.h"

// A chunk holds some 500 small events. Larger records get a chunk of their own.
enum { CHUNK_BYTES = 64 * 1024 - (int)sizeof(zz_chunk) };

#define load_relaxed(p) atomic_load_explicit(p, memory_order_relaxed)
#define load_acquire(p) atomic_load_explicit(p, memory_order_acquire)
#define store_relaxed(p, v) atomic_store_explicit(p, v, memory_order_relaxed)
#define store_release(p, v) atomic_store_explicit(p, v, memory_order_release)

static zz_chunk* chunk_new(uint32_t capacity) {
    zz_chunk* c = malloc(sizeof(zz_chunk) + capacity);
    if ( c ) {
        atomic_init(&c->next, NULL);
        atomic_init(&c->committed, 0);
        c->capacity = capacity;
        c->written = 0;
        c->pending = NULL;
    }
    return c;
}

bool zz_queue_init(zz_queue* q) {
    memset(q, 0, sizeof(*q));
    q->head = q->tail = q->uncommitted = chunk_new(CHUNK_BYTES);
    return q->head != NULL;
}

void zz_queue_destroy(zz_queue* q) {
    for ( zz_chunk* c = q->head; c; ) {
        // The successor of a chunk with uncommitted records is known to the producer alone.
        zz_chunk* next = load_acquire(&c->next);
        if ( ! next )
            next = c->pending;
        free(c);
        c = next;
    }
    free(atomic_exchange(&q->spare, NULL));
    q->head = q->tail = q->uncommitted = NULL;
}

zz_record* zz_queue_reserve(zz_queue* q, uint16_t kind, uint32_t topic_len, uint16_t format_len, uint32_t payload_len) {
    const uint32_t size =
        (uint32_t)((sizeof(zz_record) + (size_t)topic_len + format_len + payload_len + 7) & ~(size_t)7);
    zz_chunk* c = q->tail;

    if ( size > c->capacity - c->written ) {
        zz_chunk* next = NULL;
        if ( size <= CHUNK_BYTES )
            next = atomic_exchange_explicit(&q->spare, NULL, memory_order_acquire);
        if ( ! next )
            next = chunk_new(size <= CHUNK_BYTES ? CHUNK_BYTES : size);
        if ( ! next )
            return NULL;
        c->pending = next;
        q->tail = c = next;
    }

    zz_record* r = (zz_record*)(zz_chunk_data(c) + c->written);
    r->size = size;
    r->kind = kind;
    r->format_len = format_len;
    r->topic_len = topic_len;
    r->payload_len = payload_len;
    c->written += size;
    q->pending_in[zz_class_of(kind)]++;
    q->pending_bytes += size;
    return r;
}

void zz_queue_unreserve(zz_queue* q, zz_record* r) {
    q->tail->written -= r->size;
    q->pending_in[zz_class_of(r->kind)]--;
    q->pending_bytes -= r->size;
}

void zz_queue_skip(zz_queue* q, zz_record* r) {
    q->pending_in[zz_class_of(r->kind)]--;
    r->kind = ZZ_SKIP;
    q->pending_in[zz_class_of(r->kind)]++;
}

void zz_queue_commit(zz_queue* q) {
    // Depths first: the consumer must never count more out than in.
    for ( int i = 0; i < ZZ_CLASSES; i++ ) {
        if ( q->pending_in[i] ) {
            store_relaxed(&q->in[i], load_relaxed(&q->in[i]) + q->pending_in[i]);
            q->pending_in[i] = 0;
        }
    }
    store_relaxed(&q->bytes_in, load_relaxed(&q->bytes_in) + q->pending_bytes);
    q->pending_bytes = 0;

    // The link to a successor goes out after the chunk's last record, since the
    // consumer frees a chunk that it has read whole and that has a successor.
    zz_chunk* c = q->uncommitted;
    while ( c != q->tail ) {
        zz_chunk* next = c->pending;
        store_release(&c->committed, c->written);
        store_release(&c->next, next);
        c = next;
    }
    store_release(&c->committed, c->written);
    q->uncommitted = c;
}

bool zz_queue_push(zz_queue* q, uint16_t kind, const void* topic, size_t topic_len, const void* format,
                   size_t format_len, const void* payload, size_t payload_len) {
    if ( topic_len > ZZ_TOPIC_MAX || format_len > ZZ_FORMAT_MAX || payload_len > ZZ_PAYLOAD_MAX ) {
        errno = EMSGSIZE;
        return false;
    }

    zz_record* r = zz_queue_reserve(q, kind, (uint32_t)topic_len, (uint16_t)format_len, (uint32_t)payload_len);
    if ( ! r ) {
        errno = ENOMEM;
        return false;
    }

    uint8_t* p = (uint8_t*)(r + 1);
    if ( topic_len )
        memcpy(p, topic, topic_len);
    if ( format_len )
        memcpy(p + topic_len, format, format_len);
    if ( payload_len )
        memcpy(p + topic_len + format_len, payload, payload_len);

    zz_queue_commit(q);
    return true;
}

zz_record* zz_queue_peek(zz_queue* q) {
    for ( ;; ) {
        zz_chunk* c = q->head;
        // The link before the count: a linked chunk's count is final.
        zz_chunk* next = load_acquire(&c->next);
        if ( q->read < load_acquire(&c->committed) )
            return (zz_record*)(zz_chunk_data(c) + q->read);
        if ( ! next )
            return NULL;

        q->head = next;
        q->read = 0;

        if ( c->capacity == CHUNK_BYTES ) {
            atomic_init(&c->next, NULL);
            atomic_init(&c->committed, 0);
            c->written = 0;
            c->pending = NULL;
            c = atomic_exchange_explicit(&q->spare, c, memory_order_acq_rel);
        }
        free(c);
    }
}

void zz_queue_consume(zz_queue* q, const zz_record* r) {
    const int cls = zz_class_of(r->kind);
    q->read += r->size;
    store_release(&q->bytes_out, load_relaxed(&q->bytes_out) + r->size);
    store_release(&q->out[cls], load_relaxed(&q->out[cls]) + 1);
}

uint64_t zz_queue_depth(const zz_queue* q, int cls) {
    const uint64_t out = load_acquire(&q->out[cls]);
    return load_relaxed(&q->in[cls]) - out;
}

uint64_t zz_queue_bytes(const zz_queue* q) {
    const uint64_t out = load_acquire(&q->bytes_out);
    return load_relaxed(&q->bytes_in) - out;
}

bool zz_waker_init(zz_waker* w) {
    atomic_init(&w->waiting, 0);
    w->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return w->fd >= 0;
}

void zz_waker_destroy(zz_waker* w) {
    if ( w->fd >= 0 )
        close(w->fd);
    w->fd = -1;
}

void zz_waker_wake(zz_waker* w) {
    // Pairs with the fence in zz_waker_prepare(): either the consumer's second
    // look sees our commit, or we see that it waits.
    atomic_thread_fence(memory_order_seq_cst);
    if ( load_relaxed(&w->waiting) && atomic_exchange(&w->waiting, 0) ) {
        const uint64_t one = 1;
        const int saved = errno;
        // Only a counter near 2^64 could make this fail.
        ssize_t n = write(w->fd, &one, sizeof(one));
        (void)n;
        errno = saved;
    }
}

void zz_waker_prepare(zz_waker* w) {
    store_relaxed(&w->waiting, 1);
    atomic_thread_fence(memory_order_seq_cst);
}

void zz_waker_cancel(zz_waker* w) { store_relaxed(&w->waiting, 0); }

void zz_waker_clear(zz_waker* w) {
    uint64_t n;
    ssize_t r = read(w->fd, &n, sizeof(n));
    (void)r;
}

zz_channel* zz_channel_new(zz_counters* counters) {
    zz_channel* ch = calloc(1, sizeof(*ch));
    if ( ! ch )
        return NULL;

    ch->counters = counters;
    ch->engine_waker.fd = ch->host_waker.fd = -1;

    if ( zz_queue_init(&ch->events_out) && zz_queue_init(&ch->logs_out) && zz_queue_init(&ch->inbox) &&
         zz_waker_init(&ch->engine_waker) && zz_waker_init(&ch->host_waker) )
        return ch;

    const int saved = errno;
    zz_channel_free(ch);
    errno = saved;
    return NULL;
}

void zz_channel_free(zz_channel* ch) {
    if ( ! ch )
        return;

    zz_queue_destroy(&ch->events_out);
    zz_queue_destroy(&ch->logs_out);
    zz_queue_destroy(&ch->inbox);
    zz_waker_destroy(&ch->engine_waker);
    zz_waker_destroy(&ch->host_waker);
    free(ch);
}
