/* SPDX-License-Identifier: BSD-3-Clause
 *
 * host.h - what a host of the engine does, for the tests: start brokers and
 * nodes, publish, and take from the inbox as an IOSource of Zeek's main loop
 * does. Whatever cannot be done ends the test as failed, unless a function
 * says otherwise. All of it on the main thread.
 */
#ifndef ZEEKZMQ_TESTS_HOST_H
#define ZEEKZMQ_TESTS_HOST_H

#include "check.h"
#include "loader.h"

enum { ERR = 8192, MAX_OPTIONS = 32, ENDPOINT = 64 };

/* Points the loader to the engine that ZEEKZMQ_LIBRARY names, or skips the
 * test if there is none. */
void use_engine(void);

/* zz_open_handles(). */
int handles_open(void);

/* ---- Options ---- */

typedef struct options {
    zeekzmq_option list[MAX_OPTIONS];
    size_t n;
} options;

void option_add(options* o, const char* name, const char* value);

/* ---- Addresses ---- */

/* "tcp://127.0.0.1:PORT" with a port, chosen at random, that was free a moment
 * ago. */
void free_endpoint(char* out);

/* Listens on a TCP port of the loopback address and returns the descriptor. */
int occupy_endpoint(char* out);

/* ---- Broker ---- */

typedef struct broker {
    uint64_t handle;
    zz_broker_stats stats;
    char xpub[ENDPOINT]; /* listen_xpub_endpoint: nodes' XSUB connect here */
    char xsub[ENDPOINT]; /* listen_xsub_endpoint: nodes' XPUB connect here */
} broker;

/* On free ports of the loopback address. */
void broker_start(broker* b, const char* linger_ms);
void broker_stop(broker* b);

/* On the endpoints in b. The result and text of zz_broker_start(). */
int32_t broker_start_at(broker* b, const char* linger_ms, char* err);

/* ---- Node ---- */

typedef struct node {
    uint64_t handle; /* 0: not started */
    zz_channel* ch;
    zz_counters counters;
    char id[64];
    int linger_ms;
    int fatal; /* ZZ_FATAL records seen by node_next() */
} node;

/* Makes a node's channel; what is queued before node_start() is sent after. */
void node_new(node* n, const char* id);

/* Starts it, connected to b. More options may be in o, which may be NULL. The
 * result and text of zz_node_start(). */
int32_t node_try_start(node* n, const broker* b, const options* o, char* err);
void node_start(node* n, const broker* b, const options* o);

/* node_new() and node_start(). */
void node_up(node* n, const char* id, const broker* b, const options* o);

void node_stop(node* n);
void node_free(node* n);

void subscribe(node* n, const char* topic);
void unsubscribe(node* n, const char* topic);

/* Topic and payload of an event with any content; the format is right. */
bool publish_raw(node* n, const char* topic, const void* payload, size_t size);

/* An event "abi_test" with one count, in the format that the engine checks. */
void publish(node* n, const char* topic, uint64_t number);

/* The number in an event of publish(). */
uint64_t event_number(const zz_record* r);

/* A log batch with no records that passes the engine's check, told apart by
 * its path. Wakes the engine. */
void send_log(node* n, const char* path);

/* Copies the path of a batch of send_log(). */
void log_path(const zz_record* r, char* out, size_t size);

/* The oldest record in the inbox, waiting for one up to ms milliseconds as
 * Zeek's main loop does; NULL if none came. ZZ_SKIP and ZZ_MONITOR records are
 * passed over. Consume it with node_done(). */
const zz_record* node_next(node* n, int ms);
void node_done(node* n, const zz_record* r);

/* Takes records until one of that kind and topic comes (NULL: any topic) and
 * consumes it too; fails the test after a generous time. Errors and fatal
 * records that come instead fail the test. */
void node_await(node* n, uint16_t kind, const char* topic);

/* Subscribes to topic and waits until publisher has seen it. */
void link_nodes(node* subscriber, node* publisher, const char* topic);

/* ZZ_ERROR or ZZ_FATAL. */
bool is_error(const zz_record* r);

bool record_is(const zz_record* r, uint16_t kind, const char* topic);

#endif
