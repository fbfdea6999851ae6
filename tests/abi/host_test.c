// SPDX-License-Identifier: BSD-3-Clause
//
// What Zeek's plugin does with the engine, without Zeek: brokers and nodes in
// this process, over loopback TCP. Every test starts with an engine that is
// not loaded and ends with none of its handles open.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"

static void expect_no_handles(void) { CHECK(handles_open() == 0, "%d handles are open", handles_open()); }

static void expect_event(node* n, const char* topic, uint64_t number) {
    for ( ;; ) {
        const zz_record* r = node_next(n, test_ms(20000));
        CHECK(r, "node %s waited in vain for event %lu on %s", n->id, (unsigned long)number, topic);
        if ( r->kind == ZZ_EVENT ) {
            CHECK(record_is(r, ZZ_EVENT, topic), "topic %.*s where %s was due", (int)r->topic_len,
                  (const char*)zz_record_topic(r), topic);
            CHECK(r->format_len == 13 && memcmp(zz_record_format(r), "broker-bin-v1", 13) == 0, "format %.*s",
                  r->format_len, (const char*)zz_record_format(r));
            CHECK(event_number(r) == number, "event %lu where %lu was due", (unsigned long)event_number(r),
                  (unsigned long)number);
            node_done(n, r);
            return;
        }
        if ( is_error(r) )
            test_fail("node %s: %.*s", n->id, (int)r->payload_len, (const char*)zz_record_payload(r));
        node_done(n, r);
    }
}

typedef struct pair {
    broker hub;
    node a, b;
} pair;

static void pair_up(pair* p, const options* o) {
    use_engine();
    broker_start(&p->hub, "500");
    node_up(&p->a, "node-a", &p->hub, o);
    node_up(&p->b, "node-b", &p->hub, o);
}

static void pair_down(pair* p) {
    node_stop(&p->a);
    node_stop(&p->b);
    broker_stop(&p->hub);
    node_free(&p->a);
    node_free(&p->b);
    expect_no_handles();
}

// ---- Events ----

static void events_arrive_in_order(void) {
    pair p;
    pair_up(&p, NULL);
    CHECK(handles_open() == 3, "%d handles are open; due were 3", handles_open());
    link_nodes(&p.b, &p.a, "abi.to-b.");
    link_nodes(&p.a, &p.b, "abi.to-a.");
    for ( uint64_t i = 0; i < 500; i++ )
        publish(&p.a, "abi.to-b.x", i);
    for ( uint64_t i = 0; i < 500; i++ )
        expect_event(&p.b, "abi.to-b.x", i);
    for ( uint64_t i = 0; i < 500; i++ ) {
        publish(&p.b, "abi.to-a.", i);
        expect_event(&p.a, "abi.to-a.", i);
    }
    CHECK(atomic_load(&p.a.counters.events_sent) == 500 && atomic_load(&p.b.counters.events_received) == 500,
          "counters: %lu sent, %lu received", (unsigned long)atomic_load(&p.a.counters.events_sent),
          (unsigned long)atomic_load(&p.b.counters.events_received));
    pair_down(&p);
}

static void own_events_do_not_come_back(void) {
    pair p;
    pair_up(&p, NULL);
    // Each sees the other's subscription and its own.
    link_nodes(&p.a, &p.a, "abi.");
    link_nodes(&p.b, &p.a, "abi.");
    node_await(&p.b, ZZ_SUBSCRIPTION, "abi.");
    publish(&p.a, "abi.first", 1);
    expect_event(&p.b, "abi.first", 1);
    // Through the same broker after the first, which would have come before.
    publish(&p.b, "abi.second", 2);
    expect_event(&p.a, "abi.second", 2);
    pair_down(&p);
}

static void subscriptions_match_prefixes(void) {
    pair p;
    pair_up(&p, NULL);
    link_nodes(&p.b, &p.a, "zeek.cluster.node.worker-1.");
    publish(&p.a, "zeek.cluster.node.worker-10.", 1);
    publish(&p.a, "zeek.cluster.node.worker-1", 2);
    publish(&p.a, "zeek.cluster.node.worker-1.", 3);
    publish(&p.a, "zeek.cluster.node.worker-1.more", 4);
    expect_event(&p.b, "zeek.cluster.node.worker-1.", 3);
    expect_event(&p.b, "zeek.cluster.node.worker-1.more", 4);
    pair_down(&p);
}

static void unsubscribing_ends_delivery(void) {
    pair p;
    pair_up(&p, NULL);
    link_nodes(&p.b, &p.a, "abi.x.");
    link_nodes(&p.b, &p.a, "abi.y.");
    publish(&p.a, "abi.x.", 1);
    expect_event(&p.b, "abi.x.", 1);
    unsubscribe(&p.b, "abi.x.");
    node_await(&p.a, ZZ_UNSUBSCRIPTION, "abi.x.");
    publish(&p.a, "abi.x.", 2);
    publish(&p.a, "abi.y.", 3);
    expect_event(&p.b, "abi.y.", 3);
    pair_down(&p);
}

