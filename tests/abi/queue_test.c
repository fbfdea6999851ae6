// SPDX-License-Identifier: BSD-3-Clause
//
// The queues and wakers of queue.h. Linked with --wrap=malloc and --wrap=free,
// so that the tests count the queue's allocations and make them fail.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "check.h"
#include "zeekzmq.h"

enum { CHUNK = 64 * 1024 - (int)sizeof(zz_chunk), HEAD = sizeof(zz_record) };

static atomic_long mallocs;
static atomic_long frees;
static atomic_bool no_memory;

void* __real_malloc(size_t size);
void __real_free(void* p);
void* __wrap_malloc(size_t size);
void __wrap_free(void* p);

void* __wrap_malloc(size_t size) {
    if ( atomic_load_explicit(&no_memory, memory_order_relaxed) ) {
        errno = ENOMEM;
        return NULL;
    }
    atomic_fetch_add_explicit(&mallocs, 1, memory_order_relaxed);
    return __real_malloc(size);
}

void __wrap_free(void* p) {
    if ( p )
        atomic_fetch_add_explicit(&frees, 1, memory_order_relaxed);
    __real_free(p);
}

static void init(zz_queue* q) { CHECK(zz_queue_init(q), "zz_queue_init: %s", strerror(errno)); }

// A record whose whole content follows from its number, so that the consumer
// can check every byte. The payload starts with the number.
static void shape(uint64_t number, uint16_t* kind, uint32_t* topic_len, uint16_t* format_len, uint32_t* payload_len) {
    static const uint16_t kinds[] = {ZZ_EVENT, ZZ_EVENT, ZZ_EVENT, ZZ_LOG, ZZ_SUBSCRIBE, ZZ_MONITOR};
    rng r = {number};
    *kind = kinds[rng_below(&r, sizeof(kinds) / sizeof(kinds[0]))];
    *topic_len = (uint32_t)rng_below(&r, 40);
    *format_len = (uint16_t)rng_below(&r, 20);
    *payload_len = 8 + (uint32_t)rng_below(&r, 100);
    const uint64_t dice = rng_below(&r, 10000);
    if ( dice < 20 )
        *payload_len += (uint32_t)rng_below(&r, 20000);
    if ( dice == 0 )
        *payload_len += (uint32_t)rng_below(&r, 200000);
}

static uint8_t body_byte(uint64_t number, int part) { return (uint8_t)(number * 31 + (uint64_t)part * 7); }

static zz_record* lay(zz_queue* q, uint64_t number) {
    uint16_t kind, format_len;
    uint32_t topic_len, payload_len;
    shape(number, &kind, &topic_len, &format_len, &payload_len);
    zz_record* r = zz_queue_reserve(q, kind, topic_len, format_len, payload_len);
    CHECK(r, "no memory for record %lu", (unsigned long)number);
    uint8_t* p = (uint8_t*)(r + 1);
    memset(p, body_byte(number, 0), topic_len);
    memset(p + topic_len, body_byte(number, 1), format_len);
    p += topic_len + format_len;
    memcpy(p, &number, 8);
    memset(p + 8, body_byte(number, 2), payload_len - 8);
    return r;
}

static bool all_bytes(const uint8_t* p, size_t n, uint8_t value) {
    return n == 0 || (p[0] == value && memcmp(p, p + 1, n - 1) == 0);
}

static void verify(const zz_record* r, uint64_t number) {
    uint16_t kind, format_len;
    uint32_t topic_len, payload_len;
    shape(number, &kind, &topic_len, &format_len, &payload_len);
    CHECK(r, "record %lu is missing", (unsigned long)number);
    CHECK(((uintptr_t)r & 7) == 0, "record %lu is not 8-aligned", (unsigned long)number);

    uint64_t found = 0;
    if ( r->payload_len >= 8 )
        memcpy(&found, zz_record_payload(r), 8);
    CHECK(found == number, "record %lu where %lu was due", (unsigned long)found, (unsigned long)number);
    CHECK(r->kind == kind && r->topic_len == topic_len && r->format_len == format_len && r->payload_len == payload_len,
          "record %lu has another head", (unsigned long)number);
    CHECK(all_bytes(zz_record_topic(r), topic_len, body_byte(number, 0)) &&
              all_bytes(zz_record_format(r), format_len, body_byte(number, 1)) &&
              all_bytes(zz_record_payload(r) + 8, payload_len - 8, body_byte(number, 2)),
          "record %lu has another body", (unsigned long)number);
}

