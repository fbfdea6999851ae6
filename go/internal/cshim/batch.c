// SPDX-License-Identifier: BSD-3-Clause
//
// See batch.h. Runs on the thread that owns the sockets.

#include "batch.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "plain.h"

int zz_sender_init(zz_sender* s, const void* node_id, size_t len) {
    static const char log_write[] = "log-write";
    memset(s, 0, sizeof(*s));
    if ( zmq_msg_init_size(&s->node_id, len) != 0 )
        return zmq_errno();
    memcpy(zmq_msg_data(&s->node_id), node_id, len);
    zmq_msg_init_size(&s->log_write, sizeof(log_write) - 1); // short enough to need no allocation
    memcpy(zmq_msg_data(&s->log_write), log_write, sizeof(log_write) - 1);
    zmq_msg_init(&s->format);
    return 0;
}

void zz_sender_close(zz_sender* s) {
    zmq_msg_close(&s->node_id);
    zmq_msg_close(&s->log_write);
    zmq_msg_close(&s->format);
}

// libzmq looks at a socket's mailbox only every so often while it sends. Asking
// for its events makes it look now, so that room that a peer made is seen.
static int has_input(void* socket, bool* yes) {
    int events = 0;
    size_t size = sizeof(events);
    if ( zmq_getsockopt(socket, ZMQ_EVENTS, &events, &size) != 0 )
        return zmq_errno();
    *yes = (events & ZMQ_POLLIN) != 0;
    return 0;
}

static void look_for_room(void* socket) {
    bool ignored;
    has_input(socket, &ignored);
}

// Sends one part and leaves *m closed or empty. 0 or errno.
static int send_part(void* socket, zmq_msg_t* m, int flags) {
    for ( ;; ) {
        if ( zmq_msg_send(m, socket, flags | ZMQ_DONTWAIT) >= 0 )
            return 0;
        const int err = zmq_errno();
        if ( err != EINTR ) {
            zmq_msg_close(m);
            return err;
        }
    }
}

static int send_copy(void* socket, zmq_msg_t* constant, int flags) {
    zmq_msg_t m;
    zmq_msg_init(&m);
    zmq_msg_copy(&m, constant);
    return send_part(socket, &m, flags);
}

static int send_bytes(void* socket, const void* data, size_t len, int flags) {
    zmq_msg_t m;
    if ( zmq_msg_init_size(&m, len) != 0 )
        return zmq_errno();
    if ( len )
        memcpy(zmq_msg_data(&m), data, len);
    return send_part(socket, &m, flags);
}

static int keep_format(zz_sender* s, const void* format, size_t len) {
    if ( zmq_msg_size(&s->format) == len && memcmp(zmq_msg_data(&s->format), format, len) == 0 )
        return 0;

    zmq_msg_close(&s->format);
    if ( zmq_msg_init_size(&s->format, len) != 0 ) {
        const int err = zmq_errno();
        zmq_msg_init(&s->format);
        return err;
    }
    memcpy(zmq_msg_data(&s->format), format, len);
    return 0;
}

// Parts 2 to 4. A socket that took part 1 takes these too, but for a failure.
static int send_rest(void* socket, zz_sender* s, const void* payload, size_t payload_len) {
    int err = send_copy(socket, &s->node_id, ZMQ_SNDMORE);
    if ( ! err )
        err = send_copy(socket, &s->format, ZMQ_SNDMORE);
    if ( ! err )
        err = send_bytes(socket, payload, payload_len, 0);
    return err;
}

static int send_control(void* xsub, const zz_record* r) {
    zmq_msg_t m;
    if ( zmq_msg_init_size(&m, r->topic_len + 1) != 0 )
        return zmq_errno();
    uint8_t* p = zmq_msg_data(&m);
    p[0] = r->kind == ZZ_SUBSCRIBE ? 1 : 0;
    memcpy(p + 1, zz_record_topic(r), r->topic_len);
    return send_part(xsub, &m, 0);
}