static void a_stopped_node_unsubscribes(void) {
    pair p;
    pair_up(&p, NULL);
    link_nodes(&p.b, &p.a, "abi.id-b.");
    node_stop(&p.b);
    // The other node of this process lives on, and with it what they share.
    node_await(&p.a, ZZ_UNSUBSCRIPTION, "abi.id-b.");
    node_free(&p.b);
    node_up(&p.b, "node-b2", &p.hub, NULL);
    link_nodes(&p.b, &p.a, "abi.id-b2.");
    pair_down(&p);
}

static void what_is_queued_before_the_start_is_sent(void) {
    use_engine();
    broker hub;
    node a, b;
    broker_start(&hub, "500");
    node_up(&a, "a", &hub, NULL);
    node_new(&b, "b");
    subscribe(&b, "abi.early.");
    subscribe(&b, "abi.other.");
    unsubscribe(&b, "abi.other.");
    node_start(&b, &hub, NULL);
    node_await(&a, ZZ_SUBSCRIPTION, "abi.early.");
    publish(&a, "abi.early.", 1);
    expect_event(&b, "abi.early.", 1);
    node_stop(&b);
    node_stop(&a);
    broker_stop(&hub);
    node_free(&a);
    node_free(&b);
}

static void stopping_sends_what_is_queued(void) {
    pair p;
    pair_up(&p, NULL);
    link_nodes(&p.b, &p.a, "abi.");
    for ( uint64_t i = 0; i < 900; i++ )
        publish(&p.a, "abi.", i);
    node_stop(&p.a);
    for ( uint64_t i = 0; i < 900; i++ )
        expect_event(&p.b, "abi.", i);
    node_stop(&p.b);
    broker_stop(&p.hub);
    node_free(&p.a);
    node_free(&p.b);
    expect_no_handles();
}

static bool received_all(void* arg) {
    const node* n = arg;
    return atomic_load(&n->counters.events_received) + atomic_load(&n->counters.onloop_drops) >= 1000;
}

static void the_inbox_outlives_the_node(void) {
    options o = {0};
    option_add(&o, "xpub_sndhwm", "0");
    pair p;
    pair_up(&p, &o);
    link_nodes(&p.b, &p.a, "abi.");
    for ( uint64_t i = 0; i < 1000; i++ )
        publish(&p.a, "abi.", i);
    CHECK(wait_until(received_all, &p.b, 20000), "the events do not arrive");
    node_stop(&p.b);
    for ( uint64_t i = 0; i < 1000; i++ )
        expect_event(&p.b, "abi.", i);
    node_stop(&p.a);
    broker_stop(&p.hub);
    node_free(&p.a);
    node_free(&p.b);
}

static void a_full_inbox_drops_and_says_so_once(void) {
    options o = {0};
    option_add(&o, "onloop_queue_hwm", "100");
    option_add(&o, "xpub_sndhwm", "0");
    pair p;
    pair_up(&p, &o);
    link_nodes(&p.b, &p.a, "abi.");
    for ( uint64_t i = 0; i < 1000; i++ )
        publish(&p.a, "abi.", i);
    CHECK(wait_until(received_all, &p.b, 20000), "the events do not arrive");
    CHECK(atomic_load(&p.b.counters.onloop_drops) == 900 && atomic_load(&p.b.counters.events_received) == 100,
          "%lu dropped, %lu received; due were 900 and 100", (unsigned long)atomic_load(&p.b.counters.onloop_drops),
          (unsigned long)atomic_load(&p.b.counters.events_received));
    int warnings = 0, events = 0;
    for ( const zz_record* r; events < 100 || warnings == 0; node_done(&p.b, r) ) {
        r = node_next(&p.b, test_ms(10000));
        CHECK(r, "%d events and %d warnings came; due were 100 and 1", events, warnings);
        events += r->kind == ZZ_EVENT;
        if ( r->kind == ZZ_WARNING ) {
            warnings++;
            CHECK(memmem(zz_record_payload(r), r->payload_len, "onloop_queue_hwm", 16), "the warning says %.*s",
                  (int)r->payload_len, (const char*)zz_record_payload(r));
        }
    }
    CHECK(warnings == 1, "%d warnings", warnings);
    // There is room again.
    publish(&p.a, "abi.", 1000);
    expect_event(&p.b, "abi.", 1000);
    pair_down(&p);
}

static bool rejected_one(void* arg) { return atomic_load(&((node*)arg)->counters.invalid_events) == 1; }