static void push_text(zz_queue* q, uint16_t kind, const char* topic, const char* payload) {
    CHECK(zz_queue_push(q, kind, topic, strlen(topic), "f", 1, payload, strlen(payload)), "push: %s", strerror(errno));
}

static void expect_text(zz_queue* q, uint16_t kind, const char* payload) {
    const zz_record* r = zz_queue_peek(q);
    CHECK(r, "the queue is empty where %s was due", payload);
    CHECK(r->kind == kind, "kind %u where %u was due", r->kind, kind);
    CHECK(r->payload_len == strlen(payload) && memcmp(zz_record_payload(r), payload, r->payload_len) == 0,
          "payload %.*s where %s was due", (int)r->payload_len, (const char*)zz_record_payload(r), payload);
    zz_queue_consume(q, r);
}

static void expect_empty(zz_queue* q) {
    CHECK(! zz_queue_peek(q), "the queue holds a record where it should be empty");
    for ( int i = 0; i < ZZ_CLASSES; i++ )
        CHECK(zz_queue_depth(q, i) == 0, "depth %lu of class %d in an empty queue", (unsigned long)zz_queue_depth(q, i),
              i);
    CHECK(zz_queue_bytes(q) == 0, "%lu bytes in an empty queue", (unsigned long)zz_queue_bytes(q));
}

static void keeps_order_and_content(void) {
    zz_queue q;
    init(&q);
    const uint64_t n = test_count(200000);
    uint64_t in = 0, out = 0;
    rng r = {1};
    while ( out < n ) {
        for ( uint64_t batch = rng_below(&r, 700); batch > 0 && in < n; batch-- )
            lay(&q, in++);
        zz_queue_commit(&q);
        for ( uint64_t batch = in == n ? n : rng_below(&r, 700); batch > 0 && out < in; batch-- ) {
            const zz_record* rec = zz_queue_peek(&q);
            verify(rec, out++);
            zz_queue_consume(&q, rec);
        }
    }
    expect_empty(&q);
    zz_queue_destroy(&q);
}

static void large_records_fit_whole(void) {
    zz_queue q;
    init(&q);
    // Around the size at which a record gets a chunk of its own, each twice
    // and with small ones between.
    static const uint32_t sizes[] = {CHUNK - HEAD - 8, CHUNK - HEAD - 1, CHUNK - HEAD, CHUNK - HEAD + 1, CHUNK,
                                     64 * 1024,        1 << 20,          48 << 20};
    const size_t n = sizeof(sizes) / sizeof(sizes[0]);
    uint8_t* body = malloc(48 << 20);
    memset(body, 'x', 48 << 20);
    for ( size_t i = 0; i < n; i++ ) {
        body[0] = body[sizes[i] - 1] = (uint8_t)i;
        for ( int twice = 0; twice < 2; twice++ ) {
            push_text(&q, ZZ_EVENT, "t", "small");
            CHECK(zz_queue_push(&q, ZZ_LOG, NULL, 0, NULL, 0, body, sizes[i]), "push of %u bytes: %s", sizes[i],
                  strerror(errno));
        }
        body[0] = body[sizes[i] - 1] = 'x';
    }
    for ( size_t i = 0; i < 2 * n; i++ ) {
        expect_text(&q, ZZ_EVENT, "small");
        const zz_record* r = zz_queue_peek(&q);
        const uint32_t size = sizes[i / 2];
        CHECK(r && r->kind == ZZ_LOG && r->payload_len == size, "a record of %u bytes changed its size", size);
        const uint8_t* p = zz_record_payload(r);
        CHECK(p[0] == i / 2 && p[size - 1] == i / 2 && all_bytes(p + 1, size - 2, 'x'),
              "a record of %u bytes changed its content", size);
        zz_queue_consume(&q, r);
    }
    expect_empty(&q);
    free(body);
    zz_queue_destroy(&q);
}