static int send_event(void* xpub, zz_sender* s, const zz_record* r) {
    int err = keep_format(s, zz_record_format(r), r->format_len);
    if ( ! err )
        err = send_bytes(xpub, zz_record_topic(r), r->topic_len, ZMQ_SNDMORE);
    if ( err == EAGAIN ) {
        look_for_room(xpub);
        err = send_bytes(xpub, zz_record_topic(r), r->topic_len, ZMQ_SNDMORE);
    }
    return err ? err : send_rest(xpub, s, zz_record_payload(r), r->payload_len);
}

int zz_send_log(void* push, zz_sender* s, const void* format, size_t format_len, const void* payload,
                size_t payload_len) {
    int err = keep_format(s, format, format_len);
    if ( ! err )
        err = send_copy(push, &s->log_write, ZMQ_SNDMORE);
    if ( err == EAGAIN ) {
        look_for_room(push);
        err = send_copy(push, &s->log_write, ZMQ_SNDMORE);
    }
    return err ? err : send_rest(push, s, payload, payload_len);
}

int zz_send_events(zz_queue* q, void* xpub, void* xsub, zz_sender* s, uint32_t max, zz_send_result* res) {
    memset(res, 0, sizeof(*res));

    for ( uint32_t i = 0; i < max; i++ ) {
        const zz_record* r = zz_queue_peek(q);
        if ( ! r )
            return 0;

        const bool event = r->kind == ZZ_EVENT;
        const int err = event ? send_event(xpub, s, r) : send_control(xsub, r);
        if ( err ) {
            res->blocked = event && err == EAGAIN;
            return res->blocked ? 0 : err;
        }

        res->sent += event;
        res->controls += ! event;
        zz_queue_consume(q, r);
    }

    res->more = zz_queue_peek(q) != NULL;
    return 0;
}

int zz_send_logs(zz_queue* q, void* push, zz_sender* s, uint32_t max, zz_send_result* res) {
    memset(res, 0, sizeof(*res));

    for ( uint32_t i = 0; i < max; i++ ) {
        const zz_record* r = zz_queue_peek(q);
        if ( ! r )
            return 0;

        const int err = zz_send_log(push, s, zz_record_format(r), r->format_len, zz_record_payload(r), r->payload_len);
        if ( err ) {
            res->blocked = err == EAGAIN;
            return res->blocked ? 0 : err;
        }

        res->sent++;
        zz_queue_consume(q, r);
    }

    res->more = zz_queue_peek(q) != NULL;
    return 0;
}

enum { PARTS = 4 };

// Receives one message: its first PARTS parts in m, the number of all in
// *parts. The parts of a message arrive together, so that only the first can
// be missing.
static int recv_message(void* socket, zmq_msg_t* m, uint32_t* parts) {
    *parts = 0;
    for ( ;; ) {
        zmq_msg_t extra;
        zmq_msg_t* into = &extra;
        if ( *parts < PARTS )
            into = &m[*parts];
        else
            zmq_msg_init(&extra);

        if ( zmq_msg_recv(into, socket, ZMQ_DONTWAIT) < 0 ) {
            const int err = zmq_errno();
            if ( into == &extra )
                zmq_msg_close(&extra);
            if ( err == EINTR )
                continue;
            return err;
        }

        ++*parts;
        const bool more = zmq_msg_more(into);
        if ( into == &extra )
            zmq_msg_close(&extra);
        if ( ! more )
            return 0;
    }
}

static void reset(zz_recv* r) {
    r->taken = r->n = r->dropped = r->errors = r->bad_parts = 0;
    r->full = r->more = false;
    if ( r->max == 0 || r->max > ZZ_BATCH_MAX )
        r->max = ZZ_BATCH_MAX;
}