static void an_invalid_event_never_arrives(void) {
    pair p;
    pair_up(&p, NULL);
    link_nodes(&p.b, &p.a, "abi.");
    publish(&p.a, "abi.", 1);
    publish_raw(&p.a, "abi.", "this is no event", 16);
    publish(&p.a, "abi.", 3);
    CHECK(wait_until(rejected_one, &p.b, 20000), "invalid_events is %lu",
          (unsigned long)atomic_load(&p.b.counters.invalid_events));
    bool told = false;
    for ( int events = 0; events < 2 || ! told; ) {
        const zz_record* r = node_next(&p.b, test_ms(20000));
        CHECK(r, "the other events or the error do not arrive");
        if ( r->kind == ZZ_EVENT ) {
            const uint64_t number = event_number(r);
            CHECK(number == (events == 0 ? 1 : 3), "event %lu", (unsigned long)number);
            events++;
        }
        told = told || r->kind == ZZ_ERROR;
        node_done(&p.b, r);
    }
    pair_down(&p);
}

static void a_large_event_fits(void) {
    pair p;
    pair_up(&p, NULL);
    link_nodes(&p.b, &p.a, "abi.");

    // As publish(), with a string of 10 MiB for the count: varuint 80 80 80 05.
    enum { TEXT = 10 << 20 };
    static const uint8_t head[] = {0x0e, 3,   2,   0,   0,   0,   0,    0,    0, 0,    1,    2,    0,
                                   0,    0,   0,   0,   0,   0,   1,    0x0e, 2, 5,    8,    'a',  'b',
                                   'i',  '_', 't', 'e', 's', 't', 0x0e, 1,    5, 0x80, 0x80, 0x80, 5};
    uint8_t* event = malloc(sizeof(head) + TEXT);
    memcpy(event, head, sizeof(head));
    memset(event + sizeof(head), 'x', TEXT);
    CHECK(publish_raw(&p.a, "abi.", event, sizeof(head) + TEXT), "push");
    const zz_record* r;
    while ( (r = node_next(&p.b, test_ms(20000))) && r->kind != ZZ_EVENT ) {
        CHECK(! is_error(r), "%.*s", (int)r->payload_len, (const char*)zz_record_payload(r));
        node_done(&p.b, r);
    }
    CHECK(r && r->payload_len == sizeof(head) + TEXT && memcmp(zz_record_payload(r), event, r->payload_len) == 0,
          "the event changed on its way");
    node_done(&p.b, r);
    free(event);
    pair_down(&p);
}

static void a_flood_arrives_whole(void) {
    options o = {0};
    option_add(&o, "xpub_sndhwm", "0");
    option_add(&o, "onloop_queue_hwm", "0");
    pair p;
    pair_up(&p, &o);
    link_nodes(&p.b, &p.a, "abi.");
    const uint64_t n = test_count(300000);
    const double start = now_ms();
    for ( uint64_t i = 0; i < n; i++ )
        publish(&p.a, "abi.", i);
    const double published = now_ms();
    for ( uint64_t i = 0; i < n; i++ )
        expect_event(&p.b, "abi.", i);
    const double ms = now_ms() - start;
    test_note("%lu events: published in %.0f ms, received after %.0f ms (%.0f thousand/s)", (unsigned long)n,
              published - start, ms, (double)n / ms);
    CHECK(atomic_load(&p.hub.stats.frontend_messages_received) >= n &&
              atomic_load(&p.hub.stats.backend_messages_sent) >= n,
          "the broker counted %lu messages in, %lu out",
          (unsigned long)atomic_load(&p.hub.stats.frontend_messages_received),
          (unsigned long)atomic_load(&p.hub.stats.backend_messages_sent));
    pair_down(&p);
}

static void many_nodes_share_a_process(void) {
    enum { NODES = 12 };
    use_engine();
    broker hub;
    broker_start(&hub, "500");
    static node nodes[NODES];
    for ( int i = 0; i < NODES; i++ ) {
        char id[32];
        snprintf(id, sizeof(id), "node-%d", i);
        node_up(&nodes[i], id, &hub, NULL);
    }
    CHECK(handles_open() == NODES + 1, "%d handles are open", handles_open());
    for ( int i = 1; i < NODES; i++ ) {
        char topic[32];
        snprintf(topic, sizeof(topic), "abi.%d.", i);
        subscribe(&nodes[i], "abi.all.");
        link_nodes(&nodes[i], &nodes[0], topic);
    }
    publish(&nodes[0], "abi.all.", 7);
    for ( int i = 1; i < NODES; i++ ) {
        char topic[32];
        snprintf(topic, sizeof(topic), "abi.%d.", i);
        publish(&nodes[0], topic, (uint64_t)i);
        expect_event(&nodes[i], "abi.all.", 7);
        expect_event(&nodes[i], topic, (uint64_t)i);
    }
    for ( int i = 0; i < NODES; i++ ) {
        node_stop(&nodes[i]);
        node_free(&nodes[i]);
    }
    broker_stop(&hub);
    expect_no_handles();
}

