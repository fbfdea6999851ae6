// SPDX-License-Identifier: BSD-3-Clause
//
// A node of the demo's cluster where there is no Zeek: what the plugin does in
// Zeek's process, a C program does here, through the same C boundary. It does
// what zeek/demo.zeek does there, with packets in place of connections.
//
//   node NAME [CAPTURE]   a node of the cluster; a worker reads the capture
//   node alone CAPTURE    no cluster: writes what the workers log to packets.log
//
// Where to connect is in the environment, see main(). Ends on SIGTERM. Lines on
// stdout that start with "demo" are for the program that runs the demo.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#include "loader.h"

enum {
    NODES = 6,
    WORKERS = 2,
    LOGGERS = 2,
    QUESTIONS = 1000, // as in the program that runs the demo
    WINDOW = 20,      // questions without an answer
    BATCH_ROWS = 50,
    PACKETS_PER_ROUND = 200,
    PAUSE_MS = 15,           // between them, so that there is something to watch
    RECORDS_PER_ROUND = 512, // as the plugin
    START_MS = 20000,
    STOP_MS = 8000,
};

static void die(const char* format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(1);
}

static void tell(const char* format, ...) {
    va_list args;
    va_start(args, format);
    printf("demo ");
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// ---- Bytes to send ----

typedef struct buffer {
    uint8_t* data;
    size_t size, capacity;
} buffer;

static void put(buffer* b, const void* p, size_t n) {
    if ( b->size + n > b->capacity ) {
        b->capacity = 2 * (b->size + n);
        b->data = realloc(b->data, b->capacity);
        if ( ! b->data )
            die("out of memory");
    }
    memcpy(b->data + b->size, p, n);
    b->size += n;
}

static void put_number(buffer* b, uint64_t v, int bytes) {
    uint8_t p[8];
    for ( int i = 0; i < bytes; i++ )
        p[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
    put(b, p, (size_t)bytes);
}

static uint64_t get_number(const uint8_t* p, int bytes) {
    uint64_t v = 0;
    for ( int i = 0; i < bytes; i++ )
        v = v << 8 | p[i];
    return v;
}

// ---- Events: format broker-bin-v1, with arguments of the types string and count ----

enum { TAG_COUNT = 2, TAG_STRING = 5, TAG_LIST = 14, MAX_ARGS = 3, MAX_TEXT = 128 };

static void put_count(buffer* b, uint64_t v) {
    put_number(b, TAG_COUNT, 1);
    put_number(b, v, 8);
}

static void put_string(buffer* b, const char* s) {
    const size_t n = strnlen(s, MAX_TEXT - 1); // below 128, a length is one byte
    put_number(b, TAG_STRING, 1);
    put_number(b, n, 1);
    put(b, s, n);
}

static void put_list(buffer* b, size_t n) {
    put_number(b, TAG_LIST, 1);
    put_number(b, n, 1);
}

typedef struct event {
    char name[MAX_TEXT];
    size_t n;
    struct {
        char text[MAX_TEXT];
        uint64_t number;
    } args[MAX_ARGS];
} event;

// Reads one value; NULL if there is another type or too little.
static const uint8_t* get_string(const uint8_t* p, const uint8_t* end, char* out) {
    if ( ! p || end - p < 2 || p[0] != TAG_STRING || p[1] >= MAX_TEXT || end - p < 2 + p[1] )
        return NULL;
    memcpy(out, p + 2, p[1]);
    out[p[1]] = '\0';
    return p + 2 + p[1];
}

static const uint8_t* get_count(const uint8_t* p, const uint8_t* end, uint64_t* out) {
    if ( ! p || end - p < 9 || p[0] != TAG_COUNT )
        return NULL;
    *out = get_number(p + 1, 8);
    return p + 9;
}

static const uint8_t* get_list(const uint8_t* p, const uint8_t* end, size_t* n) {
    if ( ! p || end - p < 2 || p[0] != TAG_LIST )
        return NULL;
    *n = p[1];
    return p + 2;
}

static bool get_event(const zz_record* r, event* e) {
    const uint8_t* p = zz_record_payload(r);
    const uint8_t* end = p + r->payload_len;
    size_t parts = 0;
    uint64_t version = 0, kind = 0;
    p = get_list(p, end, &parts);
    p = get_count(p, end, &version);
    p = get_count(p, end, &kind);
    p = get_list(p, end, &parts);
    p = get_string(p, end, e->name);
    p = get_list(p, end, &e->n);
    if ( ! p || version != 1 || kind != 1 || e->n > MAX_ARGS )
        return false;
    for ( size_t i = 0; p && i < e->n; i++ ) {
        e->args[i].text[0] = '\0';
        e->args[i].number = 0;
        p = p < end && p[0] == TAG_COUNT ? get_count(p, end, &e->args[i].number) : get_string(p, end, e->args[i].text);
    }
    return p == end;
}

// ---- This node ----

static char name[64];
static char role[64]; // the name up to "-"
static char id[128];
static zz_counters counters;
static zz_channel* channel;

static const char nodeid_topic[] = "zeek.cluster.nodeid.";
static const char role_topic[] = "zeek.cluster.";

static void push(zz_queue* q, uint16_t kind, const char* topic, const char* format, const buffer* b) {
    if ( ! zz_queue_push(q, kind, topic, strlen(topic), format, strlen(format), b ? b->data : NULL, b ? b->size : 0) )
        die("cannot queue for %s: %s", topic, strerror(errno));
    zz_waker_wake(&channel->engine_waker);
}

// Types: one letter per argument that follows, s for a string, c for a count
// (an unsigned long).
static void publish(const char* topic, const char* what, const char* types, ...) {
    static buffer b;
    b.size = 0;
    put_list(&b, 3);
    put_count(&b, 1); // version
    put_count(&b, 1); // kind: event
    put_list(&b, 2);
    put_string(&b, what);
    put_list(&b, strlen(types));
    va_list args;
    va_start(args, types);
    for ( const char* t = types; *t; t++ ) {
        if ( *t == 's' )
            put_string(&b, va_arg(args, const char*));
        else
            put_count(&b, va_arg(args, unsigned long));
    }
    va_end(args);
    push(&channel->events_out, ZZ_EVENT, topic, "broker-bin-v1", &b);
}

// ---- Who is there: the handshake of Zeek's nodes ----

typedef struct peer {
    char id[MAX_TEXT];
    char name[MAX_TEXT];
    bool subscribed, greeted, up;
} peer;

static peer peers[NODES];
static int n_peers;

// The peer with that id, a new one if need be; NULL if there are too many.
static peer* find_peer(const char* peer_id) {
    for ( int i = 0; i < n_peers; i++ )
        if ( strcmp(peers[i].id, peer_id) == 0 )
            return &peers[i];

    if ( n_peers == NODES )
        return NULL;
    peer* p = &peers[n_peers++];
    snprintf(p->id, sizeof(p->id), "%s", peer_id);
    return p;
}

static void publish_to(const peer* p, const char* what) {
    char topic[sizeof(nodeid_topic) + MAX_TEXT + 1];
    snprintf(topic, sizeof(topic), "%s%s.", nodeid_topic, p->id);
    publish(topic, what, "ss", name, id);
}

static void saw_sign(peer* p, bool subscription, bool hello) {
    const bool before = p->subscribed && p->greeted;
    p->subscribed |= subscription;
    p->greeted |= hello;
    if ( ! before && p->subscribed && p->greeted )
        publish_to(p, "Cluster::hello");
}

// The peer whose own topic this is, or NULL.
static peer* peer_of_topic(const zz_record* r) {
    const size_t before = sizeof(nodeid_topic) - 1;
    const char* topic = (const char*)zz_record_topic(r);
    char peer_id[MAX_TEXT];
    if ( r->topic_len <= before + 1 || r->topic_len - before - 1 >= sizeof(peer_id) ||
         memcmp(topic, nodeid_topic, before) != 0 )
        return NULL;
    snprintf(peer_id, sizeof(peer_id), "%.*s", (int)(r->topic_len - before - 1), topic + before);
    return strcmp(peer_id, id) == 0 ? NULL : find_peer(peer_id);
}

// ---- Logs: format zeek-bin-serializer ----

enum { LOG_COUNT = 3, LOG_TIME = 5, LOG_STRING = 7, LOG_ADDR = 11 };

static const struct {
    const char* name;
    int type;
} columns[] = {
    {"ts", LOG_TIME},     {"src", LOG_ADDR},     {"src_p", LOG_COUNT}, {"dst", LOG_ADDR},
    {"dst_p", LOG_COUNT}, {"proto", LOG_STRING}, {"bytes", LOG_COUNT},
};
enum { COLUMNS = sizeof(columns) / sizeof(columns[0]) };

typedef struct packet {
    double ts;
    int family; // AF_INET or AF_INET6
    uint8_t src[16], dst[16];
    uint16_t src_p, dst_p;
    const char* proto;
    uint32_t bytes;
} packet;

static void put_text(buffer* b, const char* s) {
    put_number(b, strlen(s), 4);
    put(b, s, strlen(s));
}

// Starts a batch; the number of its rows is at the offset returned.
static size_t begin_batch(buffer* b) {
    b->size = 0;
    put_text(b, "Demo::LOG");
    put_text(b, "Log::WRITER_ASCII");
    put_text(b, "default");
    put_text(b, "packets");
    put_number(b, COLUMNS, 4);
    for ( int i = 0; i < COLUMNS; i++ ) {
        put_number(b, 0, 1); // no second name
        put_text(b, columns[i].name);
        put_number(b, (uint64_t)columns[i].type, 4);
        put_number(b, 0, 4);
        put_number(b, 0, 1); // not optional
    }
    put_number(b, 0, 4);
    return b->size - 4;
}

static void put_head(buffer* b, int column) {
    put_number(b, (uint64_t)columns[column].type, 4);
    put_number(b, 0, 4);
    put_number(b, 1, 1); // present
}

static void put_addr(buffer* b, int column, int family, const uint8_t* a) {
    put_head(b, column);
    put_number(b, family == AF_INET ? 4 : 6, 1);
    put(b, a, family == AF_INET ? 4 : 16);
}

static void put_row(buffer* b, const packet* p) {
    uint64_t bits;
    memcpy(&bits, &p->ts, sizeof(bits));
    put_head(b, 0);
    put_number(b, bits, 8);
    put_addr(b, 1, p->family, p->src);
    put_head(b, 2);
    put_number(b, p->src_p, 8);
    put_addr(b, 3, p->family, p->dst);
    put_head(b, 4);
    put_number(b, p->dst_p, 8);
    put_head(b, 5);
    put_text(b, p->proto);
    put_head(b, 6);
    put_number(b, p->bytes, 8);
}

// A part of a batch still to be read. Too little makes p NULL.
typedef struct span {
    const uint8_t *p, *end;
} span;

static const uint8_t* take(span* s, size_t n) {
    const uint8_t* at = s->p;
    if ( ! at || (size_t)(s->end - at) < n )
        return s->p = NULL;
    s->p += n;
    return at;
}

static uint64_t take_number(span* s, int bytes) {
    const uint8_t* p = take(s, (size_t)bytes);
    return p ? get_number(p, bytes) : 0;
}

static bool take_text(span* s, char* out, size_t size) {
    const uint64_t n = take_number(s, 4);
    const uint8_t* p = take(s, n);
    if ( ! p || n >= size )
        return false;
    memcpy(out, p, n);
    out[n] = '\0';
    return true;
}

// Appends a batch's rows to the log, as a logger does. False if the batch is
// malformed.
static bool write_batch(const uint8_t* data, size_t size, FILE** log) {
    span s = {data, data + size};
    char text[4][MAX_TEXT];
    for ( int i = 0; i < 4; i++ )
        if ( ! take_text(&s, text[i], MAX_TEXT) )
            return false;

    const uint64_t n_columns = take_number(&s, 4);
    char names[1024] = "#fields", types[1024] = "#types";
    for ( uint64_t i = 0; i < n_columns && i < COLUMNS; i++ ) {
        take(&s, 1);
        char column[MAX_TEXT];
        if ( ! take_text(&s, column, sizeof(column)) )
            return false;
        const uint64_t type = take_number(&s, 4);
        take(&s, 5);
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "\t%s", column);
        snprintf(types + strlen(types), sizeof(types) - strlen(types), "\t%s",
                 type == LOG_TIME  ? "time" :
                 type == LOG_ADDR  ? "addr" :
                 type == LOG_COUNT ? "count" :
                                     "string");
    }
    const uint64_t rows = take_number(&s, 4);
    if ( ! s.p || n_columns != COLUMNS || strcmp(text[3], "packets") != 0 )
        return false;

    if ( ! *log ) {
        *log = fopen("packets.log", "w");
        if ( ! *log )
            die("cannot write packets.log: %s", strerror(errno));
        fprintf(*log, "%s\n%s\n", names, types);
    }

    for ( uint64_t r = 0; r < rows; r++ ) {
        for ( uint64_t c = 0; c < n_columns; c++ ) {
            const uint64_t type = take_number(&s, 4);
            take(&s, 4);
            if ( take_number(&s, 1) != 1 )
                return false;
            char value[MAX_TEXT] = "-";
            if ( type == LOG_TIME ) {
                const uint64_t bits = take_number(&s, 8);
                double v;
                memcpy(&v, &bits, sizeof(v));
                snprintf(value, sizeof(value), "%.6f", v);
            }
            else if ( type == LOG_COUNT )
                snprintf(value, sizeof(value), "%llu", (unsigned long long)take_number(&s, 8));
            else if ( type == LOG_STRING ) {
                if ( ! take_text(&s, value, sizeof(value)) )
                    return false;
            }
            else if ( type == LOG_ADDR ) {
                const int family = take_number(&s, 1) == 4 ? AF_INET : AF_INET6;
                const uint8_t* a = take(&s, family == AF_INET ? 4 : 16);
                if ( ! a || ! inet_ntop(family, a, value, sizeof(value)) )
                    return false;
            }
            else
                return false;
            fprintf(*log, "%s%s", c ? "\t" : "", value);
        }
        fputc('\n', *log);
        if ( ! s.p )
            return false;
    }
    fflush(*log);
    return s.p == s.end;
}

// ---- Captures ----

static FILE* capture;

static void open_capture(const char* path) {
    uint32_t header[6];
    capture = fopen(path, "rb");
    if ( ! capture || fread(header, sizeof(header), 1, capture) != 1 || header[0] != 0xa1b2c3d4 )
        die("cannot read the capture %s", path);
}

// The next packet; false at the end.
static bool read_packet(packet* p) {
    uint32_t head[4];
    uint8_t frame[2048];
    if ( fread(head, sizeof(head), 1, capture) != 1 )
        return false;
    if ( head[2] > sizeof(frame) || head[2] < 14 + 20 || fread(frame, head[2], 1, capture) != 1 )
        die("the capture is damaged");

    memset(p, 0, sizeof(*p));
    p->ts = head[0] + head[1] / 1e6;
    p->bytes = head[3];
    const uint8_t* ip = frame + 14;
    const uint8_t* transport;
    uint8_t proto;
    if ( ip[0] >> 4 == 4 ) {
        p->family = AF_INET;
        memcpy(p->src, ip + 12, 4);
        memcpy(p->dst, ip + 16, 4);
        proto = ip[9];
        transport = ip + 4 * (ip[0] & 15);
    }
    else {
        p->family = AF_INET6;
        memcpy(p->src, ip + 8, 16);
        memcpy(p->dst, ip + 24, 16);
        proto = ip[6];
        transport = ip + 40;
    }
    p->proto = proto == IPPROTO_TCP ? "tcp" : proto == IPPROTO_UDP ? "udp" : "icmp";
    if ( proto != IPPROTO_ICMP && transport + 4 <= frame + head[2] ) {
        p->src_p = (uint16_t)get_number(transport, 2);
        p->dst_p = (uint16_t)get_number(transport + 2, 2);
    }
    return true;
}

// ---- Sets of addresses ----

enum { MAX_HOSTS = 4096 };
static char hosts[MAX_HOSTS][INET6_ADDRSTRLEN];
static size_t n_hosts;

// True if it was not there before.
static bool add_host(const char* host) {
    for ( size_t i = 0; i < n_hosts; i++ )
        if ( strcmp(hosts[i], host) == 0 )
            return false;
    if ( n_hosts == MAX_HOSTS )
        die("more than %d hosts", MAX_HOSTS);
    snprintf(hosts[n_hosts++], sizeof(hosts[0]), "%s", host);
    return true;
}

// ---- Worker ----

static bool reading;

// Reads on, and logs. False at the end of the capture.
static bool read_some(void) {
    static buffer b;
    packet p;
    for ( int i = 0; i < PACKETS_PER_ROUND; i += BATCH_ROWS ) {
        const size_t n_at = begin_batch(&b);
        uint32_t rows = 0;
        while ( rows < BATCH_ROWS && read_packet(&p) ) {
            char src[INET6_ADDRSTRLEN];
            inet_ntop(p.family, p.src, src, sizeof(src));
            if ( add_host(src) )
                publish("zeek.cluster.proxy", "Demo::host_seen", "s", src);
            put_row(&b, &p);
            rows++;
        }
        if ( rows ) {
            b.data[n_at + 2] = (uint8_t)(rows >> 8);
            b.data[n_at + 3] = (uint8_t)rows;
            push(&channel->logs_out, ZZ_LOG, "", "zeek-bin-serializer", &b);
        }
        if ( rows < BATCH_ROWS )
            return false;
    }
    return true;
}

static uint64_t digest(const char* text) {
    uint64_t h = 0xcbf29ce484222325; // FNV-1a
    for ( ; *text; text++ )
        h = (h ^ (uint8_t)*text) * 0x100000001b3;
    return h;
}

// ---- Manager ----

static int connected_nodes, asked, answered, captures_read;
static bool started, asked_proxy;
static double asked_at[QUESTIONS];
static char waiting[QUESTIONS][WORKERS]; // which worker's answer is missing
static int answers[WORKERS];
static double round_trips[QUESTIONS * WORKERS];
static int n_round_trips;

static void question_text(unsigned long n, char* out, size_t size) { snprintf(out, size, "question %lu", n); }

static void ask(void) {
    char text[MAX_TEXT];
    question_text((unsigned long)asked, text, sizeof(text));
    asked_at[asked] = now();
    memset(waiting[asked], 1, WORKERS);
    publish("zeek.cluster.worker", "Demo::question", "cs", (unsigned long)asked, text);
    asked++;
}

static int by_length(const void* a, const void* b) {
    const double x = *(const double*)a, y = *(const double*)b;
    return x < y ? -1 : x > y;
}

// What workers sent to the proxy arrives there before this does: it all passes
// through the one broker.
static void look_whether_finished(void) {
    if ( asked_proxy || captures_read < WORKERS || answered < QUESTIONS )
        return;
    asked_proxy = true;
    qsort(round_trips, (size_t)n_round_trips, sizeof(round_trips[0]), by_length);
    tell("median %f", round_trips[n_round_trips / 2]);
    publish("zeek.cluster.proxy", "Demo::count_hosts", "");
}

static void node_connected(void) {
    if ( ++connected_nodes < NODES || started )
        return;
    started = true;
    tell("start");
    publish("zeek.cluster.worker", "Demo::start", "");
    while ( asked < WINDOW )
        ask();
}

static void take_answer(const char* node, uint64_t n, uint64_t value) {
    const int w = strcmp(node, "worker-1") == 0 ? 0 : strcmp(node, "worker-2") == 0 ? 1 : -1;
    char text[MAX_TEXT];
    question_text(n, text, sizeof(text));
    if ( w < 0 || n >= (uint64_t)asked || ! waiting[n][w] || value != digest(text) ) {
        tell("wrong answer %llu of %s", (unsigned long long)n, node);
        return;
    }

    waiting[n][w] = 0;
    round_trips[n_round_trips++] = now() - asked_at[n];
    if ( ++answers[w] % 20 == 0 || answers[w] == QUESTIONS )
        tell("answers %s %d", node, answers[w]);

    if ( waiting[n][0] || waiting[n][1] )
        return;
    answered++;
    if ( asked < QUESTIONS )
        ask();
    look_whether_finished();
}

// ---- What arrives ----

static FILE* packets_log;

static void node_up(const event* e) {
    peer* p = find_peer(e->args[1].text);
    if ( ! p || p->up )
        return;
    p->up = true;
    snprintf(p->name, sizeof(p->name), "%s", e->args[0].text);
    tell("up %s", p->name);

    int up = 0;
    for ( int i = 0; i < n_peers; i++ )
        up += peers[i].up;
    if ( up == NODES - 1 ) {
        if ( strcmp(role, "manager") == 0 )
            node_connected();
        else
            publish("zeek.cluster.manager", "Demo::connected", "s", name);
    }
}

static void take_event(const zz_record* r) {
    event e;
    if ( ! get_event(r, &e) ) {
        tell("cannot read an event of %u bytes", r->payload_len);
        return;
    }

#define IS(what, args) (strcmp(e.name, what) == 0 && e.n == (args))
    peer* p;
    if ( IS("Cluster::Backend::ZeroMQ::hello", 2) ) {
        if ( (p = find_peer(e.args[1].text)) )
            saw_sign(p, false, true);
    }
    else if ( IS("Cluster::hello", 2) )
        node_up(&e);
    else if ( IS("Demo::connected", 1) )
        node_connected();
    else if ( IS("Demo::start", 0) )
        reading = true;
    else if ( IS("Demo::question", 2) )
        publish("zeek.cluster.manager", "Demo::answer", "scc", name, (unsigned long)e.args[0].number,
                (unsigned long)digest(e.args[1].text));
    else if ( IS("Demo::answer", 3) )
        take_answer(e.args[0].text, e.args[1].number, e.args[2].number);
    else if ( IS("Demo::capture_read", 1) ) {
        captures_read++;
        tell("capture %s", e.args[0].text);
        look_whether_finished();
    }
    else if ( IS("Demo::host_seen", 1) )
        add_host(e.args[0].text);
    else if ( IS("Demo::count_hosts", 0) )
        publish("zeek.cluster.manager", "Demo::hosts_counted", "sc", name, (unsigned long)n_hosts);
    else if ( IS("Demo::hosts_counted", 2) ) {
        tell("hosts %s %llu", e.args[0].text, (unsigned long long)e.args[1].number);
        tell("finished");
    }
    else
        tell("got an unknown event %s", e.name);
#undef IS
}

static void take_record(const zz_record* r) {
    peer* p;
    const int size = (int)r->payload_len;
    const char* text = (const char*)zz_record_payload(r);
    switch ( r->kind ) {
        case ZZ_EVENT: take_event(r); break;
        case ZZ_LOG:
            if ( ! write_batch(zz_record_payload(r), r->payload_len, &packets_log) )
                tell("cannot read a log batch of %d bytes", size);
            break;
        case ZZ_SUBSCRIPTION:
            if ( (p = peer_of_topic(r)) ) {
                publish_to(p, "Cluster::Backend::ZeroMQ::hello");
                saw_sign(p, true, false);
            }
            break;
        case ZZ_UNSUBSCRIPTION:
            if ( (p = peer_of_topic(r)) && p->up ) {
                p->up = false;
                tell("down %s", p->name);
            }
            break;
        case ZZ_WARNING: fprintf(stderr, "warning: %.*s\n", size, text); break;
        case ZZ_ERROR: tell("error: %.*s", size, text); break;
        case ZZ_FATAL: die("fatal: %.*s", size, text); break;
        default: break; // ZZ_SKIP, ZZ_MONITOR
    }
}

// ---- Start, main loop, end ----

typedef struct options {
    zeekzmq_option list[16];
    size_t n;
} options;

static void add_option(options* o, const char* option, const char* value) {
    o->list[o->n++] = (zeekzmq_option){option, value, strlen(value)};
}

static const char* need(const char* variable) {
    const char* v = getenv(variable);
    if ( ! v )
        die("%s is not set", variable);
    return v;
}

static uint64_t start_node(void) {
    options o = {0};
    add_option(&o, "node_id", id);
    add_option(&o, "connect_xsub_endpoint", need("DEMO_XPUB_ENDPOINT"));
    add_option(&o, "connect_xpub_endpoint", need("DEMO_XSUB_ENDPOINT"));
    add_option(&o, "linger_ms", "5000");
    for ( int i = 1; i <= LOGGERS; i++ ) {
        char logger[32], variable[32];
        snprintf(logger, sizeof(logger), "logger-%d", i);
        snprintf(variable, sizeof(variable), "DEMO_LOGGER_%d_ENDPOINT", i);
        if ( strcmp(name, logger) == 0 )
            add_option(&o, "listen_log_endpoint", need(variable));
        else if ( strcmp(role, "logger") != 0 )
            add_option(&o, "connect_log_endpoints", need(variable));
    }

    char err[8192], topic[sizeof(nodeid_topic) + sizeof(id) + 1];
    uint64_t node;
    if ( zz_node_start(o.list, o.n, channel, &node, START_MS, err, sizeof(err)) != ZEEKZMQ_OK )
        die("%s", err);

    snprintf(topic, sizeof(topic), "%s%s.", nodeid_topic, id);
    push(&channel->events_out, ZZ_SUBSCRIBE, topic, "", NULL);
    snprintf(topic, sizeof(topic), "%s%s", role_topic, role);
    push(&channel->events_out, ZZ_SUBSCRIBE, topic, "", NULL);
    return node;
}

static uint64_t start_broker(zz_broker_stats* stats) {
    options o = {0};
    add_option(&o, "listen_xpub_endpoint", need("DEMO_XPUB_ENDPOINT"));
    add_option(&o, "listen_xsub_endpoint", need("DEMO_XSUB_ENDPOINT"));
    char err[8192];
    uint64_t broker;
    if ( zz_broker_start(o.list, o.n, stats, &broker, START_MS, err, sizeof(err)) != ZEEKZMQ_OK )
        die("%s", err);
    return broker;
}

// As Zeek's main loop: what arrived, then packets, and sleep if there is
// neither.
static void run(int signal_fd) {
    for ( double next_read = 0;; ) {
        const zz_record* r;
        for ( int i = 0; i < RECORDS_PER_ROUND && (r = zz_queue_peek(&channel->inbox)); i++ ) {
            take_record(r);
            zz_queue_consume(&channel->inbox, r);
        }

        if ( reading && now() >= next_read ) {
            next_read = now() + PAUSE_MS / 1e3;
            if ( ! read_some() ) {
                reading = false;
                publish("zeek.cluster.manager", "Demo::capture_read", "s", name);
            }
        }

        bool busy = zz_queue_peek(&channel->inbox);
        if ( ! busy ) {
            zz_waker_prepare(&channel->host_waker);
            busy = zz_queue_peek(&channel->inbox) != NULL;
            if ( busy )
                zz_waker_cancel(&channel->host_waker);
        }

        struct pollfd fds[] = {{.fd = channel->host_waker.fd, .events = POLLIN}, {.fd = signal_fd, .events = POLLIN}};
        poll(fds, 2, busy ? 0 : reading ? PAUSE_MS : -1);
        if ( fds[0].revents )
            zz_waker_clear(&channel->host_waker);
        if ( fds[1].revents )
            return;
    }
}

static void alone(void) {
    buffer b = {0};
    packet p;
    while ( read_packet(&p) ) {
        const size_t n_at = begin_batch(&b);
        put_row(&b, &p);
        b.data[n_at + 3] = 1;
        if ( ! write_batch(b.data, b.size, &packets_log) )
            die("cannot read back a row");
    }
    free(b.data);
}

int main(int argc, char** argv) {
    if ( argc < 2 || argc > 3 )
        die("Usage: node NAME [CAPTURE] | node alone CAPTURE");

    if ( argc == 3 )
        open_capture(argv[2]);
    snprintf(name, sizeof(name), "%s", argv[1]);
    if ( strcmp(name, "alone") == 0 ) {
        if ( ! capture )
            die("no capture");
        alone();
        return 0;
    }

    snprintf(role, sizeof(role), "%.*s", (int)strcspn(name, "-"), name);
    snprintf(id, sizeof(id), "demo_%s_%d", name, (int)getpid());

    sigset_t ends;
    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    const int signal_fd = signalfd(-1, &ends, SFD_CLOEXEC);
    if ( signal_fd < 0 )
        die("signalfd: %s", strerror(errno));

    zz_set_library(need("DEMO_LIBRARY"));
    channel = zz_channel_new(&counters);
    if ( ! channel )
        die("zz_channel_new: %s", strerror(errno));

    // Outlives the broker.
    static zz_broker_stats stats;
    const uint64_t broker = strcmp(role, "manager") == 0 ? start_broker(&stats) : 0;
    const uint64_t node = start_node();

    run(signal_fd);

    char err[8192];
    if ( zz_node_stop(node, STOP_MS, err, sizeof(err)) != ZEEKZMQ_OK )
        die("%s", err);
    if ( broker && zz_broker_stop(broker, STOP_MS, err, sizeof(err)) != ZEEKZMQ_OK )
        die("%s", err);

    // What had arrived by then.
    for ( const zz_record* r; (r = zz_queue_peek(&channel->inbox)); zz_queue_consume(&channel->inbox, r) )
        if ( r->kind == ZZ_LOG || r->kind >= ZZ_WARNING )
            take_record(r);
    zz_channel_free(channel);

    tell("events %llu %llu", (unsigned long long)counters.events_sent, (unsigned long long)counters.events_received);

    uint64_t handles;
    if ( zz_open_handles(&handles, err, sizeof(err)) != ZEEKZMQ_OK || handles != 0 )
        die("%llu handles of the engine are open at the end", (unsigned long long)handles);
    return packets_log && fclose(packets_log) != 0 ? 1 : 0;
}