static bool inbox_is_full(const zz_queue* inbox, const zz_recv* r) {
    return r->bytes_max && zz_queue_bytes(inbox) + inbox->pending_bytes >= r->bytes_max;
}

static void malformed(zz_recv* r, uint32_t parts) {
    r->errors++;
    r->bad_parts = parts;
}

static void note_drop(zz_recv* r, zmq_msg_t* topic) {
    zz_label* l = &r->dropped_topics[r->dropped++];
    const size_t len = zmq_msg_size(topic);
    l->len = (uint8_t)(len < sizeof(l->text) ? len : sizeof(l->text));
    memcpy(l->text, zmq_msg_data(topic), l->len);
}

static int add(zz_queue* inbox, zz_recv* r, uint16_t kind, zmq_msg_t* topic, zmq_msg_t* format, zmq_msg_t* payload) {
    const size_t topic_len = topic ? zmq_msg_size(topic) : 0;
    const size_t format_len = zmq_msg_size(format);
    const size_t payload_len = zmq_msg_size(payload);

    if ( topic_len > ZZ_TOPIC_MAX || format_len > ZZ_FORMAT_MAX || payload_len > ZZ_PAYLOAD_MAX ) {
        malformed(r, PARTS);
        return 0;
    }

    zz_record* rec = zz_queue_reserve(inbox, kind, (uint32_t)topic_len, (uint16_t)format_len, (uint32_t)payload_len);
    if ( ! rec )
        return ENOMEM;

    uint8_t* p = (uint8_t*)(rec + 1);
    if ( topic_len )
        memcpy(p, zmq_msg_data(topic), topic_len);
    memcpy(p + topic_len, zmq_msg_data(format), format_len);
    memcpy(p + topic_len + format_len, zmq_msg_data(payload), payload_len);
    r->records[r->n++] = rec;
    return 0;
}

// Events and log batches: alike but for the bounds and the sender's check.
static int recv_messages(void* socket, zz_queue* inbox, zz_recv* r, bool events) {
    reset(r);

    zmq_msg_t m[PARTS];
    for ( int i = 0; i < PARTS; i++ )
        zmq_msg_init(&m[i]);

    int err = 0;
    while ( r->taken < r->max ) {
        const bool over = events && r->depth_max && zz_queue_depth(inbox, ZZ_CLASS_EVENT) + r->n >= r->depth_max;
        if ( inbox_is_full(inbox, r) || (over && r->wait_for_room) ) {
            r->full = true;
            break;
        }

        uint32_t parts;
        err = recv_message(socket, m, &parts);
        if ( err )
            break;
        r->taken++;

        if ( parts != PARTS )
            malformed(r, parts);
        else if ( events && zmq_msg_size(&m[1]) == r->self_len &&
                  memcmp(zmq_msg_data(&m[1]), r->self, r->self_len) == 0 )
            continue;
        else if ( over )
            note_drop(r, &m[0]);
        else if ( (err = add(inbox, r, events ? ZZ_EVENT : ZZ_LOG, events ? &m[0] : NULL, &m[2], &m[3])) != 0 )
            break;
    }

    r->more = r->taken == r->max;
    for ( int i = 0; i < PARTS; i++ )
        zmq_msg_close(&m[i]);
    return err == EAGAIN ? 0 : err;
}

int zz_recv_events(void* xsub, zz_queue* inbox, zz_recv* r) { return recv_messages(xsub, inbox, r, true); }
int zz_recv_logs(void* pull, zz_queue* inbox, zz_recv* r) { return recv_messages(pull, inbox, r, false); }

// Makes a record of a message: 0, EBADMSG if it is not of the shape that the
// socket's messages have, or ENOMEM.
typedef int (*take_message)(zz_queue* inbox, zz_recv* r, zmq_msg_t* m, uint32_t parts);

