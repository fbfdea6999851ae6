// SPDX-License-Identifier: BSD-3-Clause
//
// See host.h.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "host.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { START_MS = 20000, WAIT_MS = 20000 };

void use_engine(void) {
    const char* path = getenv("ZEEKZMQ_LIBRARY");
    if ( ! path || ! *path )
        test_skip("ZEEKZMQ_LIBRARY does not name the engine");
    if ( access(path, R_OK) != 0 )
        test_skip("no engine at %s", path);
    zz_set_library(path);
}

int handles_open(void) {
    uint64_t n = 0;
    char err[ERR];
    const int32_t rc = zz_open_handles(&n, err, sizeof(err));
    CHECK(rc == ZEEKZMQ_OK, "zz_open_handles: %d %s", rc, err);
    return (int)n;
}

void option_add(options* o, const char* name, const char* value) {
    CHECK(o->n < MAX_OPTIONS, "too many options for this test");
    o->list[o->n++] = (zeekzmq_option){name, value, strlen(value)};
}

// Below the ports that the system gives to outgoing connections, which would
// take a port away that was free a moment ago.
enum { FIRST_PORT = 20000, LAST_PORT = 32767 };

int occupy_endpoint(char* out) {
    static rng r;
    if ( ! r.state )
        r.state = (uint64_t)(now_ms() * 1e6) ^ ((uint64_t)gettid() << 32);

    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0, "socket: %s", strerror(errno));
    for ( int i = 0; i < 1000; i++ ) {
        const int port = FIRST_PORT + (int)rng_below(&r, LAST_PORT - FIRST_PORT + 1);
        struct sockaddr_in a = {
            .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        if ( bind(fd, (struct sockaddr*)&a, sizeof(a)) == 0 ) {
            CHECK(listen(fd, 1) == 0, "listen: %s", strerror(errno));
            snprintf(out, ENDPOINT, "tcp://127.0.0.1:%d", port);
            return fd;
        }
    }
    test_fail("no free port from %d to %d: %s", FIRST_PORT, LAST_PORT, strerror(errno));
}

void free_endpoint(char* out) { close(occupy_endpoint(out)); }

int32_t broker_start_at(broker* b, const char* linger_ms, char* err) {
    options o = {0};
    option_add(&o, "listen_xpub_endpoint", b->xpub);
    option_add(&o, "listen_xsub_endpoint", b->xsub);
    option_add(&o, "linger_ms", linger_ms);
    return zz_broker_start(o.list, o.n, &b->stats, &b->handle, test_ms(START_MS), err, ERR);
}

void broker_start(broker* b, const char* linger_ms) {
    // Another process may take a port before the broker does: try some more.
    for ( int tries = 0;; tries++ ) {
        memset(b, 0, sizeof(*b));
        const int fds[] = {occupy_endpoint(b->xpub), occupy_endpoint(b->xsub)};
        close(fds[0]);
        close(fds[1]);
        char err[ERR];
        const int32_t rc = broker_start_at(b, linger_ms, err);
        if ( rc == ZEEKZMQ_OK && b->handle )
            return;
        CHECK(rc == ZEEKZMQ_EENDPOINT && tries < 5, "broker start: %d %s", rc, err);
    }
}

void broker_stop(broker* b) {
    char err[ERR];
    const int32_t rc = zz_broker_stop(b->handle, test_ms(START_MS), err, sizeof(err));
    CHECK(rc == ZEEKZMQ_OK, "broker stop: %d %s", rc, err);
    b->handle = 0;
}

void node_new(node* n, const char* id) {
    memset(n, 0, sizeof(*n));
    snprintf(n->id, sizeof(n->id), "%s", id);
    n->ch = zz_channel_new(&n->counters);
    CHECK(n->ch, "zz_channel_new: %s", strerror(errno));
}

int32_t node_try_start(node* n, const broker* b, const options* extra, char* err) {
    options o = {0};
    if ( n->id[0] )
        option_add(&o, "node_id", n->id);
    if ( b ) {
        option_add(&o, "connect_xsub_endpoint", b->xpub);
        option_add(&o, "connect_xpub_endpoint", b->xsub);
    }
    for ( size_t i = 0; extra && i < extra->n; i++ )
        o.list[o.n++] = extra->list[i];
    return zz_node_start(o.list, o.n, n->ch, &n->handle, test_ms(START_MS), err, ERR);
}

