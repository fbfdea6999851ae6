// SPDX-License-Identifier: BSD-3-Clause
//
// A Go runtime inside a host like Zeek: its signal handlers, its affinity, its
// forks, its end. Each test can be run without the precaution that it is about
// (WITHOUT, see cures.h) and must fail then; README.md says how each did.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cures.h"
#include "host.h"

int __real_sigaction(int sig, const struct sigaction* act, struct sigaction* before);
pid_t __real_getpid(void);

// ---- A host under full load: one node publishes what another receives ----

typedef struct load {
    broker hub;
    node a, b;
    uint64_t sent, received, lost;
} load;

static void load_start(load* l, const char* linger_ms) {
    memset(l, 0, sizeof(*l));
    use_engine();
    options o = {0};
    option_add(&o, "xpub_sndhwm", "0"); // nothing may be lost
    option_add(&o, "onloop_queue_hwm", "0");
    option_add(&o, "linger_ms", linger_ms);
    broker_start(&l->hub, linger_ms);
    node_up(&l->a, "a", &l->hub, &o);
    node_up(&l->b, "b", &l->hub, &o);
    link_nodes(&l->b, &l->a, "abi.");
}

// Publishes some, if not too much is under way, and takes what has arrived.
static void load_turn(load* l) {
    enum { BURST = 200, UNDER_WAY = 20000 };
    for ( int i = 0; i < BURST && l->sent - l->received < UNDER_WAY; i++ )
        publish(&l->a, "abi.load", l->sent++);
    const int wait_ms = l->sent - l->received >= UNDER_WAY ? 1 : 0;
    for ( int i = 0; i < 2 * BURST; i++ ) {
        const zz_record* r = node_next(&l->b, i ? 0 : wait_ms);
        if ( ! r )
            break;
        if ( r->kind == ZZ_EVENT ) {
            const uint64_t number = event_number(r);
            if ( number != l->received )
                l->lost++;
            l->received = number + 1;
        }
        CHECK(! is_error(r), "%.*s", (int)r->payload_len, (const char*)zz_record_payload(r));
        node_done(&l->b, r);
    }
}

// Says where the missing events are.
static void load_fail(load* l) {
    test_fail(
        "%lu of %lu events arrived; queued %lu, sent %lu (dropped %lu), broker in %lu, out %lu, received %lu "
        "(dropped %lu), in the inbox %lu",
        (unsigned long)l->received, (unsigned long)l->sent,
        (unsigned long)zz_queue_depth(&l->a.ch->events_out, ZZ_CLASS_EVENT),
        (unsigned long)atomic_load(&l->a.counters.events_sent), (unsigned long)atomic_load(&l->a.counters.xpub_drops),
        (unsigned long)atomic_load(&l->hub.stats.frontend_messages_received),
        (unsigned long)atomic_load(&l->hub.stats.backend_messages_sent),
        (unsigned long)atomic_load(&l->b.counters.events_received),
        (unsigned long)atomic_load(&l->b.counters.onloop_drops),
        (unsigned long)zz_queue_depth(&l->b.ch->inbox, ZZ_CLASS_EVENT));
}

static void load_drain(load* l) {
    const double deadline = now_ms() + test_ms(10000);
    while ( l->received < l->sent ) {
        if ( now_ms() > deadline )
            load_fail(l);
        const uint64_t before = l->sent;
        const zz_record* r = node_next(&l->b, 100);
        if ( ! r )
            continue;
        if ( r->kind == ZZ_EVENT ) {
            if ( event_number(r) != l->received )
                l->lost++;
            l->received = event_number(r) + 1;
        }
        node_done(&l->b, r);
        l->sent = before;
    }
    CHECK(l->lost == 0, "%lu gaps in the events", (unsigned long)l->lost);
}

static void load_stop(load* l) {
    node_stop(&l->a);
    node_stop(&l->b);
    broker_stop(&l->hub);
    node_free(&l->a);
    node_free(&l->b);
    CHECK(handles_open() == 0, "%d handles are open", handles_open());
}

// ---- Signals ----

static const int zeek_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGCHLD};
enum { SIGNALS = sizeof(zeek_signals) / sizeof(zeek_signals[0]) };