// Messages without bounds in the inbox.
static int recv_all(void* socket, zz_queue* inbox, zz_recv* r, take_message take) {
    reset(r);

    zmq_msg_t m[PARTS];
    for ( int i = 0; i < PARTS; i++ )
        zmq_msg_init(&m[i]);

    int err = 0;
    while ( r->taken < r->max ) {
        uint32_t parts;
        err = recv_message(socket, m, &parts);
        if ( err )
            break;
        r->taken++;

        err = take(inbox, r, m, parts);
        if ( err == EBADMSG ) {
            malformed(r, parts);
            err = 0;
        }
        if ( err )
            break;
    }

    r->more = r->taken == r->max;
    for ( int i = 0; i < PARTS; i++ )
        zmq_msg_close(&m[i]);
    return err == EAGAIN ? 0 : err;
}

static int take_subscription(zz_queue* inbox, zz_recv* r, zmq_msg_t* m, uint32_t parts) {
    const size_t size = zmq_msg_size(&m[0]);
    const uint8_t* data = zmq_msg_data(&m[0]);
    if ( parts != 1 || size == 0 || data[0] > 1 || size - 1 > ZZ_TOPIC_MAX )
        return EBADMSG;

    const uint16_t kind = data[0] ? ZZ_SUBSCRIPTION : ZZ_UNSUBSCRIPTION;
    zz_record* rec = zz_queue_reserve(inbox, kind, (uint32_t)(size - 1), 0, 0);
    if ( ! rec )
        return ENOMEM;
    memcpy(rec + 1, data + 1, size - 1);
    r->records[r->n++] = rec;
    return 0;
}

static int take_monitor(zz_queue* inbox, zz_recv* r, zmq_msg_t* m, uint32_t parts) {
    // zmq_socket_monitor(3): a u16 event and a u32 value, unaligned; then the endpoint.
    if ( parts != 2 || zmq_msg_size(&m[0]) < 6 || zmq_msg_size(&m[1]) > ZZ_TOPIC_MAX )
        return EBADMSG;

    const uint8_t* data = zmq_msg_data(&m[0]);
    uint16_t number;
    uint32_t pair_of[2];
    memcpy(&number, data, sizeof(number));
    pair_of[0] = number;
    memcpy(&pair_of[1], data + 2, sizeof(pair_of[1]));

    const size_t len = zmq_msg_size(&m[1]);
    zz_record* rec = zz_queue_reserve(inbox, ZZ_MONITOR, (uint32_t)len, 0, sizeof(pair_of));
    if ( ! rec )
        return ENOMEM;
    memcpy(rec + 1, zmq_msg_data(&m[1]), len);
    memcpy((uint8_t*)(rec + 1) + len, pair_of, sizeof(pair_of));
    r->records[r->n++] = rec;
    return 0;
}

int zz_recv_subscriptions(void* xpub, zz_queue* inbox, zz_recv* r) {
    return recv_all(xpub, inbox, r, take_subscription);
}

int zz_recv_monitor(void* pair, zz_queue* inbox, zz_recv* r) { return recv_all(pair, inbox, r, take_monitor); }

void zz_inbox_commit(zz_queue* inbox, zz_waker* w) {
    zz_queue_commit(inbox);
    zz_waker_wake(w);
}

// The nap that is due before sleeping, in ns; 0: none.
static uint64_t nap_of(zz_pace* p) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    const uint64_t now = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
    const uint64_t period = now - p->since;
    if ( period >= ZZ_BUSY_PERIOD_NS ) {
        const uint64_t rate = p->moved * 1000000000 / period;
        p->nap = rate < ZZ_BUSY_RATE ? 0 : ZZ_BUSY_NAP_NS;
        p->since = now;
        p->moved = 0;
    }
    return p->nap;
}