static void refuses_lengths_over_the_limit(void) {
    zz_queue q;
    init(&q);
    static char body[ZZ_TOPIC_MAX + 1];
    errno = 0;
    CHECK(! zz_queue_push(&q, ZZ_EVENT, body, ZZ_TOPIC_MAX + 1, NULL, 0, NULL, 0) && errno == EMSGSIZE,
          "a topic over the limit");
    errno = 0;
    CHECK(! zz_queue_push(&q, ZZ_EVENT, NULL, 0, body, ZZ_FORMAT_MAX + 1, NULL, 0) && errno == EMSGSIZE,
          "a format over the limit");
    errno = 0;
    CHECK(! zz_queue_push(&q, ZZ_EVENT, NULL, 0, NULL, 0, body, (size_t)ZZ_PAYLOAD_MAX + 1) && errno == EMSGSIZE,
          "a payload over the limit");
    errno = 0;
    CHECK(! zz_queue_push(&q, ZZ_EVENT, NULL, 0, NULL, 0, body, (size_t)UINT32_MAX + 9) && errno == EMSGSIZE,
          "a payload whose length wraps in 32 bits");
    expect_empty(&q);

    CHECK(zz_queue_push(&q, ZZ_EVENT, body, ZZ_TOPIC_MAX, body, ZZ_FORMAT_MAX, body, 1), "the limits themselves");
    const zz_record* r = zz_queue_peek(&q);
    CHECK(r && r->topic_len == ZZ_TOPIC_MAX && r->format_len == ZZ_FORMAT_MAX && r->payload_len == 1,
          "the limits themselves came out otherwise");
    zz_queue_consume(&q, r);
    expect_empty(&q);
    zz_queue_destroy(&q);
}

static void shows_nothing_before_the_commit(void) {
    zz_queue q;
    init(&q);
    // Enough to reach over several chunks, and one chunk of its own.
    for ( uint64_t i = 0; i < 3000; i++ ) {
        lay(&q, i);
        CHECK(! zz_queue_peek(&q), "record %lu is visible before its commit", (unsigned long)i);
    }
    CHECK(zz_queue_reserve(&q, ZZ_LOG, 0, 0, 300000), "no memory");
    CHECK(! zz_queue_peek(&q), "a large record is visible before its commit");
    expect_empty(&q);

    zz_queue_commit(&q);
    for ( uint64_t i = 0; i < 3000; i++ ) {
        const zz_record* r = zz_queue_peek(&q);
        verify(r, i);
        zz_queue_consume(&q, r);
    }
    const zz_record* r = zz_queue_peek(&q);
    CHECK(r && r->kind == ZZ_LOG && r->payload_len == 300000, "the large record is missing");
    zz_queue_consume(&q, r);
    expect_empty(&q);

    zz_queue_commit(&q); // nothing to hand over
    expect_empty(&q);
    zz_queue_destroy(&q);
}

static void a_skipped_record_counts_as_control(void) {
    zz_queue q;
    init(&q);
    for ( int i = 0; i < 3; i++ ) {
        zz_record* r = zz_queue_reserve(&q, ZZ_EVENT, 0, 0, 8);
        CHECK(r, "no memory");
        memset(r + 1, 'a' + i, 8);
        if ( i == 1 )
            zz_queue_skip(&q, r);
    }
    zz_queue_commit(&q);
    CHECK(zz_queue_depth(&q, ZZ_CLASS_EVENT) == 2 && zz_queue_depth(&q, ZZ_CLASS_CONTROL) == 1,
          "depths %lu events, %lu control; due were 2 and 1", (unsigned long)zz_queue_depth(&q, ZZ_CLASS_EVENT),
          (unsigned long)zz_queue_depth(&q, ZZ_CLASS_CONTROL));

    expect_text(&q, ZZ_EVENT, "aaaaaaaa");
    const zz_record* r = zz_queue_peek(&q);
    CHECK(r && r->kind == ZZ_SKIP, "the skipped record is no ZZ_SKIP");
    zz_queue_consume(&q, r);
    expect_text(&q, ZZ_EVENT, "cccccccc");
    expect_empty(&q);
    zz_queue_destroy(&q);
}