static void connections_are_monitored(void) {
    use_engine();
    broker hub;
    node a;
    broker_start(&hub, "500");
    node_up(&a, "a", &hub, NULL);
    subscribe(&a, "abi.");
    node_await(&a, ZZ_SUBSCRIPTION, "abi."); // passes over what the monitors said
    node_stop(&a);
    node_free(&a);

    node_up(&a, "a2", &hub, NULL);
    const double deadline = now_ms() + test_ms(20000);
    for ( bool shaken = false; ! shaken; ) {
        CHECK(now_ms() < deadline, "no monitoring event 0x1000 (handshake succeeded) arrived");
        const zz_record* r = zz_queue_peek(&a.ch->inbox);
        if ( ! r ) {
            poll(NULL, 0, 1);
            continue;
        }
        if ( r->kind == ZZ_MONITOR ) {
            uint32_t numbers[2];
            CHECK(r->payload_len == sizeof(numbers), "a monitoring event of %u bytes", r->payload_len);
            memcpy(numbers, zz_record_payload(r), sizeof(numbers));
            CHECK(r->topic_len > 6 && memcmp(zz_record_topic(r), "tcp://", 6) == 0, "a monitoring event of %.*s",
                  (int)r->topic_len, (const char*)zz_record_topic(r));
            shaken = numbers[0] == 0x1000;
        }
        zz_queue_consume(&a.ch->inbox, r);
    }
    node_stop(&a);
    node_free(&a);
    broker_stop(&hub);
}

// ---- Logs ----

enum { BATCHES = 600 };

// Takes one log batch if there is one; counts it in seen[]. False if none came.
static bool take_log(node* n, int* seen, int ms) {
    const zz_record* r = node_next(n, ms);
    if ( ! r )
        return false;
    if ( r->kind == ZZ_LOG ) {
        char path[32];
        log_path(r, path, sizeof(path));
        const int number = atoi(path);
        CHECK(number >= 0 && number < BATCHES, "path %s", path);
        CHECK(r->format_len == 19 && memcmp(zz_record_format(r), "zeek-bin-serializer", 19) == 0, "format %.*s",
              r->format_len, (const char*)zz_record_format(r));
        seen[number]++;
    }
    else
        CHECK(! is_error(r), "node %s: %.*s", n->id, (int)r->payload_len, (const char*)zz_record_payload(r));
    const bool log = r->kind == ZZ_LOG;
    node_done(n, r);
    return log || take_log(n, seen, ms);
}

static void send_logs(node* n) {
    for ( int i = 0; i < BATCHES; i++ ) {
        char path[32];
        snprintf(path, sizeof(path), "%d", i);
        send_log(n, path);
    }
}

static void two_loggers_share_the_logs(void) {
    use_engine();
    broker hub;
    node worker, loggers[2];
    char endpoints[2][ENDPOINT];
    broker_start(&hub, "500");
    options to_loggers = {0};
    for ( int i = 0; i < 2; i++ ) {
        options o = {0};
        free_endpoint(endpoints[i]);
        option_add(&o, "listen_log_endpoint", endpoints[i]);
        option_add(&to_loggers, "connect_log_endpoints", endpoints[i]);
        node_up(&loggers[i], i ? "logger-2" : "logger-1", &hub, &o);
    }
    node_up(&worker, "worker", &hub, &to_loggers);
    send_logs(&worker);

    static int seen[2][BATCHES];
    int counts[2] = {0, 0};
    const double deadline = now_ms() + test_ms(20000);
    while ( counts[0] + counts[1] < BATCHES ) {
        CHECK(now_ms() < deadline, "%d + %d of %d batches arrived", counts[0], counts[1], BATCHES);
        for ( int i = 0; i < 2; i++ ) {
            while ( take_log(&loggers[i], seen[i], 1) )
                counts[i]++;
        }
    }
    for ( int i = 0; i < BATCHES; i++ )
        CHECK(seen[0][i] + seen[1][i] == 1, "batch %d arrived %d times", i, seen[0][i] + seen[1][i]);
    CHECK(counts[0] >= BATCHES / 4 && counts[1] >= BATCHES / 4, "the loggers got %d and %d batches", counts[0],
          counts[1]);
    test_note("%d batches: %d and %d", BATCHES, counts[0], counts[1]);
    CHECK(atomic_load(&worker.counters.logs_sent) == BATCHES, "logs_sent %lu",
          (unsigned long)atomic_load(&worker.counters.logs_sent));

    node_stop(&worker);
    node_free(&worker);
    for ( int i = 0; i < 2; i++ ) {
        node_stop(&loggers[i]);
        node_free(&loggers[i]);
    }
    broker_stop(&hub);
    expect_no_handles();
}