int zz_wait(zz_item* items, uint32_t n, zz_waker* w, zz_queue* a, zz_queue* b, zz_pace* pace, int timeout_ms,
            uint32_t* ready) {
    *ready = 0;

    for ( uint32_t i = 0; i < n; i++ ) {
        if ( ! items[i].ask )
            continue;
        items[i].ask = false;

        bool yes = false;
        const int err = has_input(items[i].socket, &yes);
        if ( err && err != EINTR )
            return err;
        if ( yes || err )
            *ready |= 1u << i;
    }

    // Before the waker is prepared: nobody has to wake us from this.
    const uint64_t nap_ns = pace ? nap_of(pace) : 0;
    if ( nap_ns && timeout_ms != 0 && ! *ready ) {
        const struct timespec nap = {0, (long)nap_ns};
        nanosleep(&nap, NULL);
    }

    if ( w ) {
        zz_waker_prepare(w);
        if ( (a && zz_queue_peek(a)) || (b && zz_queue_peek(b)) || *ready )
            timeout_ms = 0;
    }
    else if ( *ready )
        timeout_ms = 0;

    struct pollfd fds[ZZ_ITEMS_MAX + 1];
    for ( uint32_t i = 0; i < n; i++ )
        fds[i] = (struct pollfd){.fd = items[i].fd, .events = POLLIN};
    if ( w )
        fds[n] = (struct pollfd){.fd = w->fd, .events = POLLIN};

    const int rc = poll(fds, n + (w ? 1 : 0), timeout_ms);
    const int err = errno;

    if ( w ) {
        zz_waker_cancel(w);
        if ( rc > 0 && fds[n].revents )
            zz_waker_clear(w);
    }

    if ( rc < 0 )
        return err == EINTR ? 0 : err;

    for ( uint32_t i = 0; i < n; i++ )
        if ( fds[i].revents )
            *ready |= 1u << i;
    return 0;
}

void zz_forwarder_init(zz_forwarder* f, void* from, void* to) {
    memset(f, 0, sizeof(*f));
    f->from = from;
    f->to = to;
    zmq_msg_init(&f->part);
}

void zz_forwarder_close(zz_forwarder* f) { zmq_msg_close(&f->part); }

static void grow(_Atomic(uint64_t)* counter, uint64_t by) {
    atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + by, memory_order_relaxed);
}

int zz_forward(zz_forwarder* f, uint32_t max, _Atomic(uint64_t)* messages_in, _Atomic(uint64_t)* bytes_in,
               _Atomic(uint64_t)* messages_out, _Atomic(uint64_t)* bytes_out, uint32_t* moved, bool* blocked) {
    uint64_t in = 0, in_bytes = 0, out = 0, out_bytes = 0;
    int err = 0;
    *moved = 0;
    *blocked = false;
    if ( f->holding )
        look_for_room(f->to);

    while ( *moved < max ) {
        if ( ! f->holding ) {
            if ( zmq_msg_recv(&f->part, f->from, ZMQ_DONTWAIT) < 0 ) {
                err = zmq_errno();
                if ( err != EINTR )
                    break;
                err = 0;
                continue;
            }
            f->holding = true;
            f->holding_more = zmq_msg_more(&f->part);
            in_bytes += zmq_msg_size(&f->part);
            in += ! f->holding_more;
        }

        const size_t size = zmq_msg_size(&f->part);
        if ( zmq_msg_send(&f->part, f->to, ZMQ_DONTWAIT | (f->holding_more ? ZMQ_SNDMORE : 0)) < 0 ) {
            err = zmq_errno();
            if ( err != EINTR ) {
                *blocked = err == EAGAIN;
                break;
            }
            err = 0;
            continue;
        }

        f->holding = false;
        out_bytes += size;
        if ( ! f->holding_more ) {
            out++;
            ++*moved;
        }
    }

    grow(messages_in, in);
    grow(bytes_in, in_bytes);
    grow(messages_out, out);
    grow(bytes_out, out_bytes);
    return err == EAGAIN ? 0 : err;
}

enum { LOOK_MS = 10 }; // looking again for room