void node_start(node* n, const broker* b, const options* o) {
    char err[ERR];
    const int32_t rc = node_try_start(n, b, o, err);
    CHECK(rc == ZEEKZMQ_OK && n->handle, "start of node %s: %d %s", n->id, rc, err);
}

void node_up(node* n, const char* id, const broker* b, const options* o) {
    node_new(n, id);
    node_start(n, b, o);
}

void node_stop(node* n) {
    char err[ERR];
    const int32_t rc = zz_node_stop(n->handle, test_ms(START_MS), err, sizeof(err));
    CHECK(rc == ZEEKZMQ_OK, "stop of node %s: %d %s", n->id, rc, err);
    n->handle = 0;
}

void node_free(node* n) {
    zz_channel_free(n->ch);
    n->ch = NULL;
}

static void control(node* n, uint16_t kind, const char* topic) {
    CHECK(zz_queue_push(&n->ch->events_out, kind, topic, strlen(topic), NULL, 0, NULL, 0), "push: %s", strerror(errno));
    zz_waker_wake(&n->ch->engine_waker);
}

void subscribe(node* n, const char* topic) { control(n, ZZ_SUBSCRIBE, topic); }
void unsubscribe(node* n, const char* topic) { control(n, ZZ_UNSUBSCRIBE, topic); }

bool publish_raw(node* n, const char* topic, const void* payload, size_t size) {
    static const char format[] = "broker-bin-v1";
    const bool ok =
        zz_queue_push(&n->ch->events_out, ZZ_EVENT, topic, strlen(topic), format, sizeof(format) - 1, payload, size);
    zz_waker_wake(&n->ch->engine_waker);
    return ok;
}

// list(3) [count 1, count 1, list(2) [string "abi_test", list(1) [count]]]
static const uint8_t event_head[] = {0x0e, 3, 2,    0, 0, 0, 0,   0,   0,   0,   1,   2,   0,   0,   0,    0, 0, 0,
                                     0,    1, 0x0e, 2, 5, 8, 'a', 'b', 'i', '_', 't', 'e', 's', 't', 0x0e, 1, 2};
enum { EVENT_SIZE = sizeof(event_head) + 8 };

void publish(node* n, const char* topic, uint64_t number) {
    uint8_t event[EVENT_SIZE];
    memcpy(event, event_head, sizeof(event_head));
    for ( int i = 0; i < 8; i++ )
        event[sizeof(event_head) + (size_t)i] = (uint8_t)(number >> (56 - 8 * i));
    CHECK(publish_raw(n, topic, event, sizeof(event)), "publish: %s", strerror(errno));
}

uint64_t event_number(const zz_record* r) {
    const uint8_t* p = zz_record_payload(r);
    CHECK(r->kind == ZZ_EVENT && r->payload_len == EVENT_SIZE && memcmp(p, event_head, sizeof(event_head)) == 0,
          "an event with another content: kind %u, %u bytes", r->kind, r->payload_len);
    uint64_t number = 0;
    for ( int i = 0; i < 8; i++ )
        number = number << 8 | p[sizeof(event_head) + (size_t)i];
    return number;
}

static size_t put_u32(uint8_t* p, uint32_t n) {
    for ( int i = 0; i < 4; i++ )
        p[i] = (uint8_t)(n >> (24 - 8 * i));
    return 4;
}

static size_t put_text(uint8_t* p, const char* text) {
    const size_t n = strlen(text);
    put_u32(p, (uint32_t)n);
    memcpy(p + 4, text, n);
    return 4 + n;
}

static const char* const log_names[] = {"Abi::LOG", "Log::WRITER_ASCII", "default"};