static void an_unreserved_record_never_was(void) {
    zz_queue q;
    init(&q);
    // Of every size in turn, so that some of the records taken back are the
    // first of a chunk, some have a chunk of their own.
    static const uint32_t sizes[] = {1, 1000, 30000, CHUNK - HEAD, CHUNK, 200000};
    uint64_t in = 0, out = 0;
    for ( int round = 0; round < 400; round++ ) {
        lay(&q, in++);
        zz_record* r = zz_queue_reserve(&q, ZZ_LOG, 3, 2, sizes[round % 6]);
        CHECK(r, "no memory");
        memset(r + 1, 0xee, 5 + sizes[round % 6]);
        zz_queue_unreserve(&q, r);
        lay(&q, in++);
        if ( round % 7 == 0 ) {
            zz_queue_commit(&q);
            CHECK(zz_queue_depth(&q, ZZ_CLASS_EVENT) + zz_queue_depth(&q, ZZ_CLASS_LOG) +
                          zz_queue_depth(&q, ZZ_CLASS_CONTROL) ==
                      in - out,
                  "a record taken back is counted");
            for ( ; out < in; out++ ) {
                const zz_record* rec = zz_queue_peek(&q);
                verify(rec, out);
                zz_queue_consume(&q, rec);
            }
            expect_empty(&q);
        }
    }
    zz_queue_commit(&q);
    for ( ; out < in; out++ ) {
        const zz_record* rec = zz_queue_peek(&q);
        verify(rec, out);
        zz_queue_consume(&q, rec);
    }
    expect_empty(&q);
    zz_queue_destroy(&q);
}

static void counts_depth_and_bytes(void) {
    zz_queue q;
    init(&q);
    push_text(&q, ZZ_EVENT, "topic", "1");    // 16 + 5 + 1 + 1 -> 24
    push_text(&q, ZZ_EVENT, "topic", "22");   // 24
    push_text(&q, ZZ_EVENT, "topic", "333");  // 25 -> 32
    push_text(&q, ZZ_LOG, "", "log");         // 20 -> 24
    push_text(&q, ZZ_SUBSCRIBE, "topic", ""); // 22 -> 24
    CHECK(zz_queue_depth(&q, ZZ_CLASS_EVENT) == 3 && zz_queue_depth(&q, ZZ_CLASS_LOG) == 1 &&
              zz_queue_depth(&q, ZZ_CLASS_CONTROL) == 1,
          "depths differ from 3, 1, 1");
    CHECK(zz_queue_bytes(&q) == 128, "%lu bytes; due were 128", (unsigned long)zz_queue_bytes(&q));

    const zz_record* r = zz_queue_peek(&q);
    CHECK(zz_queue_depth(&q, ZZ_CLASS_EVENT) == 3, "a look at a record takes it");
    CHECK(zz_queue_peek(&q) == r, "a second look sees another record");
    zz_queue_consume(&q, r);
    CHECK(zz_queue_depth(&q, ZZ_CLASS_EVENT) == 2 && zz_queue_bytes(&q) == 104, "depth or bytes after one is taken");
    expect_text(&q, ZZ_EVENT, "22");
    expect_text(&q, ZZ_EVENT, "333");
    expect_text(&q, ZZ_LOG, "log");
    expect_text(&q, ZZ_SUBSCRIBE, "");
    expect_empty(&q);
    zz_queue_destroy(&q);
}