// Forwards what there is. Bits of items that have more in *again, of those with
// a message that waits for room in *waiting.
static int take_turn(zz_relay* r, uint32_t* again, uint32_t* waiting) {
    zz_broker_stats* s = r->stats;
    atomic_fetch_add_explicit(&r->turns, 1, memory_order_relaxed);
    r->moved = 0;
    *again = *waiting = 0;

    // Events last, see below.
    for ( uint32_t i = 2; i-- > 0; ) {
        if ( ! (r->ready & 1u << i) )
            continue;

        uint32_t n;
        bool blocked;
        const int err = i == 0 ?
                            zz_forward(&r->down, r->burst, &s->frontend_messages_received, &s->frontend_bytes_received,
                                       &s->backend_messages_sent, &s->backend_bytes_sent, &n, &blocked) :
                            zz_forward(&r->up, r->burst, &s->backend_messages_received, &s->backend_bytes_received,
                                       &s->frontend_messages_sent, &s->frontend_bytes_sent, &n, &blocked);
        if ( err )
            return err;

        r->moved += n;
        if ( blocked )
            *waiting |= 1u << i;
        else if ( n == r->burst )
            *again |= 1u << i;
        r->at[1 - i].ask |= n > 0; // the edge rule
    }

    // Where messages wait for room there is nothing to look for. The socket
    // that has none tells by its descriptor when there is some, unless a call
    // on it takes that news: no asking, but all have a turn after the sleep.
    if ( *waiting )
        r->at[0].ask = r->at[1].ask = false;
    return 0;
}

int zz_wait_on(zz_relay* r, zz_item* items, uint32_t n, zz_waker* w, zz_queue* a, zz_queue* b, zz_pace* pace,
               int timeout_ms, uint32_t* ready) {
    if ( ! r || r->failure )
        return zz_wait(items, n, w, a, b, pace, timeout_ms, ready);

    uint32_t again, waiting;
    r->failure = take_turn(r, &again, &waiting);
    if ( r->failure ) {
        *ready = 0;
        return 0;
    }
    r->pace.moved += r->moved; // what the node itself moves passes here too

    zz_item* at = r->at;
    const int fds[2] = {at[0].fd, at[1].fd};
    for ( int i = 0; i < 2; i++ )
        if ( waiting & 1u << i )
            at[i].fd = -1;
    if ( again )
        timeout_ms = 0;
    else if ( waiting && (timeout_ms < 0 || timeout_ms > LOOK_MS) )
        timeout_ms = LOOK_MS;

    // On its own it takes no naps: there, they cost more than they save.
    const int err = zz_wait(items, n, w, a, b, at == r->items ? NULL : &r->pace, timeout_ms, ready);

    for ( int i = 0; i < 2; i++ )
        at[i].fd = fds[i];
    const uint32_t shift = (uint32_t)(at - items);
    r->ready = waiting ? 3 : (*ready >> shift & 3) | again;
    if ( at != r->items && *ready & 4u << shift )
        zz_waker_clear(&r->w);
    *ready &= ~(7u << shift);
    return err;
}

int zz_relay_run(zz_relay* r, int timeout_ms) {
    int err = 0;
    r->ready = 3;
    while ( ! err && ! r->failure ) { // which may be of when it was lent
        uint32_t none;
        err = zz_wait_on(r, r->items, 2, &r->w, NULL, NULL, NULL, timeout_ms, &none);
        if ( timeout_ms >= 0 || atomic_load(&r->stop) || atomic_load(&r->wanted) )
            break;
    }
    return err ? err : r->failure;
}

void zz_relay_lend(zz_relay* r, zz_item* items, uint32_t burst) {
    items[0] = r->items[0];
    items[1] = r->items[1];
    items[0].ask = items[1].ask = false; // its first turn looks
    items[2] = (zz_item){.fd = r->w.fd};
    r->at = items;
    r->burst = burst;
    r->ready = 3;
    atomic_store(&r->wanted, 0);
}