void send_log(node* n, const char* path) {
    uint8_t batch[512];
    size_t size = 0;
    for ( int i = 0; i < 3; i++ )
        size += put_text(batch + size, log_names[i]);
    size += put_text(batch + size, path);
    size += put_u32(batch + size, 1); // one field: count "n"
    batch[size++] = 0;
    size += put_text(batch + size, "n");
    size += put_u32(batch + size, 3);
    size += put_u32(batch + size, 0);
    batch[size++] = 0;
    size += put_u32(batch + size, 1); // one record: 7
    size += put_u32(batch + size, 3);
    size += put_u32(batch + size, 0);
    batch[size++] = 1;
    size += put_u32(batch + size, 0);
    size += put_u32(batch + size, 7);

    static const char format[] = "zeek-bin-serializer";
    CHECK(zz_queue_push(&n->ch->logs_out, ZZ_LOG, NULL, 0, format, sizeof(format) - 1, batch, size), "push: %s",
          strerror(errno));
    zz_waker_wake(&n->ch->engine_waker);
}

void log_path(const zz_record* r, char* out, size_t size) {
    const uint8_t* p = zz_record_payload(r);
    size_t at = 0;
    for ( int i = 0; i < 3; i++ )
        at += 4 + strlen(log_names[i]);
    CHECK(r->kind == ZZ_LOG && r->payload_len > at + 4, "a log batch with another content: kind %u, %u bytes", r->kind,
          r->payload_len);
    const uint32_t n = p[at + 3];
    CHECK(n < size && at + 4 + n <= r->payload_len, "a path of %u bytes", n);
    memcpy(out, p + at + 4, n);
    out[n] = '\0';
}

bool is_error(const zz_record* r) { return r->kind == ZZ_ERROR || r->kind == ZZ_FATAL; }

bool record_is(const zz_record* r, uint16_t kind, const char* topic) {
    return r && r->kind == kind &&
           (! topic || (r->topic_len == strlen(topic) && memcmp(zz_record_topic(r), topic, r->topic_len) == 0));
}

// As Zeek's main loop and an IOSource on the waker's descriptor: process what
// there is; else say that one will sleep, look again, and poll.
const zz_record* node_next(node* n, int ms) {
    const double deadline = now_ms() + ms;
    for ( ;; ) {
        const zz_record* r = zz_queue_peek(&n->ch->inbox);
        if ( ! r ) {
            zz_waker_prepare(&n->ch->host_waker);
            r = zz_queue_peek(&n->ch->inbox);
            if ( r )
                zz_waker_cancel(&n->ch->host_waker);
        }
        if ( r ) {
            if ( r->kind == ZZ_FATAL )
                n->fatal++;
            if ( r->kind != ZZ_SKIP && r->kind != ZZ_MONITOR )
                return r;
            zz_queue_consume(&n->ch->inbox, r);
            continue;
        }

        const double left = deadline - now_ms();
        struct pollfd pfd = {.fd = n->ch->host_waker.fd, .events = POLLIN};
        const int rc = poll(&pfd, 1, left > 0 ? (int)left + 1 : 0);
        if ( rc == 1 )
            zz_waker_clear(&n->ch->host_waker);
        else if ( rc == 0 && left <= 0 ) {
            zz_waker_cancel(&n->ch->host_waker);
            return NULL;
        }
    }
}

void node_done(node* n, const zz_record* r) { zz_queue_consume(&n->ch->inbox, r); }

void node_await(node* n, uint16_t kind, const char* topic) {
    const double deadline = now_ms() + test_ms(WAIT_MS);
    for ( ;; ) {
        const double left = deadline - now_ms();
        const zz_record* r = left > 0 ? node_next(n, (int)left) : NULL;
        CHECK(r, "node %s waited in vain for kind %u, topic %s", n->id, kind, topic ? topic : "(any)");
        const bool found = record_is(r, kind, topic);
        if ( ! found && is_error(r) )
            test_fail("node %s: %.*s", n->id, (int)r->payload_len, (const char*)zz_record_payload(r));
        node_done(n, r);
        if ( found )
            return;
    }
}

void link_nodes(node* subscriber, node* publisher, const char* topic) {
    subscribe(subscriber, topic);
    node_await(publisher, ZZ_SUBSCRIPTION, topic);
}