static void reuses_chunks(void) {
    zz_queue q;
    init(&q);
    const long before = atomic_load(&mallocs);
    // A steady flow of small records never takes more than its first chunks.
    const uint64_t n = test_count(1000000);
    for ( uint64_t i = 0; i < n; i++ ) {
        push_text(&q, ZZ_EVENT, "zeek.cluster.worker", "some sixty-four bytes of payload, or a little less");
        if ( i % 100 == 99 ) {
            for ( const zz_record* r; (r = zz_queue_peek(&q)); )
                zz_queue_consume(&q, r);
        }
    }
    const long extra = atomic_load(&mallocs) - before;
    CHECK(extra <= 2, "%ld allocations for a steady flow; at most 2 were due", extra);
    zz_queue_destroy(&q);
}

static void gives_memory_back(void) {
    const long base = atomic_load(&mallocs) - atomic_load(&frees);
    zz_queue q;
    init(&q);
    for ( uint64_t i = 0; i < 200000; i++ )
        lay(&q, i);
    zz_queue_commit(&q);
    const long full = atomic_load(&mallocs) - atomic_load(&frees) - base;
    for ( const zz_record* r; (r = zz_queue_peek(&q)); )
        zz_queue_consume(&q, r);
    const long empty = atomic_load(&mallocs) - atomic_load(&frees) - base;
    CHECK(full > 100, "only %ld chunks for 200000 records", full);
    CHECK(empty <= 2, "%ld chunks are kept by an empty queue; at most 2 were due", empty);
    zz_queue_destroy(&q);
    CHECK(atomic_load(&mallocs) - atomic_load(&frees) == base, "the queue kept memory after its end");
}

static void destroy_frees_whatever_is_left(void) {
    const long base = atomic_load(&mallocs) - atomic_load(&frees);
    for ( int committed = 0; committed < 2; committed++ ) {
        for ( uint64_t n = 0; n < 3000; n += 250 ) {
            zz_queue q;
            init(&q);
            for ( uint64_t i = 0; i < n; i++ ) {
                lay(&q, i);
                if ( i == n / 2 )
                    zz_queue_commit(&q);
            }
            if ( committed )
                zz_queue_commit(&q);
            for ( uint64_t i = 0; i < n / 3; i++ )
                zz_queue_consume(&q, zz_queue_peek(&q));
            zz_queue_destroy(&q);
            CHECK(atomic_load(&mallocs) - atomic_load(&frees) == base, "a queue of %lu records kept memory",
                  (unsigned long)n);
        }
    }
}

static void short_memory_queues_nothing(void) {
    zz_queue q;
    atomic_store(&no_memory, true);
    CHECK(! zz_queue_init(&q), "zz_queue_init without memory");
    zz_queue_destroy(&q); // what zz_channel_free() does then
    atomic_store(&no_memory, false);

    init(&q);
    push_text(&q, ZZ_EVENT, "t", "before");
    static char body[100000];
    atomic_store(&no_memory, true);
    errno = 0;
    CHECK(! zz_queue_push(&q, ZZ_LOG, NULL, 0, NULL, 0, body, sizeof(body)) && errno == ENOMEM,
          "a push without memory");
    CHECK(! zz_queue_reserve(&q, ZZ_LOG, 0, 0, sizeof(body)), "a reservation without memory");
    push_text(&q, ZZ_EVENT, "t", "still fits");
    atomic_store(&no_memory, false);
    CHECK(zz_queue_depth(&q, ZZ_CLASS_LOG) == 0, "a refused record is counted");
    push_text(&q, ZZ_EVENT, "t", "after");
    expect_text(&q, ZZ_EVENT, "before");
    expect_text(&q, ZZ_EVENT, "still fits");
    expect_text(&q, ZZ_EVENT, "after");
    expect_empty(&q);
    zz_queue_destroy(&q);
}

// ---- Two threads ----

typedef struct flow {
    zz_queue queues[2];
    zz_waker waker;
    uint64_t n; // records in each queue
    int queues_used;
    atomic_bool halt; // ends look_at_depths()
    atomic_long wakeups;
    uint32_t spin; // the producer's longest pause between commits
    bool lockstep; // the producer waits until each commit was consumed
} flow;