static void a_node_logs_to_itself(void) {
    use_engine();
    broker hub;
    node manager;
    char endpoint[ENDPOINT];
    broker_start(&hub, "500");
    free_endpoint(endpoint);
    options o = {0};
    option_add(&o, "listen_log_endpoint", endpoint);
    option_add(&o, "connect_log_endpoints", endpoint);
    node_up(&manager, "manager", &hub, &o);
    send_logs(&manager);
    static int seen[BATCHES];
    for ( int i = 0; i < BATCHES; i++ )
        CHECK(take_log(&manager, seen, test_ms(20000)), "only %d of %d batches arrived", i, BATCHES);
    node_stop(&manager);
    node_free(&manager);
    broker_stop(&hub);
}

static void logs_queued_at_the_stop_are_sent(void) {
    use_engine();
    broker hub;
    node worker, logger;
    char endpoint[ENDPOINT];
    broker_start(&hub, "500");
    free_endpoint(endpoint);
    options listen = {0}, connect = {0};
    option_add(&listen, "listen_log_endpoint", endpoint);
    option_add(&connect, "connect_log_endpoints", endpoint);
    node_up(&logger, "logger", &hub, &listen);
    node_up(&worker, "worker", &hub, &connect);
    send_logs(&worker);
    node_stop(&worker);
    node_free(&worker);
    static int seen[BATCHES];
    for ( int i = 0; i < BATCHES; i++ )
        CHECK(take_log(&logger, seen, test_ms(20000)), "only %d of %d batches arrived", i, BATCHES);
    node_stop(&logger);
    node_free(&logger);
    broker_stop(&hub);
}

static void a_node_without_logs_listens_to_none(void) {
    use_engine();
    broker hub;
    node client, logger;
    char endpoint[ENDPOINT];
    broker_start(&hub, "500");
    free_endpoint(endpoint);
    options o = {0};
    option_add(&o, "listen_log_endpoint", endpoint);
    node_new(&client, "websocket-client");
    client.ch->flags = ZZ_NODE_NO_LOGS;
    node_start(&client, &hub, &o);
    node_up(&logger, "logger", &hub, &o); // the port is still free
    link_nodes(&client, &logger, "abi.");
    publish(&logger, "abi.", 1);
    expect_event(&client, "abi.", 1);
    node_stop(&logger);
    node_stop(&client);
    node_free(&logger);
    node_free(&client);
    broker_stop(&hub);
}

// ---- What goes wrong ----

// due: the result, or 0 for either ZEEKZMQ_EOPTION or ZEEKZMQ_EENDPOINT, since
// some endpoints are seen to be wrong before anybody tries them.
static void expect_start_error(const options* o, int32_t due, const char* const* texts) {
    node n;
    node_new(&n, "a-node");
    char err[ERR] = "";
    const int32_t rc = node_try_start(&n, NULL, o, err);
    CHECK(rc == due || (due == 0 && (rc == ZEEKZMQ_EOPTION || rc == ZEEKZMQ_EENDPOINT)),
          "%s: result %d, text \"%s\"; due was %d", o->n ? o->list[0].name : "no option", rc, err, due);
    for ( ; *texts; texts++ )
        CHECK(strstr(err, *texts), "the text says \"%s\"; \"%s\" was due in it", err, *texts);
    CHECK(strchr(err, '\n') == NULL, "the text has more than one line: \"%s\"", err);
    CHECK(n.handle == 0, "a failed start set a handle");
    node_free(&n);
}

static void bad_values_are_named(void) {
    use_engine();
    static const char* const bad[][2] = {
        {"linger_ms", "-2"},          {"linger_ms", "soon"},       {"linger_ms", ""},
        {"linger_ms", "5 "},          {"xpub_sndhwm", "-1"},       {"log_rcvhwm", "99999999999"},
        {"connect_xpub_nodrop", "1"}, {"poll_max_messages", "-1"}, {"proxy_io_threads", "0"},
        {"debug_flags", "0x10"},      {"onloop_queue_hwm", "1e3"}, {"ipv6", "yes"},
    };
    for ( size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++ ) {
        char value[64];
        snprintf(value, sizeof(value), "\"%s\"", bad[i][1]);
        options o = {0};
        option_add(&o, bad[i][0], bad[i][1]);
        expect_start_error(&o, ZEEKZMQ_EOPTION, (const char*[]){bad[i][0], value, NULL});
    }
    expect_no_handles();
}

static void unknown_options_are_named(void) {
    use_engine();
    options o = {0};
    option_add(&o, "linger", "500");
    expect_start_error(&o, ZEEKZMQ_EOPTION, (const char*[]){"\"linger\"", NULL});

    uint64_t handle = 0;
    zz_broker_stats stats = {0};
    char err[ERR];
    const int32_t rc = zz_broker_start(o.list, o.n, &stats, &handle, test_ms(20000), err, sizeof(err));
    CHECK(rc == ZEEKZMQ_EOPTION && strstr(err, "\"linger\"") && handle == 0, "broker: %d %s", rc, err);
    expect_no_handles();
}