void zz_relay_return(zz_relay* r) {
    r->at = r->items;
    r->burst = ZZ_RELAY_BURST;
    r->items[0].ask = r->items[1].ask = false;
}

bool zz_relay_due(const zz_relay* r) { return r->failure || atomic_load(&r->stop); }

static bool is_plain(const zz_service* s, const zz_record* r) {
    static const char format[] = ZZ_PLAIN_FORMAT;
    const uint8_t* name;
    size_t len;
    if ( r->format_len != sizeof(format) - 1 || memcmp(zz_record_format(r), format, sizeof(format) - 1) != 0 ||
         ! zz_plain(zz_record_payload(r), r->payload_len, &name, &len) )
        return false;
    for ( size_t i = 0; i < s->unknown_count; i++ )
        if ( s->unknown[i].len == len && memcmp(s->unknown[i].text, name, len) == 0 )
            return false;
    return true;
}

// Receives events and delivers them if all are plain. *decide is set if the
// caller has to go on: with the records, or with receiving.
static int deliver_plain(zz_service* s, bool* decide, bool* more) {
    zz_channel* ch = s->ch;
    zz_recv* r = s->recv;
    const int err = zz_recv_events(s->xsub, &ch->inbox, r);
    *decide = r->full;
    *more = r->more;

    s->undecided = r->errors > 0;
    for ( uint32_t i = 0; i < r->n && ! s->undecided; i++ )
        s->undecided = ! is_plain(s, r->records[i]);
    if ( s->undecided || err ) {
        *decide = true;
        r->full = false; // the caller receives once more, and sees
        return err;
    }

    if ( r->n > 0 ) {
        zz_inbox_commit(&ch->inbox, &ch->host_waker);
        atomic_fetch_add_explicit(&ch->counters->events_received, r->n, memory_order_relaxed);
        s->delivered += r->n;
        r->n = 0;
    }
    return 0;
}

int zz_serve(zz_item* items, uint32_t n, zz_service* s, zz_pace* pace, uint32_t* ready) {
    zz_channel* ch = s->ch;
    const uint32_t xsub_bit = 1u << s->xsub_item;
    bool more = false;
    s->delivered = 0;

    for ( ;; ) {
        int err = zz_wait_on(s->relay, items, n, &ch->engine_waker, &ch->events_out, &ch->logs_out, pace, more ? 0 : -1,
                             ready);
        if ( err )
            return err;

        if ( s->recv && (more || *ready & xsub_bit) ) {
            bool decide;
            err = deliver_plain(s, &decide, &more);
            pace->moved += s->recv->taken;
            *ready &= ~xsub_bit;
            if ( err || decide ) {
                *ready |= xsub_bit;
                return err;
            }
        }
        if ( *ready || atomic_load(&ch->stopping) || (s->relay && zz_relay_due(s->relay)) ) {
            *ready |= more ? xsub_bit : 0;
            return 0;
        }

        zz_send_result r;
        err = zz_send_events(&ch->events_out, s->xpub, s->xsub, s->sender, ZZ_BATCH_MAX, &r);
        if ( err )
            return err;
        items[s->xpub_item].ask |= r.sent > 0;
        items[s->xsub_item].ask |= r.controls > 0;
        pace->moved += r.sent;
        atomic_fetch_add_explicit(&ch->counters->events_sent, r.sent, memory_order_relaxed);
        bool blocked = r.blocked;

        if ( s->push && ! blocked ) {
            err = zz_send_logs(&ch->logs_out, s->push, s->sender, ZZ_BATCH_MAX, &r);
            if ( err )
                return err;
            pace->moved += r.sent;
            atomic_fetch_add_explicit(&ch->counters->logs_sent, r.sent, memory_order_relaxed);
            blocked = r.blocked;
        }
        if ( blocked ) {
            *ready = more ? xsub_bit : 0;
            return 0;
        }
    }
}