// One record of each queue, or false if all are empty. Checks it.
static bool take_one(flow* f, uint64_t next[2]) {
    bool any = false;
    for ( int i = 0; i < f->queues_used; i++ ) {
        const zz_record* r = zz_queue_peek(&f->queues[i]);
        if ( r ) {
            verify(r, next[i]++);
            zz_queue_consume(&f->queues[i], r);
            any = true;
        }
    }
    return any;
}

static bool complete(const flow* f, const uint64_t next[2]) {
    for ( int i = 0; i < f->queues_used; i++ ) {
        if ( next[i] != f->n )
            return false;
    }
    return true;
}

// As Zeek's IOSource: drain, say that one will sleep, look again, sleep.
static void* sleeping_consumer(void* arg) {
    flow* f = arg;
    uint64_t next[2] = {0, 0};
    long sleeps = 0;
    while ( ! complete(f, next) ) {
        if ( take_one(f, next) )
            continue;
        zz_waker_prepare(&f->waker);
        if ( take_one(f, next) ) {
            zz_waker_cancel(&f->waker);
            continue;
        }
        struct pollfd pfd = {.fd = f->waker.fd, .events = POLLIN};
        const int rc = poll(&pfd, 1, test_ms(10000));
        CHECK(rc == 1, "a wake-up was lost: slept 10 s at record %lu of %lu", (unsigned long)next[0],
              (unsigned long)f->n);
        zz_waker_clear(&f->waker);
        sleeps++;
    }
    atomic_store(&f->wakeups, sleeps);
    return NULL;
}

static void* spinning_consumer(void* arg) {
    flow* f = arg;
    uint64_t next[2] = {0, 0};
    while ( ! complete(f, next) )
        take_one(f, next);
    return NULL;
}

static void pause_for(uint64_t n) {
    for ( volatile uint64_t i = 0; i < n; i++ )
        ;
}

typedef struct producer_arg {
    flow* f;
    int queue;
    uint64_t largest_batch;
} producer_arg;

static void* producer(void* arg) {
    const producer_arg* a = arg;
    flow* f = a->f;
    zz_queue* q = &f->queues[a->queue];
    rng r = {99u + (uint64_t)a->queue};
    for ( uint64_t i = 0; i < f->n; ) {
        for ( uint64_t batch = 1 + rng_below(&r, a->largest_batch); batch > 0 && i < f->n; batch-- ) {
            lay(q, i++);
            if ( rng_below(&r, 50) == 0 ) {
                zz_record* back = zz_queue_reserve(q, ZZ_LOG, 0, 0, (uint32_t)rng_below(&r, 70000));
                CHECK(back, "no memory");
                zz_queue_unreserve(q, back);
            }
        }
        zz_queue_commit(q);
        zz_waker_wake(&f->waker);
        if ( f->spin )
            pause_for(rng_below(&r, f->spin));
        for ( unsigned n = 1; f->lockstep && zz_queue_bytes(q); n++ ) {
            if ( n % 10000 == 0 )
                sched_yield(); // where one core or valgrind's lock is all there is
        }
        // A consumer that lags is not what is tested; do not eat the memory.
        while ( zz_queue_bytes(q) > 32u << 20 )
            poll(NULL, 0, 1);
    }
    return NULL;
}

// Metrics are read on any thread: never more out than in.
static void* look_at_depths(void* arg) {
    flow* f = arg;
    while ( ! atomic_load(&f->halt) ) {
        for ( int i = 0; i < f->queues_used; i++ ) {
            for ( int cls = 0; cls < ZZ_CLASSES; cls++ ) {
                const uint64_t depth = zz_queue_depth(&f->queues[i], cls);
                CHECK(depth <= f->n, "depth %ld: more records went out than in", (long)depth);
            }
            const uint64_t bytes = zz_queue_bytes(&f->queues[i]);
            CHECK(bytes < UINT64_C(1) << 40, "%ld bytes: more went out than in", (long)bytes);
        }
        pause_for(1000);
    }
    return NULL;
}

