// SPDX-License-Identifier: BSD-3-Clause
//
// The C side of the benchmarks: brokers to compare, what loads them, and nodes
// that do without Zeek what the plugin does, or what a plain libzmq program
// would do in their place.
//
//   load proxy XPUB XSUB THREADS           zmq_proxy(3) between two endpoints
//   load broker XPUB XSUB THREADS          the engine's broker
//   load flow XPUB XSUB PUBS SUBS COUNT SIZE
//                                          COUNT messages from each of PUBS to each of SUBS, over plain libzmq
//   load NODE send XPUB XSUB COUNT SIZE    NODE: engine or plain. COUNT events, one burst
//   load NODE receive XPUB XSUB COUNT      takes COUNT events
//   load NODE echo XPUB XSUB COUNT         answers COUNT events
//   load NODE ask XPUB XSUB COUNT RATE     asks COUNT times at RATE a second
//   load churn XPUB XSUB ROUNDS IDLE       does memory stay? See churn().
//
// XPUB and XSUB are the broker's. The engine is $ZEEKZMQ_LIBRARY. Lines on
// stdout that start with "bench" are for the program that runs it. Times are
// seconds since the epoch; all of a process's sockets belong to one thread, but
// in flow, where each has a thread of its own.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <zmq.h>

#include "loader.h"

enum { START_MS = 20000, STOP_MS = 10000, QUEUE_MAX = 64 << 20 };

static const char format_name[] = "broker-bin-v1";