// Atomic, since SIGCHLD may be taken on another thread at the same time.
static atomic_int taken[SIGNALS];
static atomic_int on_wrong_thread;
static atomic_int on_goroutine_stack;
static pid_t main_thread;

// A handler that needs some stack, as real ones do.
static void take_signal(int sig) {
    volatile char stack[4096];
    for ( size_t i = 0; i < sizeof(stack); i += 512 )
        stack[i] = (char)sig;
    for ( int i = 0; i < SIGNALS; i++ ) {
        if ( zeek_signals[i] == sig )
            atomic_fetch_add(&taken[i], 1);
    }

    if ( gettid() != main_thread ) {
        stack_t now;
        const bool alternate = sigaltstack(NULL, &now) == 0 && (now.ss_flags & SS_ONSTACK);
        if ( sig != SIGCHLD )
            atomic_fetch_add(&on_wrong_thread, 1);
        else if ( ! alternate )
            atomic_fetch_add(&on_goroutine_stack, 1);
    }
}

// As Zeek does: SA_RESTART, no SA_ONSTACK. The Go runtime adds that to the
// handlers which it finds, so install them again once it is there.
static void take_signals(void) {
    main_thread = gettid();
    for ( int i = 0; i < SIGNALS; i++ ) {
        struct sigaction sa = {.sa_handler = take_signal, .sa_flags = SA_RESTART};
        sigfillset(&sa.sa_mask);
        __real_sigaction(zeek_signals[i], &sa, NULL);
    }
}

static int all_taken(void) {
    int n = 0;
    for ( int i = 0; i < SIGNALS; i++ )
        n += atomic_load(&taken[i]);
    return n;
}