static void run_flow(uint64_t n, int queues, uint64_t largest_batch, uint32_t spin, bool lockstep,
                     void* (*consumer)(void*)) {
    const long base = atomic_load(&mallocs) - atomic_load(&frees);
    flow f = {.n = n, .queues_used = queues, .spin = spin, .lockstep = lockstep};
    for ( int i = 0; i < queues; i++ )
        init(&f.queues[i]);
    CHECK(zz_waker_init(&f.waker), "zz_waker_init: %s", strerror(errno));

    const double start = now_ms();
    pthread_t consumer_thread, watcher, producers[2];
    producer_arg args[2];
    pthread_create(&consumer_thread, NULL, consumer, &f);
    if ( ! lockstep ) // which takes both cores
        pthread_create(&watcher, NULL, look_at_depths, &f);
    for ( int i = 0; i < queues; i++ ) {
        args[i] = (producer_arg){&f, i, largest_batch};
        pthread_create(&producers[i], NULL, producer, &args[i]);
    }
    for ( int i = 0; i < queues; i++ )
        pthread_join(producers[i], NULL);
    pthread_join(consumer_thread, NULL);
    atomic_store(&f.halt, true);
    if ( ! lockstep )
        pthread_join(watcher, NULL);

    const double ms = now_ms() - start;
    test_note("%lu records in %.0f ms, %ld sleeps", (unsigned long)(n * (uint64_t)queues), ms, atomic_load(&f.wakeups));
    for ( int i = 0; i < queues; i++ ) {
        expect_empty(&f.queues[i]);
        zz_queue_destroy(&f.queues[i]);
    }
    zz_waker_destroy(&f.waker);
    CHECK(atomic_load(&mallocs) - atomic_load(&frees) == base, "the queues kept memory after their end");
}

static void two_threads_full_speed(void) { run_flow(test_count(4000000), 1, 300, 0, false, spinning_consumer); }

// The next commit would make up for a lost wake-up, so there is none until the
// consumer has seen this one.
static void no_wakeup_is_lost(void) { run_flow(test_count(1000000), 1, 1, 200, true, sleeping_consumer); }

static void no_wakeup_is_lost_in_batches(void) { run_flow(test_count(3000000), 1, 64, 2000, false, sleeping_consumer); }

// Two producers, one waker: the engine's events and logs, and who ends it.
static void two_producers_share_a_waker(void) { run_flow(test_count(1000000), 2, 2, 60, false, sleeping_consumer); }

static void waker_writes_once_per_sleep(void) {
    zz_waker w;
    CHECK(zz_waker_init(&w), "zz_waker_init: %s", strerror(errno));
    struct pollfd pfd = {.fd = w.fd, .events = POLLIN};

    zz_waker_wake(&w);
    CHECK(poll(&pfd, 1, 0) == 0, "a wake without a sleeper wrote to the eventfd");

    zz_waker_prepare(&w);
    for ( int i = 0; i < 5; i++ )
        zz_waker_wake(&w);
    uint64_t value = 0;
    CHECK(poll(&pfd, 1, 0) == 1, "a wake of a sleeper did not write");
    CHECK(read(w.fd, &value, sizeof(value)) == sizeof(value) && value == 1, "the eventfd was written %lu times",
          (unsigned long)value);

    zz_waker_prepare(&w);
    zz_waker_cancel(&w);
    zz_waker_wake(&w);
    CHECK(poll(&pfd, 1, 0) == 0, "a wake after a cancelled sleep wrote to the eventfd");

    zz_waker_clear(&w); // nothing there: must not block
    zz_waker_prepare(&w);
    zz_waker_wake(&w);
    zz_waker_clear(&w);
    CHECK(poll(&pfd, 1, 0) == 0, "the eventfd is readable after it was cleared");
    zz_waker_destroy(&w);
}

static void wake_keeps_errno(void) {
    zz_waker w;
    CHECK(zz_waker_init(&w), "zz_waker_init: %s", strerror(errno));
    zz_waker_prepare(&w);
    close(w.fd);
    errno = EILSEQ;
    zz_waker_wake(&w);
    CHECK(errno == EILSEQ, "zz_waker_wake() changed errno to %d", errno);
}