static void die(const char* format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "load: ");
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void tell(const char* format, ...) {
    va_list args;
    va_start(args, format);
    printf("bench ");
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

static double clock_of(clockid_t id) {
    struct timespec t;
    clock_gettime(id, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now(void) { return clock_of(CLOCK_REALTIME); }

static void must(int rc, const char* doing) {
    if ( rc < 0 )
        die("%s: %s", doing, zmq_strerror(zmq_errno()));
}

static unsigned long to_number(const char* text) {
    char* end;
    errno = 0;
    const unsigned long n = strtoul(text, &end, 10);
    if ( errno || *end || end == text )
        die("\"%s\" is no number", text);
    return n;
}

// ---- Events ----

// Where an event's number is, which carries a time.
enum { STAMP_AT = 32, STAMP = 8 };

// list(3) [count 1, count 1, list(2) [string "bench", list(2) [count number, string text]]]
static uint8_t* make_event(size_t text, size_t* size) {
    static const uint8_t head[] = {0x0e, 3, 2, 0, 0,    0, 0, 0, 0,   0,   1,   2,   0,   0,    0, 0,
                                   0,    0, 0, 1, 0x0e, 2, 5, 5, 'b', 'e', 'n', 'c', 'h', 0x0e, 2, 2};
    _Static_assert(sizeof(head) == STAMP_AT, "the number follows");
    uint8_t* event = malloc(sizeof(head) + 8 + 6 + text);
    if ( ! event )
        die("out of memory");
    size_t n = sizeof(head);
    memcpy(event, head, n);
    memset(event + n, 0, 8);
    n += 8;
    event[n++] = 5;
    size_t left = text;
    for ( ; left >= 128; left >>= 7 )
        event[n++] = (uint8_t)(left | 0x80);
    event[n++] = (uint8_t)left;
    memset(event + n, 'x', text);
    *size = n + text;
    return event;
}


// ---- Nodes: the engine's and plain ones ----

typedef struct node {
    // The engine's.
    zz_channel* ch;
    zz_counters counters;
    uint64_t handle;
    // A plain one's.
    void* ctx;
    void* xpub;
    void* xsub;
    zmq_msg_t parts[4];
    char id[64];
} node;

static void use_engine(void) {
    const char* path = getenv("ZEEKZMQ_LIBRARY");
    if ( ! path )
        die("ZEEKZMQ_LIBRARY does not name the engine");
    zz_set_library(path);
}

static void node_open(node* n, bool engine, const char* xpub, const char* xsub, const char* inbox_max) {
    static int number;
    memset(n, 0, sizeof(*n));
    snprintf(n->id, sizeof(n->id), "zeromq_bench_host_%d_%d", (int)getpid(), ++number);

    if ( engine ) {
        use_engine();
        n->ch = zz_channel_new(&n->counters);
        if ( ! n->ch )
            die("no memory for a channel");
        const char* list[][2] = {{"node_id", n->id},
                                 {"connect_xsub_endpoint", xpub},
                                 {"connect_xpub_endpoint", xsub},
                                 {"xpub_sndhwm", "0"},
                                 {"xsub_rcvhwm", "0"},
                                 {"onloop_queue_hwm", inbox_max}};
        enum { N = sizeof(list) / sizeof(list[0]) };
        zeekzmq_option o[N];
        for ( int i = 0; i < N; i++ )
            o[i] = (zeekzmq_option){list[i][0], list[i][1], strlen(list[i][1])};
        char err[1024];
        if ( zz_node_start(o, N, n->ch, &n->handle, START_MS, err, sizeof(err)) != ZEEKZMQ_OK )
            die("%s", err);
        return;
    }

    n->ctx = zmq_ctx_new();
    n->xpub = zmq_socket(n->ctx, ZMQ_XPUB);
    n->xsub = zmq_socket(n->ctx, ZMQ_XSUB);
    const int none = 0, yes = 1;
    zmq_setsockopt(n->xpub, ZMQ_SNDHWM, &none, sizeof(none));
    zmq_setsockopt(n->xpub, ZMQ_XPUB_NODROP, &yes, sizeof(yes));
    zmq_setsockopt(n->xpub, ZMQ_XPUB_VERBOSE, &yes, sizeof(yes));
    zmq_setsockopt(n->xsub, ZMQ_RCVHWM, &none, sizeof(none));
    must(zmq_connect(n->xpub, xsub), "connect");
    must(zmq_connect(n->xsub, xpub), "connect");
    for ( int i = 0; i < 4; i++ )
        zmq_msg_init(&n->parts[i]);
}

static void node_subscribe(node* n, const char* topic) {
    const size_t len = strlen(topic);
    if ( n->ch ) {
        if ( ! zz_queue_push(&n->ch->events_out, ZZ_SUBSCRIBE, topic, len, NULL, 0, NULL, 0) )
            die("cannot queue a subscription");
        zz_waker_wake(&n->ch->engine_waker);
        return;
    }
    char m[256] = {1};
    memcpy(m + 1, topic, len);
    must(zmq_send(n->xsub, m, len + 1, 0), "subscribe");
}

static void node_publish(node* n, const char* topic, const uint8_t* event, size_t size) {
    if ( n->ch ) {
        while ( zz_queue_bytes(&n->ch->events_out) > QUEUE_MAX )
            usleep(200);
        if ( ! zz_queue_push(&n->ch->events_out, ZZ_EVENT, topic, strlen(topic), format_name, sizeof(format_name) - 1,
                             event, size) )
            die("cannot queue an event");
        zz_waker_wake(&n->ch->engine_waker);
        return;
    }
    must(zmq_send(n->xpub, topic, strlen(topic), ZMQ_SNDMORE), "send");
    must(zmq_send(n->xpub, n->id, strlen(n->id), ZMQ_SNDMORE), "send");
    must(zmq_send(n->xpub, format_name, sizeof(format_name) - 1, ZMQ_SNDMORE), "send");
    must(zmq_send(n->xpub, event, size, 0), "send");
}

static bool plain_next(node* n, const uint8_t** event, size_t* size) {
    int parts = 0;
    do {
        zmq_msg_t* m = &n->parts[parts < 4 ? parts : 3];
        if ( zmq_msg_recv(m, n->xsub, ZMQ_DONTWAIT) < 0 )
            return false;
        parts++;
        if ( ! zmq_msg_more(m) )
            break;
    } while ( true );
    *event = zmq_msg_data(&n->parts[3]);
    *size = zmq_msg_size(&n->parts[3]);
    return true;
}

// The next event, valid until the next call, or false after ms milliseconds.
static bool node_next(node* n, int ms, const uint8_t** event, size_t* size) {
    if ( ! n->ch ) {
        if ( plain_next(n, event, size) )
            return true;
        zmq_pollitem_t item = {.socket = n->xsub, .events = ZMQ_POLLIN};
        zmq_poll(&item, 1, ms);
        return plain_next(n, event, size);
    }

    static zz_record* last;
    zz_queue* q = &n->ch->inbox;
    if ( last )
        zz_queue_consume(q, last);
    last = NULL;

    for ( bool slept = false;; ) {
        zz_record* r = zz_queue_peek(q);
        if ( r && r->kind == ZZ_EVENT ) {
            last = r;
            *event = zz_record_payload(r);
            *size = r->payload_len;
            return true;
        }
        if ( r ) {
            if ( r->kind == ZZ_ERROR || r->kind == ZZ_FATAL )
                die("the engine says: %.*s", (int)r->payload_len, (const char*)zz_record_payload(r));
            zz_queue_consume(q, r);
            continue;
        }
        if ( slept )
            return false;
        zz_waker_prepare(&n->ch->host_waker);
        if ( ! zz_queue_peek(q) ) {
            struct pollfd p = {.fd = n->ch->host_waker.fd, .events = POLLIN};
            slept = poll(&p, 1, ms) == 0;
        }
        zz_waker_cancel(&n->ch->host_waker);
        zz_waker_clear(&n->ch->host_waker);
    }
}

// Whether somebody has subscribed to topic, waiting for it up to a little.
static void node_await_subscriber(node* n, const char* topic) {
    const size_t len = strlen(topic);
    for ( const double until = now() + 20; now() < until; ) {
        if ( n->ch ) {
            zz_record* r = zz_queue_peek(&n->ch->inbox);
            if ( ! r ) {
                usleep(1000);
                continue;
            }
            const bool found =
                r->kind == ZZ_SUBSCRIPTION && r->topic_len == len && memcmp(zz_record_topic(r), topic, len) == 0;
            zz_queue_consume(&n->ch->inbox, r);
            if ( found )
                return;
        }
        else {
            char m[256];
            const int size = zmq_recv(n->xpub, m, sizeof(m), ZMQ_DONTWAIT);
            if ( size < 0 )
                usleep(1000);
            else if ( (size_t)size == len + 1 && m[0] == 1 && memcmp(m + 1, topic, len) == 0 )
                return;
        }
    }
    die("nobody subscribed to %s", topic);
}

static void node_close(node* n) {
    if ( n->ch ) {
        char err[8192];
        if ( zz_node_stop(n->handle, STOP_MS, err, sizeof(err)) != ZEEKZMQ_OK )
            die("%s", err);
        zz_channel_free(n->ch);
        return;
    }
    for ( int i = 0; i < 4; i++ )
        zmq_msg_close(&n->parts[i]);
    zmq_close(n->xpub);
    zmq_close(n->xsub);
    zmq_ctx_term(n->ctx);
}

// All that has been sent is off the way before a process may end.
static void wait_for_line(void) {
    char line[64];
    if ( ! fgets(line, sizeof(line), stdin) )
        exit(0);
}

static void send_burst(node* n, unsigned long count, size_t size) {
    size_t event_size;
    uint8_t* event = make_event(size, &event_size);
    node_await_subscriber(n, "bench.all.");
    tell("up");
    wait_for_line();

    const double start = now(), cpu = clock_of(CLOCK_THREAD_CPUTIME_ID);
    for ( unsigned long i = 0; i < count; i++ )
        node_publish(n, "bench.all.", event, event_size);
    const double took = now() - start;
    tell("sent %.6f %.9f %.9f", start, took, clock_of(CLOCK_THREAD_CPUTIME_ID) - cpu);
    wait_for_line();
    free(event);
}

static void receive(node* n, unsigned long count) {
    node_subscribe(n, "bench.all.");
    tell("up");
    const uint8_t* event;
    size_t size;
    for ( unsigned long i = 0; i < count; i++ )
        if ( ! node_next(n, 30000, &event, &size) )
            die("%lu of %lu events came", i, count);
    tell("received %.6f", now());
    wait_for_line();
}

static void echo(node* n, unsigned long count) {
    node_subscribe(n, "bench.ping.");
    node_await_subscriber(n, "bench.pong.");
    tell("up");
    const uint8_t* event;
    size_t size;
    for ( unsigned long i = 0; i < count; i++ ) {
        if ( ! node_next(n, 30000, &event, &size) )
            die("%lu of %lu questions came", i, count);
        node_publish(n, "bench.pong.", event, size);
    }
    wait_for_line();
}

static void ask(node* n, unsigned long count, double rate) {
    size_t size;
    uint8_t* event = make_event(64, &size);
    FILE* out = fopen("times-1", "w");
    if ( ! out )
        die("times-1: %s", strerror(errno));
    node_subscribe(n, "bench.pong.");
    node_await_subscriber(n, "bench.ping.");
    tell("up");
    wait_for_line();

    unsigned long asked = 0, answered = 0;
    const double start = now();
    while ( answered < count ) {
        while ( asked < count && now() - start >= (double)asked / rate ) {
            const double t = now();
            memcpy(event + STAMP_AT, &t, STAMP);
            node_publish(n, "bench.ping.", event, size);
            asked++;
        }
        const double wait = asked < count ? start + (double)asked / rate - now() : 10;
        const uint8_t* answer;
        size_t answer_size;
        if ( node_next(n, wait > 0 ? (int)(wait * 1000) + 1 : 0, &answer, &answer_size) ) {
            double t;
            memcpy(&t, answer + STAMP_AT, STAMP);
            fprintf(out, "%.1f\n", (now() - t) * 1e6);
            answered++;
        }
        else if ( asked == count && now() - start > (double)count / rate + 20 )
            die("%lu of %lu answers came", answered, count);
    }
    fclose(out);
    tell("answered");
    wait_for_line();
    free(event);
}

// ---- Brokers ----

static void run_proxy(const char* xpub_at, const char* xsub_at, int threads) {
    void* ctx = zmq_ctx_new();
    zmq_ctx_set(ctx, ZMQ_IO_THREADS, threads);
    void* xsub = zmq_socket(ctx, ZMQ_XSUB);
    void* xpub = zmq_socket(ctx, ZMQ_XPUB);
    const int yes = 1;
    zmq_setsockopt(xpub, ZMQ_XPUB_NODROP, &yes, sizeof(yes));
    zmq_setsockopt(xpub, ZMQ_XPUB_VERBOSER, &yes, sizeof(yes));
    must(zmq_bind(xpub, xpub_at), xpub_at);
    must(zmq_bind(xsub, xsub_at), xsub_at);
    tell("up");
    zmq_proxy(xsub, xpub, NULL);
}

static void run_broker(const char* xpub, const char* xsub, const char* threads) {
    static zz_broker_stats stats;
    use_engine();
    const zeekzmq_option o[] = {{"listen_xpub_endpoint", xpub, strlen(xpub)},
                                {"listen_xsub_endpoint", xsub, strlen(xsub)},
                                {"proxy_io_threads", threads, strlen(threads)}};
    uint64_t broker;
    char err[1024];
    if ( zz_broker_start(o, 3, &stats, &broker, START_MS, err, sizeof(err)) != ZEEKZMQ_OK )
        die("%s", err);
    tell("up");
    for ( ;; )
        pause();
}

// ---- What loads a broker ----

static struct {
    void* ctx;
    const char *xpub, *xsub;
    unsigned long pubs, subs, count;
    size_t size;
    pthread_barrier_t ready; // of the publishers and the main thread
} flow;

static void* flow_sub(void* arg) {
    const unsigned long number = (unsigned long)(uintptr_t)arg;
    void* s = zmq_socket(flow.ctx, ZMQ_XSUB);
    must(zmq_connect(s, flow.xpub), "connect");
    char topic[64];
    must(zmq_send(s, "\1bench.all.", 11, 0), "subscribe");
    // In order after the other: who sees this knows that the other has come to the broker.
    const int len = snprintf(topic, sizeof(topic), "%cbench.sub.%lu.", 1, number);
    must(zmq_send(s, topic, (size_t)len, 0), "subscribe");

    zmq_msg_t m;
    zmq_msg_init(&m);
    for ( unsigned long left = flow.count * flow.pubs; left > 0; ) {
        must(zmq_msg_recv(&m, s, 0), "receive");
        left -= ! zmq_msg_more(&m);
    }
    zmq_msg_close(&m);
    double* done = malloc(sizeof(*done));
    *done = now();
    zmq_close(s);
    return done;
}

static void* flow_pub(void* arg) {
    (void)arg;
    void* s = zmq_socket(flow.ctx, ZMQ_XPUB);
    const int yes = 1;
    zmq_setsockopt(s, ZMQ_XPUB_NODROP, &yes, sizeof(yes));
    zmq_setsockopt(s, ZMQ_XPUB_VERBOSE, &yes, sizeof(yes));
    must(zmq_connect(s, flow.xsub), "connect");

    for ( unsigned long seen = 0; seen < flow.subs; ) {
        char m[64];
        const int n = zmq_recv(s, m, sizeof(m), 0);
        must(n, "receive");
        seen += n > 11 && memcmp(m, "\1bench.sub.", 11) == 0;
    }

    uint8_t* payload = calloc(1, flow.size ? flow.size : 1);
    pthread_barrier_wait(&flow.ready); // all know all
    pthread_barrier_wait(&flow.ready); // go
    for ( unsigned long i = 0; i < flow.count; i++ ) {
        must(zmq_send(s, "bench.all.", 10, ZMQ_SNDMORE), "send");
        must(zmq_send(s, "zeromq_bench_host_4711_NrBcdefgh123", 35, ZMQ_SNDMORE), "send");
        must(zmq_send(s, format_name, sizeof(format_name) - 1, ZMQ_SNDMORE), "send");
        must(zmq_send(s, payload, flow.size, 0), "send");
    }
    free(payload);
    zmq_close(s);
    return NULL;
}

static void run_flow(void) {
    enum { MOST = 64 };
    if ( flow.pubs == 0 || flow.pubs > MOST || flow.subs == 0 || flow.subs > MOST )
        die("publishers and subscribers: 1 to %d", MOST);
    flow.ctx = zmq_ctx_new();
    pthread_t pubs[MOST], subs[MOST];
    pthread_barrier_init(&flow.ready, NULL, (unsigned)flow.pubs + 1);
    for ( unsigned long i = 0; i < flow.subs; i++ )
        pthread_create(&subs[i], NULL, flow_sub, (void*)(uintptr_t)i);
    for ( unsigned long i = 0; i < flow.pubs; i++ )
        pthread_create(&pubs[i], NULL, flow_pub, NULL);

    pthread_barrier_wait(&flow.ready);
    tell("up");
    wait_for_line();
    const double start = now();
    pthread_barrier_wait(&flow.ready);

    double last = 0;
    for ( unsigned long i = 0; i < flow.subs; i++ ) {
        void* done;
        pthread_join(subs[i], &done);
        last = *(double*)done > last ? *(double*)done : last;
        free(done);
    }
    tell("flowed %.6f", last - start);
    wait_for_line();
    for ( unsigned long i = 0; i < flow.pubs; i++ )
        pthread_join(pubs[i], NULL);
    zmq_ctx_term(flow.ctx);
}

// ---- Memory ----

static long resident_kb(void) {
    FILE* f = fopen("/proc/self/statm", "r");
    long total, resident;
    if ( ! f || fscanf(f, "%ld %ld", &total, &resident) != 2 )
        die("cannot read /proc/self/statm");
    fclose(f);
    return resident * (sysconf(_SC_PAGESIZE) / 1024);
}

enum { CHURN_EVENTS = 20000, CHURN_SIZE = 1024, CHURN_INBOX = 2000, CHURN_WINDOW = 1000 };

// One process with two nodes of the engine, through a broker elsewhere. Each
// round is a burst that the consumer takes at once, then one that it takes only
// after all was sent and what its inbox cannot hold was dropped. Every round
// tells the resident memory in KiB; "idle" tells it after IDLE seconds.
static void churn(const char* xpub, const char* xsub, unsigned long rounds, unsigned long idle) {
    node from, to;
    node_open(&from, true, xpub, xsub, "0");
    char inbox[16];
    snprintf(inbox, sizeof(inbox), "%d", CHURN_INBOX);
    node_open(&to, true, xpub, xsub, inbox);
    node_subscribe(&to, "bench.all.");
    node_await_subscriber(&from, "bench.all.");

    size_t size;
    uint8_t* event = make_event(CHURN_SIZE, &size);
    for ( unsigned long round = 0; round < rounds; round++ ) {
        for ( int slow = 0; slow < 2; slow++ ) {
            const uint64_t before = atomic_load(&to.counters.events_received) + atomic_load(&to.counters.onloop_drops);
            const uint8_t* e;
            size_t n;
            for ( int i = 0; i < CHURN_EVENTS; i++ ) {
                // What is under way is bounded, or its peak would be the measure.
                while ( (uint64_t)i > CHURN_WINDOW + atomic_load(&to.counters.events_received) +
                                          atomic_load(&to.counters.onloop_drops) - before )
                    if ( slow || ! node_next(&to, 1, &e, &n) )
                        usleep(100);
                node_publish(&from, "bench.all.", event, size);
                while ( ! slow && node_next(&to, 0, &e, &n) )
                    ;
            }
            for ( const double until = now() + 30;; ) {
                const uint64_t came =
                    atomic_load(&to.counters.events_received) + atomic_load(&to.counters.onloop_drops) - before;
                if ( came == CHURN_EVENTS )
                    break;
                if ( now() > until )
                    die("round %lu: %lu of %d events came", round, (unsigned long)came, CHURN_EVENTS);
                if ( slow )
                    usleep(500);
                else
                    node_next(&to, 1, &e, &n);
            }
            while ( node_next(&to, 0, &e, &n) )
                ;
        }
        tell("resident %ld", resident_kb());
    }
    if ( atomic_load(&to.counters.onloop_drops) == 0 )
        die("the slow consumer lost nothing: it was not slow");
    if ( idle > 0 ) {
        sleep((unsigned)idle);
        tell("idle %ld", resident_kb());
    }
    free(event);
    node_close(&from);
    node_close(&to);
}

int main(int argc, char** argv) {
    const char* what = argc > 1 ? argv[1] : "";
    if ( argc == 5 && strcmp(what, "proxy") == 0 )
        run_proxy(argv[2], argv[3], (int)to_number(argv[4]));
    else if ( argc == 5 && strcmp(what, "broker") == 0 )
        run_broker(argv[2], argv[3], argv[4]);
    else if ( argc == 8 && strcmp(what, "flow") == 0 ) {
        flow.xpub = argv[2];
        flow.xsub = argv[3];
        flow.pubs = to_number(argv[4]);
        flow.subs = to_number(argv[5]);
        flow.count = to_number(argv[6]);
        flow.size = to_number(argv[7]);
        run_flow();
    }
    else if ( argc == 6 && strcmp(what, "churn") == 0 )
        churn(argv[2], argv[3], to_number(argv[4]), to_number(argv[5]));
    else if ( argc >= 6 && (strcmp(what, "engine") == 0 || strcmp(what, "plain") == 0) ) {
        node n;
        node_open(&n, *what == 'e', argv[3], argv[4], "0");
        const unsigned long count = to_number(argv[5]);
        if ( argc == 7 && strcmp(argv[2], "send") == 0 )
            send_burst(&n, count, to_number(argv[6]));
        else if ( argc == 6 && strcmp(argv[2], "receive") == 0 )
            receive(&n, count);
        else if ( argc == 6 && strcmp(argv[2], "echo") == 0 )
            echo(&n, count);
        else if ( argc == 7 && strcmp(argv[2], "ask") == 0 )
            ask(&n, count, (double)to_number(argv[6]));
        else
            die("no such node: %s", argv[2]);
        node_close(&n);
    }
    else
        die("see load.c for what it does");
    return 0;
}