// Another process: sends rounds of one signal of each kind, each round when
// told through a pipe, so that none is merged with the next of its kind.
static pid_t start_sender(int* go) {
    int fds[2];
    CHECK(pipe2(fds, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    const pid_t target = __real_getpid();
    const pid_t sender = fork();
    if ( sender == 0 ) {
        close(fds[1]);
        for ( char c; read(fds[0], &c, 1) == 1; ) {
            for ( int i = 0; i < SIGNALS; i++ )
                kill(target, zeek_signals[i]);
        }
        _exit(0);
    }
    close(fds[0]);
    *go = fds[1];
    return sender;
}

static void signals_under_load_do_no_harm(void) {
    // Before the load, so that the sender has no part of the engine.
    take_signals();
    int go;
    const pid_t sender = start_sender(&go);

    load l;
    load_start(&l, "500");
    take_signals();
    handles_open(); // a call: from here on, SIGCHLD's handler has an alternate stack
    const int due = (int)test_count(5000);
    const double start = now_ms();
    int rounds = 0;
    while ( all_taken() < due ) {
        CHECK(now_ms() - start < test_ms(100000), "%d of %d signals were taken", all_taken(), due);
        if ( all_taken() >= rounds * SIGNALS ) {
            rounds++;
            CHECK(write(go, "x", 1) == 1, "the sender is gone");
        }
        load_turn(&l);
    }
    const double ms = now_ms() - start;
    load_drain(&l);
    close(go);
    load_stop(&l);
    waitpid(sender, NULL, 0);

    CHECK(atomic_load(&on_wrong_thread) == 0, "%d signals were taken on the engine's threads",
          atomic_load(&on_wrong_thread));
    CHECK(atomic_load(&on_goroutine_stack) == 0, "%d SIGCHLD were taken on a goroutine's stack",
          atomic_load(&on_goroutine_stack));
    test_note("%d signals in %.0f ms among %lu events, none lost", all_taken(), ms, (unsigned long)l.sent);
}

// SIGCHLD cannot be masked on Go's threads: send it straight to them.
static void sigchld_on_engine_threads_does_no_harm(void) {
    load l;
    load_start(&l, "500");
    take_signals();
    handles_open();
    const pid_t self = __real_getpid();
    const int due = (int)test_count(1000);
    const double deadline = now_ms() + test_ms(50000);
    long sent = 0;
    while ( atomic_load(&taken[4]) < due ) {
        CHECK(now_ms() < deadline, "%d of %d SIGCHLD were taken, %ld sent", atomic_load(&taken[4]), due, sent);
        DIR* d = opendir("/proc/self/task");
        for ( struct dirent* e; (e = readdir(d)); ) {
            const pid_t thread = (pid_t)atoi(e->d_name);
            if ( thread > 0 && thread != main_thread && tgkill(self, thread, SIGCHLD) == 0 )
                sent++;
        }
        closedir(d);
        load_turn(&l);
    }
    load_drain(&l);
    load_stop(&l);
    CHECK(atomic_load(&on_goroutine_stack) == 0, "%d SIGCHLD were taken on a goroutine's stack",
          atomic_load(&on_goroutine_stack));
    test_note("%d SIGCHLD on the engine's threads among %lu events", atomic_load(&taken[4]), (unsigned long)l.sent);
}

// ---- SIGTERM under load, many times ----

static volatile sig_atomic_t terminated;
static void on_term(int sig) {
    (void)sig;
    terminated = 1;
}

enum { LINGER_MS = 500, GRACE_MS = 2000 };

// A process of its own: runs under load until SIGTERM, then ends in order.
static void until_sigterm(void) {
    struct sigaction sa = {.sa_handler = on_term, .sa_flags = SA_RESTART};
    __real_sigaction(SIGTERM, &sa, NULL);
    load l;
    load_start(&l, "500");
    CHECK(write(STDOUT_FILENO, "r", 1) == 1, "no parent");
    while ( ! terminated ) {
        // Without a bound on what is under way: the queues are full at the end.
        for ( int i = 0; i < 200; i++ )
            publish(&l.a, "abi.load", l.sent++);
        load_turn(&l);
    }
    load_stop(&l);
}

typedef struct victim {
    pid_t pid;
    int ready;    // pipe: one byte once it is under load
    double since; // when SIGTERM was sent
    bool sent;
} victim;

static void victim_start(victim* v) {
    int fds[2];
    CHECK(pipe2(fds, O_CLOEXEC) == 0, "pipe: %s", strerror(errno));
    v->pid = fork();
    if ( v->pid == 0 ) {
        dup2(fds[1], STDOUT_FILENO);
        char fd[16];
        snprintf(fd, sizeof(fd), "%d", STDERR_FILENO);
        execl(test_program(), test_program(), "--child", fd, "until_sigterm", (char*)NULL);
        _exit(127);
    }
    close(fds[1]);
    v->ready = fds[0];
    v->sent = false;
}

static void sigterm_under_load_ends_in_time(void) {
    use_engine();
    enum { PARALLEL = 2 };
    const int total = (int)test_count(100);
    victim victims[PARALLEL] = {{0}};
    int started = 0, ended = 0;
    double slowest = 0, sum = 0;
    rng r = {(uint64_t)getpid()};

    while ( ended < total ) {
        for ( int i = 0; i < PARALLEL; i++ ) {
            victim* v = &victims[i];
            if ( ! v->pid && started < total ) {
                victim_start(v);
                started++;
                v->since = now_ms();
            }
            if ( ! v->pid )
                continue;

            if ( ! v->sent ) {
                struct pollfd pfd = {.fd = v->ready, .events = POLLIN};
                char c;
                if ( poll(&pfd, 1, 5) == 1 ) {
                    CHECK(read(v->ready, &c, 1) == 1, "a process ended before it was under load (%d of %d ended well)",
                          ended, total);
                    poll(NULL, 0, (int)rng_below(&r, 100)); // anywhere in its work
                    kill(v->pid, SIGTERM);
                    v->since = now_ms();
                    v->sent = true;
                }
                CHECK(now_ms() - v->since < test_ms(20000), "a process does not come under load");
                continue;
            }

            int status = 0;
            const pid_t gone = waitpid(v->pid, &status, WNOHANG);
            const double took = now_ms() - v->since;
            if ( gone == 0 ) {
                CHECK(took < test_ms(LINGER_MS + GRACE_MS),
                      "a process runs %.0f ms after SIGTERM (%d of %d ended well)", took, ended, total);
                poll(NULL, 0, 1);
                continue;
            }
            CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0,
                  "a process ended with status 0x%x after %.0f ms (%d of "
                  "%d ended well)",
                  status, took, ended, total);
            close(v->ready);
            v->pid = 0;
            ended++;
            sum += took;
            slowest = took > slowest ? took : slowest;
        }
    }
    test_note("%d of %d ended cleanly; from SIGTERM to the end %.0f ms on average, %.0f ms at most (bound: %d)", ended,
              total, sum / total, slowest, LINGER_MS + GRACE_MS);
}

// ---- Threads ----

// The value of a line of /proc/self/task/THREAD/status.
static bool status_value(const char* thread, const char* key, char* out, size_t size) {
    char path[64], line[512];
    snprintf(path, sizeof(path), "/proc/self/task/%.16s/status", thread);
    FILE* f = fopen(path, "r");
    bool found = false;
    while ( f && ! found && fgets(line, sizeof(line), f) ) {
        const size_t n = strlen(key);
        if ( strncmp(line, key, n) == 0 && line[n] == ':' ) {
            const char* value = line + n + 1;
            while ( isspace((unsigned char)*value) )
                value++;
            snprintf(out, size, "%s", value);
            out[strcspn(out, "\n")] = '\0';
            found = true;
        }
    }
    if ( f )
        fclose(f);
    return found;
}

// Calls f for each thread but this one. Returns how many there were.
static int each_engine_thread(void (*f)(const char* thread, const char* name, const void* arg), const void* arg) {
    char self[16], name[64];
    snprintf(self, sizeof(self), "%d", gettid());
    int n = 0;
    DIR* d = opendir("/proc/self/task");
    for ( struct dirent* e; (e = readdir(d)); ) {
        if ( e->d_name[0] == '.' || strcmp(e->d_name, self) == 0 )
            continue;
        if ( ! status_value(e->d_name, "Name", name, sizeof(name)) )
            continue; // it has ended
        f(e->d_name, name, arg);
        n++;
    }
    closedir(d);
    return n;
}

static void expect_cpus(const char* thread, const char* name, const void* all) {
    char cpus[256];
    if ( status_value(thread, "Cpus_allowed_list", cpus, sizeof(cpus)) )
        CHECK(strcmp(cpus, all) == 0, "thread %s (%s) is allowed on CPUs %s; due was %s", name, thread, cpus,
              (const char*)all);
}

static void a_pinned_host_does_not_pin_the_engine(void) {
    char self[16], all[256], mine[256], after[256];
    snprintf(self, sizeof(self), "%d", gettid());
    status_value(self, "Cpus_allowed_list", all, sizeof(all));
    cpu_set_t cpus;
    sched_getaffinity(0, sizeof(cpus), &cpus);
    if ( CPU_COUNT(&cpus) < 2 )
        test_skip("only one CPU is allowed here");

    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    CHECK(sched_setaffinity(0, sizeof(one), &one) == 0, "cannot pin this process: %s", strerror(errno));
    status_value(self, "Cpus_allowed_list", mine, sizeof(mine));

    load l;
    load_start(&l, "500");
    const int threads = each_engine_thread(expect_cpus, all);
    for ( int i = 0; i < 200; i++ )
        load_turn(&l);
    each_engine_thread(expect_cpus, all);
    load_drain(&l);
    CHECK(threads >= 4, "only %d threads beside this one", threads);
    status_value(self, "Cpus_allowed_list", after, sizeof(after));
    CHECK(strcmp(after, mine) == 0, "this thread was pinned to %s and is now to %s", mine, after);
    load_stop(&l);
    test_note("host on CPU %s, %d threads of the engine on %s", mine, threads, all);
}

static void expect_blocked(const char* thread, const char* name, const void* arg) {
    (void)arg;
    static const int blocked[] = {SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGUSR1, SIGUSR2};
    char text[64];
    if ( ! status_value(thread, "SigBlk", text, sizeof(text)) )
        return;
    const unsigned long long mask = strtoull(text, NULL, 16);
    for ( size_t i = 0; i < sizeof(blocked) / sizeof(blocked[0]); i++ )
        CHECK(mask >> (blocked[i] - 1) & 1, "thread %s (%s) does not block signal %d (%s); SigBlk %s", name, thread,
              blocked[i], strsignal(blocked[i]), text);
}

static void engine_threads_block_the_hosts_signals(void) {
    sigset_t before, after;
    sigprocmask(SIG_BLOCK, NULL, &before);
    load l;
    load_start(&l, "500");
    int threads = each_engine_thread(expect_blocked, NULL);
    for ( int i = 0; i < 500; i++ )
        load_turn(&l);
    threads = each_engine_thread(expect_blocked, NULL);
    sigprocmask(SIG_BLOCK, NULL, &after);
    for ( int sig = 1; sig < 32; sig++ )
        CHECK(sigismember(&before, sig) == sigismember(&after, sig), "signal %d in this thread's mask changed", sig);
    load_drain(&l);
    load_stop(&l);
    test_note("%d threads looked at", threads);
}

// ---- Dispositions ----

static void on_pipe(int sig) { (void)sig; }

static void dispositions_stay(void) {
    static const int signals[] = {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGUSR1, SIGUSR2, SIGQUIT};
    struct sigaction ours = {.sa_handler = on_pipe}, now;
    const struct sigaction standard = {.sa_handler = SIG_DFL};
    for ( size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++ )
        __real_sigaction(signals[i], &standard, NULL); // a shell may have had some ignored
    __real_sigaction(SIGPIPE, &ours, NULL);
    __real_sigaction(SIGTERM, &ours, NULL);
    load l;
    load_start(&l, "500");
    for ( int i = 0; i < 100; i++ )
        load_turn(&l);
    for ( size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++ ) {
        __real_sigaction(signals[i], NULL, &now);
        const bool handled = signals[i] == SIGPIPE || signals[i] == SIGTERM;
        CHECK(now.sa_handler == (handled ? on_pipe : SIG_DFL), "the disposition of signal %d (%s) changed", signals[i],
              strsignal(signals[i]));
    }
    // And the default for SIGPIPE, in which most programs leave it.
    load_drain(&l);
    load_stop(&l);
}

static void default_sigpipe_stays(void) {
    struct sigaction now;
    load l;
    load_start(&l, "500");
    __real_sigaction(SIGPIPE, NULL, &now);
    CHECK(now.sa_handler == SIG_DFL, "the disposition of SIGPIPE is no longer the default");
    load_drain(&l);
    load_stop(&l);
}

// ---- Fork ----

static void a_forked_child_gets_an_error(void) {
    load l;
    load_start(&l, "500");
    for ( int i = 0; i < 20; i++ ) {
        for ( int k = 0; k < 20; k++ )
            load_turn(&l);
        // Made here, so that the child allocates less: a sanitizer's malloc() may
        // hang in the child of a process with threads.
        zz_channel* ch = zz_channel_new(&l.a.counters);
        const pid_t child = fork();
        if ( child == 0 ) {
            alarm((unsigned)test_ms(20));
            const zeekzmq_option o = {"node_id", "child", 5};
            uint64_t handle = 0;
            char err[ERR];
            if ( zz_node_start(&o, 1, ch, &handle, 10000, err, sizeof(err)) != ZEEKZMQ_ELOAD || ! strstr(err, "fork") )
                _exit(1);
            if ( zz_node_stop(l.a.handle, 10000, err, sizeof(err)) != ZEEKZMQ_ELOAD )
                _exit(2);
            _exit(0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        zz_channel_free(ch);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with status 0x%x", status);
    }
    load_drain(&l); // the parent goes on
    load_stop(&l);
}

// ---- Panic ----

static void a_panic_is_a_record_and_a_result(void) {
    use_engine();
    options o = {0};
    option_add(&o, "debug_flags", "1073741824");
    broker hub;
    node bad, good, other;
    broker_start(&hub, "500");
    node_up(&good, "good", &hub, NULL);
    node_up(&other, "other", &hub, NULL);
    link_nodes(&other, &good, "abi.");
    node_up(&bad, "bad", &hub, &o);
    publish(&bad, "abi.", 1);

    const zz_record* r;
    while ( (r = node_next(&bad, test_ms(20000))) && r->kind != ZZ_FATAL )
        node_done(&bad, r);
    CHECK(r, "no ZZ_FATAL arrived");
    char text[ERR];
    snprintf(text, sizeof(text), "%.*s", (int)r->payload_len, (const char*)zz_record_payload(r));
    CHECK(strstr(text, "panic") && strstr(text, "goroutine") && strstr(text, ".go:"),
          "the text has no message and stack: %s", text);
    node_done(&bad, r);

    // The process lives, and with it the other nodes.
    publish(&good, "abi.", 5);
    node_await(&other, ZZ_EVENT, "abi.");

    char err[ERR] = "";
    const int32_t rc = zz_node_stop(bad.handle, test_ms(20000), err, sizeof(err));
    CHECK(rc == ZEEKZMQ_EPANIC, "stop of the dead node: result %d, %s", rc, err);
    CHECK(strstr(err, "goroutine"), "the result's text has no stack: %s", err);
    CHECK(zz_node_stop(bad.handle, test_ms(20000), err, sizeof(err)) == ZEEKZMQ_EHANDLE, "second stop: %s", err);

    node_stop(&good);
    node_stop(&other);
    broker_stop(&hub);
    node_free(&good);
    node_free(&other);
    node_free(&bad);
    CHECK(handles_open() == 0, "%d handles are open", handles_open());
}

static bool threads_are_back(void* arg) { return count_threads() <= ((int*)arg)[0] && count_fds() <= ((int*)arg)[1]; }

static void panics_leave_nothing_behind(void) {
    use_engine();
    options o = {0};
    option_add(&o, "debug_flags", "1073741824");
    int base[2] = {0, 0};
    enum { ROUNDS = 20 };
    for ( int i = 0; i < ROUNDS; i++ ) {
        broker hub;
        node bad;
        broker_start(&hub, "500");
        node_up(&bad, "bad", &hub, &o);
        publish(&bad, "abi.", 1);
        const zz_record* r;
        while ( (r = node_next(&bad, test_ms(20000))) && r->kind != ZZ_FATAL )
            node_done(&bad, r);
        CHECK(r, "no ZZ_FATAL arrived");
        char err[ERR] = "";
        const int32_t rc = zz_node_stop(bad.handle, test_ms(20000), err, sizeof(err));
        CHECK(rc == ZEEKZMQ_EPANIC, "stop of the dead node: result %d, %s", rc, err);
        node_free(&bad);
        broker_stop(&hub);
        if ( i == 4 ) {
            base[0] = count_threads() + 3;
            base[1] = count_fds();
        }
    }
    CHECK(wait_until(threads_are_back, base, 10000), "%d panics later: %d threads, %d descriptors; before: %d and %d",
          ROUNDS - 5, count_threads(), count_fds(), base[0] - 3, base[1]);
}

static const test tests[] = {
    {"hard_signals_under_load_do_no_harm", signals_under_load_do_no_harm, 120},
    {"hard_sigchld_on_engine_threads_does_no_harm", sigchld_on_engine_threads_does_no_harm, 60},
    {"hard_sigterm_under_load_ends_in_time", sigterm_under_load_ends_in_time, 300},
    {"hard_pinned_host_does_not_pin_the_engine", a_pinned_host_does_not_pin_the_engine, 0},
    {"hard_engine_threads_block_the_hosts_signals", engine_threads_block_the_hosts_signals, 0},
    {"hard_dispositions_stay", dispositions_stay, 0},
    {"hard_default_sigpipe_stays", default_sigpipe_stays, 0},
    {"hard_forked_child_gets_an_error", a_forked_child_gets_an_error, 0},
    {"hard_panic_is_a_record_and_a_result", a_panic_is_a_record_and_a_result, 0},
    {"hard_panics_leave_nothing_behind", panics_leave_nothing_behind, 0},
};

// The role of a process that hard_sigterm_under_load_ends_in_time starts.
static const test roles[] = {{"until_sigterm", until_sigterm, 0}};

int main(int argc, char** argv) {
    if ( argc == 4 && strcmp(argv[3], roles[0].name) == 0 )
        return test_main(argc, argv, roles, 1);
    return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