// ---- Channels ----

static void channel_descriptors_are_private(void) {
    const int base = count_fds();
    zz_counters counters = {0};
    zz_channel* ch = zz_channel_new(&counters);
    CHECK(ch, "zz_channel_new: %s", strerror(errno));
    CHECK(count_fds() == base + 2, "a channel uses %d descriptors; due were 2", count_fds() - base);
    const int fds[] = {ch->engine_waker.fd, ch->host_waker.fd};
    for ( int i = 0; i < 2; i++ ) {
        CHECK(fcntl(fds[i], F_GETFD) & FD_CLOEXEC, "a descriptor would be inherited by a new program");
        CHECK(fcntl(fds[i], F_GETFL) & O_NONBLOCK, "a descriptor would block");
    }
    CHECK(ch->counters == &counters && ch->flags == 0 && atomic_load(&ch->stopping) == 0, "a channel starts otherwise");
    expect_empty(&ch->inbox);
    push_text(&ch->events_out, ZZ_EVENT, "t", "left in the queue");
    push_text(&ch->inbox, ZZ_EVENT, "t", "left in the inbox");
    zz_channel_free(ch);
    zz_channel_free(NULL);
    CHECK(count_fds() == base, "a freed channel keeps %d descriptors", count_fds() - base);
}

static void channel_fails_whole(void) {
    const long base = atomic_load(&mallocs) - atomic_load(&frees);
    zz_counters counters = {0};
    const int fds = count_fds();

    // The second descriptor is one too many.
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    int lowest = dup(0);
    close(lowest);
    limit.rlim_cur = (rlim_t)lowest + 1;
    setrlimit(RLIMIT_NOFILE, &limit);
    errno = 0;
    CHECK(! zz_channel_new(&counters) && errno == EMFILE, "a channel without descriptors: errno %d", errno);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    CHECK(count_fds() == fds, "a failed channel keeps %d descriptors", count_fds() - fds);
    CHECK(atomic_load(&mallocs) - atomic_load(&frees) <= base, "a failed channel keeps memory");

    atomic_store(&no_memory, true);
    CHECK(! zz_channel_new(&counters) && errno == ENOMEM, "a channel without memory: errno %d", errno);
    atomic_store(&no_memory, false);
    CHECK(count_fds() == fds, "a failed channel keeps %d descriptors", count_fds() - fds);
}

static const test tests[] = {
    {"queue_keeps_order_and_content", keeps_order_and_content, 0},
    {"queue_large_records_fit_whole", large_records_fit_whole, 0},
    {"queue_refuses_lengths_over_the_limit", refuses_lengths_over_the_limit, 0},
    {"queue_shows_nothing_before_the_commit", shows_nothing_before_the_commit, 0},
    {"queue_skipped_record_counts_as_control", a_skipped_record_counts_as_control, 0},
    {"queue_unreserved_record_never_was", an_unreserved_record_never_was, 0},
    {"queue_counts_depth_and_bytes", counts_depth_and_bytes, 0},
    {"queue_reuses_chunks", reuses_chunks, 0},
    {"queue_gives_memory_back", gives_memory_back, 0},
    {"queue_destroy_frees_whatever_is_left", destroy_frees_whatever_is_left, 0},
    {"queue_short_memory_queues_nothing", short_memory_queues_nothing, 0},
    {"queue_two_threads_full_speed", two_threads_full_speed, 60},
    {"waker_no_wakeup_is_lost_by_one", no_wakeup_is_lost, 60},
    {"waker_no_wakeup_is_lost_in_batches", no_wakeup_is_lost_in_batches, 60},
    {"waker_shared_by_two_producers", two_producers_share_a_waker, 60},
    {"waker_writes_once_per_sleep", waker_writes_once_per_sleep, 0},
    {"waker_wake_keeps_errno", wake_keeps_errno, 0},
    {"channel_descriptors_are_private", channel_descriptors_are_private, 0},
    {"channel_fails_whole", channel_fails_whole, 0},
};

int main(int argc, char** argv) { return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0])); }