static void a_node_needs_an_id(void) {
    use_engine();
    node n;
    node_new(&n, "");
    char err[ERR] = "";
    const int32_t rc = node_try_start(&n, NULL, NULL, err);
    CHECK(rc == ZEEKZMQ_EOPTION && strstr(err, "node_id"), "result %d, text \"%s\"; due was %d and node_id", rc, err,
          ZEEKZMQ_EOPTION);
    node_free(&n);
}

static void secrets_stay_out_of_texts(void) {
    use_engine();
    options o = {0};
    option_add(&o, "curve_server_secretkey", "hunter2");
    node n;
    node_new(&n, "a");
    char err[ERR] = "";
    const int32_t rc = node_try_start(&n, NULL, &o, err);
    CHECK(rc == ZEEKZMQ_EOPTION && strstr(err, "curve_server_secretkey"), "result %d, text \"%s\"", rc, err);
    CHECK(! strstr(err, "hunter2"), "the text shows the key: %s", err);
    node_free(&n);
}

typedef struct base {
    int fds, threads;
} base;

static base measure(void) { return (base){count_fds(), count_threads()}; }

static bool is_back(void* arg) {
    const base* b = arg;
    return count_fds() <= b->fds && count_threads() <= b->threads;
}

// Descriptors and threads return to what they were, give or take the threads
// that the Go runtime keeps for later.
static void expect_back(base b, int spare_threads, const char* after) {
    b.threads += spare_threads;
    CHECK(wait_until(is_back, &b, 10000), "%s: %d descriptors, %d threads; before: %d and %d", after, count_fds(),
          count_threads(), b.fds, b.threads - spare_threads);
}

// A node and a broker come and go, so that the runtime has what it keeps.
static void warm_up(void) {
    for ( int i = 0; i < 5; i++ ) {
        broker hub;
        node n;
        broker_start(&hub, "500");
        node_up(&n, "warm-up", &hub, NULL);
        link_nodes(&n, &n, "abi.");
        node_stop(&n);
        node_free(&n);
        broker_stop(&hub);
    }
}

static void expect_broker_refused(const char* xpub, const char* xsub, const char* option, const char* endpoint) {
    options o = {0};
    option_add(&o, "listen_xpub_endpoint", xpub);
    option_add(&o, "listen_xsub_endpoint", xsub);
    uint64_t handle = 0;
    zz_broker_stats stats = {0};
    char err[ERR];
    const int32_t rc = zz_broker_start(o.list, o.n, &stats, &handle, test_ms(20000), err, sizeof(err));
    CHECK(rc == ZEEKZMQ_EENDPOINT && handle == 0, "result %d, text \"%s\"", rc, err);
    CHECK(strstr(err, option) && strstr(err, endpoint) && strcasestr(err, "address already in use"),
          "the text says \"%s\"; %s, %s and the reason were due in it", err, option, endpoint);
}

static void a_port_in_use_is_named_and_leaves_nothing(void) {
    use_engine();
    warm_up();
    char taken[ENDPOINT], other[ENDPOINT];
    occupy_endpoint(taken);
    const base before = measure();
    for ( int i = 0; i < 10; i++ ) {
        free_endpoint(other);
        options o = {0};
        option_add(&o, "listen_log_endpoint", taken);
        expect_start_error(&o, ZEEKZMQ_EENDPOINT,
                           (const char*[]){"listen_log_endpoint", taken, "ddress already in use", NULL});
        expect_broker_refused(taken, other, "listen_xpub_endpoint", taken);
        expect_broker_refused(other, taken, "listen_xsub_endpoint", taken);
    }
    expect_no_handles();
    expect_back(before, 3, "after 30 failed starts");
}

static void a_second_broker_is_refused(void) {
    use_engine();
    broker hub;
    broker_start(&hub, "500");
    char other[ENDPOINT];
    free_endpoint(other);
    expect_broker_refused(hub.xpub, other, "listen_xpub_endpoint", hub.xpub);
    expect_broker_refused(other, hub.xsub, "listen_xsub_endpoint", hub.xsub);
    // The first is none the worse.
    node a, b;
    node_up(&a, "a", &hub, NULL);
    node_up(&b, "b", &hub, NULL);
    link_nodes(&b, &a, "abi.");
    publish(&a, "abi.", 1);
    expect_event(&b, "abi.", 1);
    node_stop(&a);
    node_stop(&b);
    broker_stop(&hub);
    node_free(&a);
    node_free(&b);
    expect_no_handles();
}

static void a_stopped_broker_frees_its_ports(void) {
    use_engine();
    broker hub;
    node a, b;
    broker_start(&hub, "500");
    node_up(&a, "a", &hub, NULL);
    node_up(&b, "b", &hub, NULL);
    for ( uint64_t i = 0; i < 5; i++ ) {
        char topic[32], err[ERR];
        snprintf(topic, sizeof(topic), "abi.%lu.", (unsigned long)i);
        link_nodes(&b, &a, topic);
        publish(&a, topic, i);
        expect_event(&b, topic, i);
        broker_stop(&hub);
        const int32_t rc = broker_start_at(&hub, "500", err); // the nodes come back by themselves
        CHECK(rc == ZEEKZMQ_OK, "start on the same endpoints: %d %s", rc, err);
    }
    node_stop(&a);
    node_stop(&b);
    broker_stop(&hub);
    node_free(&a);
    node_free(&b);
    expect_no_handles();
}

static void bad_endpoints_are_named(void) {
    use_engine();
    static const struct {
        const char* name;
        const char* value;
        int32_t due;
    } bad[] = {
        {"connect_xpub_endpoint", "nonsense", 0},
        {"connect_xpub_endpoint", "tcp://127.0.0.1", 0},
        {"connect_xsub_endpoint", "udp-but-not-really://1.2.3.4:5", 0},
        {"connect_log_endpoints", "tcp://127.0.0.1:http", 0},
        {"listen_log_endpoint", "tcp://127.0.0.1:99999", 0},
        {"listen_log_endpoint", "tcp://192.0.2.1:5555", ZEEKZMQ_EENDPOINT}, // not an address of this machine
    };
    for ( size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++ ) {
        options o = {0};
        option_add(&o, bad[i].name, bad[i].value);
        expect_start_error(&o, bad[i].due, (const char*[]){bad[i].name, bad[i].value, NULL});
    }
    expect_no_handles();
}

static void a_failed_start_leaves_the_channel_usable(void) {
    use_engine();
    broker hub;
    node a, b;
    broker_start(&hub, "500");
    node_up(&a, "a", &hub, NULL);
    node_new(&b, "b");
    subscribe(&b, "abi.kept.");
    char taken[ENDPOINT], err[ERR];
    const int fd = occupy_endpoint(taken);
    options o = {0};
    option_add(&o, "listen_log_endpoint", taken);
    CHECK(node_try_start(&b, &hub, &o, err) == ZEEKZMQ_EENDPOINT, "%s", err);
    CHECK(zz_queue_depth(&b.ch->events_out, ZZ_CLASS_CONTROL) == 1 && ! zz_queue_peek(&b.ch->inbox),
          "the channel was touched");
    close(fd);
    node_start(&b, &hub, &o);
    node_await(&a, ZZ_SUBSCRIPTION, "abi.kept.");
    node_stop(&a);
    node_stop(&b);
    broker_stop(&hub);
    node_free(&a);
    node_free(&b);
    expect_no_handles();
}

static void expect_no_handle(int32_t (*stop)(uint64_t, int, char*, size_t), uint64_t handle, const char* what) {
    char err[ERR] = "";
    const int32_t rc = stop(handle, test_ms(20000), err, sizeof(err));
    CHECK(rc == ZEEKZMQ_EHANDLE && err[0], "%s: result %d, text \"%s\"", what, rc, err);
}

static void stopping_twice_is_told(void) {
    use_engine();
    // Before anything was started.
    expect_no_handle(zz_node_stop, 1, "stop of a node without a start");
    expect_no_handle(zz_broker_stop, 1, "stop of a broker without a start");
    expect_no_handle(zz_node_stop, 0, "stop of handle 0");

    broker hub;
    node n;
    broker_start(&hub, "500");
    node_up(&n, "a", &hub, NULL);
    expect_no_handle(zz_node_stop, n.handle + hub.handle + 1000, "stop of an unknown handle");
    const uint64_t node_handle = n.handle, broker_handle = hub.handle;
    node_stop(&n);
    expect_no_handle(zz_node_stop, node_handle, "second stop of a node");
    broker_stop(&hub);
    expect_no_handle(zz_broker_stop, broker_handle, "second stop of a broker");
    node_free(&n);

    // Handles are not used again.
    broker_start(&hub, "500");
    node_up(&n, "a", &hub, NULL);
    CHECK(n.handle != node_handle && n.handle != broker_handle, "handle %lu was given twice", (unsigned long)n.handle);
    expect_no_handle(zz_node_stop, node_handle, "late second stop of a node");
    node_stop(&n);
    node_free(&n);
    broker_stop(&hub);
    expect_no_handles();
}

static void a_handle_is_of_one_kind(void) {
    use_engine();
    broker hub;
    node n;
    broker_start(&hub, "500");
    node_up(&n, "a", &hub, NULL);
    expect_no_handle(zz_node_stop, hub.handle, "stop of a broker as a node");
    expect_no_handle(zz_broker_stop, n.handle, "stop of a node as a broker");
    node_stop(&n);
    broker_stop(&hub);
    node_free(&n);
}

static void a_node_without_a_broker_ends_in_time(void) {
    use_engine();
    char nowhere[ENDPOINT];
    free_endpoint(nowhere);
    options o = {0};
    option_add(&o, "connect_xpub_endpoint", nowhere);
    option_add(&o, "connect_xsub_endpoint", nowhere);
    option_add(&o, "connect_log_endpoints", nowhere);
    option_add(&o, "linger_ms", "500");
    node n;
    node_up(&n, "alone", NULL, &o);
    subscribe(&n, "abi.");
    for ( uint64_t i = 0; i < 100; i++ )
        publish(&n, "abi.", i);
    send_log(&n, "lost");
    const double start = now_ms();
    node_stop(&n);
    const double took = now_ms() - start;
    CHECK(took < test_ms(1500), "the stop took %.0f ms with a linger_ms of 500", took);
    test_note("stop with unsent messages and linger_ms 500: %.0f ms", took);
    node_free(&n);
    expect_no_handles();
}

static void rounds_leave_nothing_behind(void) {
    use_engine();
    warm_up();
    const base before = measure();
    const int rounds = (int)test_count(100);
    const double start = now_ms();
    for ( int i = 0; i < rounds; i++ ) {
        pair p;
        broker_start(&p.hub, "500");
        node_up(&p.a, "a", &p.hub, NULL);
        node_up(&p.b, "b", &p.hub, NULL);
        link_nodes(&p.b, &p.a, "abi.");
        publish(&p.a, "abi.", (uint64_t)i);
        expect_event(&p.b, "abi.", (uint64_t)i);
        pair_down(&p);
    }
    const double ms = now_ms() - start;
    expect_back(before, 3, "after the rounds");
    test_note("%d rounds of broker and two nodes: %.1f ms each; descriptors %d -> %d, threads %d -> %d", rounds,
              ms / rounds, before.fds, count_fds(), before.threads, count_threads());
}

static const test tests[] = {
    {"host_events_arrive_in_order", events_arrive_in_order, 0},
    {"host_own_events_do_not_come_back", own_events_do_not_come_back, 0},
    {"host_subscriptions_match_prefixes", subscriptions_match_prefixes, 0},
    {"host_unsubscribing_ends_delivery", unsubscribing_ends_delivery, 0},
    {"host_stopped_node_unsubscribes", a_stopped_node_unsubscribes, 0},
    {"host_what_is_queued_before_the_start_is_sent", what_is_queued_before_the_start_is_sent, 0},
    {"host_stopping_sends_what_is_queued", stopping_sends_what_is_queued, 0},
    {"host_inbox_outlives_the_node", the_inbox_outlives_the_node, 0},
    {"host_full_inbox_drops_and_says_so_once", a_full_inbox_drops_and_says_so_once, 0},
    {"host_invalid_event_never_arrives", an_invalid_event_never_arrives, 0},
    {"host_large_event_fits", a_large_event_fits, 0},
    {"host_flood_arrives_whole", a_flood_arrives_whole, 120},
    {"host_many_nodes_share_a_process", many_nodes_share_a_process, 0},
    {"host_connections_are_monitored", connections_are_monitored, 0},
    {"host_two_loggers_share_the_logs", two_loggers_share_the_logs, 0},
    {"host_node_logs_to_itself", a_node_logs_to_itself, 0},
    {"host_logs_queued_at_the_stop_are_sent", logs_queued_at_the_stop_are_sent, 0},
    {"host_node_without_logs_listens_to_none", a_node_without_logs_listens_to_none, 0},
    {"host_bad_values_are_named", bad_values_are_named, 0},
    {"host_unknown_options_are_named", unknown_options_are_named, 0},
    {"host_node_needs_an_id", a_node_needs_an_id, 0},
    {"host_secrets_stay_out_of_texts", secrets_stay_out_of_texts, 0},
    {"host_port_in_use_is_named_and_leaves_nothing", a_port_in_use_is_named_and_leaves_nothing, 0},
    {"host_second_broker_is_refused", a_second_broker_is_refused, 0},
    {"host_stopped_broker_frees_its_ports", a_stopped_broker_frees_its_ports, 0},
    {"host_bad_endpoints_are_named", bad_endpoints_are_named, 0},
    {"host_failed_start_leaves_the_channel_usable", a_failed_start_leaves_the_channel_usable, 0},
    {"host_stopping_twice_is_told", stopping_twice_is_told, 0},
    {"host_handle_is_of_one_kind", a_handle_is_of_one_kind, 0},
    {"host_node_without_a_broker_ends_in_time", a_node_without_a_broker_ends_in_time, 0},
    {"host_rounds_leave_nothing_behind", rounds_leave_nothing_behind, 180},
};

int main(int argc, char** argv) { return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0])); }
