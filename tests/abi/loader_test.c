// SPDX-License-Identifier: BSD-3-Clause
//
// loader.h against libraries that are not the engine: none, wrong ones, and
// one that answers, answers late or never answers (double.c). The doubles lie
// in the folder that DOUBLES names.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "loader.h"

#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "cures.h"
#include "double.h"

enum { ERR = 1024 };

pid_t __real_getpid(void);

static const char* double_path(const char* name) {
    static char path[4096];
    const char* folder = getenv("DOUBLES");
    snprintf(path, sizeof(path), "%s/%s", folder ? folder : "build/doubles", name);
    return path;
}

// -1 if the engine cannot be asked.
static int handles_open(void) {
    uint64_t n = 99;
    char err[ERR];
    return zz_open_handles(&n, err, ERR) == ZEEKZMQ_OK ? (int)n : -1;
}

static int32_t start_with(const char* act, uint64_t* handle, int ms, char* err) {
    const zeekzmq_option o = {"act", act, strlen(act)};
    return zz_node_start(&o, 1, NULL, handle, ms, err, ERR);
}

// Loads the double that answers.
static void load_double(void) {
    char err[ERR];
    uint64_t handle = 0;
    zz_set_library(double_path("double.so"));
    const int32_t rc = start_with("", &handle, test_ms(10000), err);
    CHECK(rc == ZEEKZMQ_OK, "cannot load the double: %d %s", rc, err);
    CHECK(handle == DOUBLE_FIRST_HANDLE, "handle %lu", (unsigned long)handle);
    CHECK(zz_loaded(), "zz_loaded() is false after a successful call");
}

static int (*double_function(const char* name))(void) {
    void* so = dlopen(double_path("double.so"), RTLD_NOW | RTLD_NOLOAD);
    CHECK(so, "the double is not loaded");
    int (*f)(void) = (int (*)(void))dlsym(so, name);
    CHECK(f, "the double has no %s", name);
    return f;
}

// Every kind of call must say the same, and nothing may count as loaded.
static void expect_refusal(const char* first, const char* second) {
    for ( int i = 0; i < 4; i++ ) {
        char err[ERR] = "";
        uint64_t handle = 0;
        int32_t rc = 0;
        switch ( i ) {
            case 0: rc = zz_node_start(NULL, 0, NULL, &handle, test_ms(10000), err, ERR); break;
            case 1: rc = zz_broker_start(NULL, 0, NULL, &handle, test_ms(10000), err, ERR); break;
            case 2: rc = zz_node_stop(1, test_ms(10000), err, ERR); break;
            case 3: rc = zz_broker_stop(1, test_ms(10000), err, ERR); break;
        }
        CHECK(rc == ZEEKZMQ_ELOAD, "call %d gave %d (%s); due was %d", i, rc, err, ZEEKZMQ_ELOAD);
        CHECK(strstr(err, first) && strstr(err, second), "call %d says \"%s\"; \"%s\" and \"%s\" were due in it", i,
              err, first, second);
        CHECK(handle == 0, "call %d set a handle", i);
        CHECK(! zz_loaded(), "zz_loaded() is true without a library");
        CHECK(handles_open() == 0, "open handles without a library");
        char keys[2][41] = {"", ""};
        CHECK(zz_keypair(keys[0], keys[1], err, ERR) == ZEEKZMQ_ELOAD && ! keys[0][0], "a key pair without a library");
    }
}

static void asks_for_a_path(void) { expect_refusal("no path", "libzeekzmq.so"); }

static void names_a_missing_file(void) {
    const char* path = double_path("not-there.so");
    zz_set_library(path);
    expect_refusal(path, "No such file");
}

static void names_a_file_that_is_no_library(void) {
    const char* path = double_path("not-a-library.so");
    zz_set_library(path);
    expect_refusal(path, "cannot load");
}

static void names_a_missing_symbol(void) {
    const char* path = double_path("double-incomplete.so");
    zz_set_library(path);
    expect_refusal(path, "zeekzmq_node_stop");
}

static void names_both_abi_versions(void) {
    char versions[64];
    snprintf(versions, sizeof(versions), "ABI version %d, this program version %d", ZEEKZMQ_ABI_VERSION + 1,
             ZEEKZMQ_ABI_VERSION);
    zz_set_library(double_path("double-other-abi.so"));
    expect_refusal("double-other-abi.so", versions);
}

static void first_path_stays(void) {
    zz_set_library(double_path("double.so"));
    zz_set_library(double_path("not-there.so"));
    CHECK(! zz_loaded(), "setting a path loads the library");
    load_double();
}

static void nothing_happens_before_the_first_call(void) {
    const int threads = count_threads(), fds = count_fds();
    zz_set_library(double_path("double.so"));
    CHECK(handles_open() == 0 && ! zz_loaded(), "something is loaded");
    CHECK(count_threads() == threads && count_fds() == fds, "a thread or a descriptor more before the first call");
}

static void passes_options_whole(void) {
    load_double();
    char err[ERR];
    uint64_t handle = 0;
    const zeekzmq_option options[] = {
        {"act", "echo+not part of it", 4}, {"empty", "", 0}, {"same", "1", 1}, {"same", "2", 1}, {"nul", "a\0b", 3},
    };
    const int32_t rc = zz_node_start(options, 5, NULL, &handle, test_ms(10000), err, ERR);
    CHECK(rc == ZEEKZMQ_EOPTION, "result %d", rc);
    CHECK(strcmp(err, "act=echo(4);empty=(0);same=1(1);same=2(1);nul=a(3);") == 0, "options arrived as %s", err);
    CHECK(handle == 0, "a failed start set a handle");
}

static void passes_results_and_handles(void) {
    load_double();
    char err[ERR] = "left over";
    uint64_t broker = 0;
    CHECK(zz_broker_start(NULL, 0, NULL, &broker, test_ms(10000), err, ERR) == ZEEKZMQ_OK, "broker start: %s", err);
    CHECK(broker == DOUBLE_FIRST_HANDLE + 1 && err[0] == '\0', "handle %lu, text \"%s\"", (unsigned long)broker, err);
    CHECK(handles_open() == 2, "%d open handles; due were 2", handles_open());
    CHECK(zz_node_stop(DOUBLE_UNKNOWN, test_ms(10000), err, ERR) == ZEEKZMQ_EHANDLE, "stop of an unknown handle");
    CHECK(strcmp(err, "no such handle") == 0, "text \"%s\"", err);
    CHECK(zz_broker_stop(broker, test_ms(10000), err, ERR) == ZEEKZMQ_OK, "broker stop: %s", err);
    CHECK(zz_node_stop(DOUBLE_FIRST_HANDLE, -1, err, ERR) == ZEEKZMQ_OK, "node stop: %s", err);
    CHECK(handles_open() == 0, "%d open handles; due were 0", handles_open());
}

static void passes_key_pairs(void) {
    load_double();
    char keys[2][41] = {"", ""}, err[ERR];
    CHECK(zz_keypair(keys[0], keys[1], err, ERR) == ZEEKZMQ_OK, "%s", err);
    CHECK(strcmp(keys[0], DOUBLE_PUBLIC_KEY) == 0 && strcmp(keys[1], DOUBLE_SECRET_KEY) == 0, "keys %s and %s", keys[0],
          keys[1]);
}

static void cuts_texts_to_the_buffer(void) {
    load_double();
    char err[ERR + 1];
    memset(err, '#', sizeof(err));
    uint64_t handle = 0;
    CHECK(start_with("long", &handle, test_ms(10000), err) == ZEEKZMQ_EENDPOINT, "result");
    CHECK(strlen(err) == ERR - 1 && err[ERR] == '#', "a long text has %zu bytes in a buffer of %d", strlen(err), ERR);

    const zeekzmq_option o = {"act", "long", 4};
    char one = '#';
    CHECK(zz_node_start(&o, 1, NULL, &handle, -1, &one, 1) == ZEEKZMQ_EENDPOINT && one == '\0', "a buffer of one byte");
    CHECK(zz_node_start(&o, 1, NULL, &handle, -1, NULL, 0) == ZEEKZMQ_EENDPOINT, "no buffer");
    CHECK(zz_node_start(&o, 1, NULL, NULL, -1, NULL, 0) == ZEEKZMQ_EENDPOINT, "no buffer and no handle");
}

static int cpus_allowed(void) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    sched_getaffinity(0, sizeof(cpus), &cpus);
    return CPU_COUNT(&cpus);
}

static void calls_from_a_sheltered_thread(void) {
    const int cpus = cpus_allowed();
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof(one), &one);
    sigset_t before, after;
    sigprocmask(SIG_BLOCK, NULL, &before);

    load_double();
    char err[ERR], due[ERR];
    uint64_t handle = 0;
    start_with("thread", &handle, test_ms(10000), err);
    snprintf(due, sizeof(due), "thread zeekzmq-control, 0 signals open, %d CPUs", cpus);
    CHECK(strcmp(err, due) == 0, "called from %s; due was %s", err, due);

    sigprocmask(SIG_BLOCK, NULL, &after);
    for ( int sig = 1; sig < 32; sig++ )
        CHECK(sigismember(&before, sig) == sigismember(&after, sig), "signal %d in the host's mask changed", sig);
    CHECK(cpus_allowed() == 1, "the host's affinity changed to %d CPUs", cpus_allowed());
}

static atomic_int wrong_thread;
static void note_thread(int sig) {
    (void)sig;
    if ( gettid() != getpid() )
        atomic_fetch_add(&wrong_thread, 1);
}

static void host_handlers_never_run_on_it(void) {
    struct sigaction sa = {.sa_handler = note_thread};
    sigaction(SIGTERM, &sa, NULL);
    load_double();
    char err[ERR];
    uint64_t handle = 0;
    CHECK(start_with("signals", &handle, test_ms(10000), err) == ZEEKZMQ_OK, "%s", err);
    CHECK(atomic_load(&wrong_thread) == 0, "the host's handler ran on the engine's thread");
}

static void on_signal(int sig) { (void)sig; }
static void on_siginfo(int sig, siginfo_t* info, void* context) {
    (void)sig;
    (void)info;
    (void)context;
}

static void sigchld_handlers_get_a_stack(void) {
    struct sigaction sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART}, now;
    sigaddset(&sa.sa_mask, SIGALRM);
    sigaction(SIGCHLD, &sa, NULL);
    load_double();
    sigaction(SIGCHLD, NULL, &now);
    CHECK(now.sa_flags & SA_ONSTACK, "the handler has no SA_ONSTACK after the load");
    CHECK(now.sa_handler == on_signal && (now.sa_flags & SA_RESTART) && sigismember(&now.sa_mask, SIGALRM),
          "the handler changed otherwise");

    // One that comes later is seen to at the next call.
    struct sigaction later = {.sa_sigaction = on_siginfo, .sa_flags = SA_SIGINFO};
    sigaction(SIGCHLD, &later, NULL);
    handles_open();
    sigaction(SIGCHLD, NULL, &now);
    CHECK((now.sa_flags & SA_ONSTACK) && (now.sa_flags & SA_SIGINFO) && now.sa_sigaction == on_siginfo,
          "a later handler has no SA_ONSTACK after the next call");

    struct sigaction none = {.sa_handler = SIG_IGN};
    sigaction(SIGCHLD, &none, NULL);
    handles_open();
    sigaction(SIGCHLD, NULL, &now);
    CHECK(now.sa_handler == SIG_IGN && ! (now.sa_flags & SA_ONSTACK), "SIG_IGN changed");
}

static void sigpipe_is_put_back(void) {
    struct sigaction sa = {.sa_handler = on_signal}, now;
    sigaction(SIGPIPE, &sa, NULL);
    load_double();
    sigaction(SIGPIPE, NULL, &now);
    CHECK(now.sa_handler == on_signal && ! (now.sa_flags & SA_ONSTACK), "the handler for SIGPIPE changed");
}

// ---- Deadlines ----

static void expect_stuck(void) {
    char err[ERR];
    uint64_t handle = 0;
    const double start = now_ms();
    CHECK(zz_node_stop(DOUBLE_FIRST_HANDLE, 60000, err, ERR) == ZEEKZMQ_ETIMEOUT, "a later stop: %s", err);
    CHECK(strstr(err, "does not answer"), "a later stop says \"%s\"", err);
    CHECK(zz_broker_start(NULL, 0, NULL, &handle, -1, err, ERR) == ZEEKZMQ_ETIMEOUT, "a later start: %s", err);
    CHECK(handles_open() == -1, "open handles can be asked: %d", handles_open());
    CHECK(now_ms() - start < test_ms(1000), "later calls took %.0f ms", now_ms() - start);
}

static void a_call_that_never_returns_ends_at_its_deadline(void) {
    load_double();
    char err[ERR];
    const double start = now_ms();
    const int32_t rc = zz_node_stop(DOUBLE_NEVER_RETURNS, 300, err, ERR);
    const double took = now_ms() - start;
    CHECK(rc == ZEEKZMQ_ETIMEOUT, "result %d, %s", rc, err);
    CHECK(strstr(err, "300 ms"), "text \"%s\"", err);
    CHECK(took >= 299 && took < 300 + test_ms(700), "took %.1f ms; the deadline was at 300", took);
    test_note("deadline 300 ms, came back after %.1f ms", took);
    expect_stuck();
}

static bool late_call_is_over(void* stops) { return ((int (*)(void))stops)() == 1; }

static void a_call_that_returns_late_stays_given_up(void) {
    load_double();
    char err[ERR];
    CHECK(zz_node_stop(DOUBLE_RETURNS_LATE, 100, err, ERR) == ZEEKZMQ_ETIMEOUT, "%s", err);
    expect_stuck();
    zz_set_library("ignored"); // the lock is free
    CHECK(wait_until(late_call_is_over, (void*)double_function("double_stops"), 10000), "the late call is not over");
    expect_stuck();
}

static void a_start_that_comes_late_is_undone(void) {
    load_double();
    char err[ERR];
    uint64_t handle = 0;
    int (*starts)(void) = double_function("double_starts");
    int (*stops)(void) = double_function("double_stops");
    CHECK(start_with("sleep 400", &handle, 100, err) == ZEEKZMQ_ETIMEOUT, "%s", err);
    CHECK(handle == 0, "a start that was given up set a handle");
    CHECK(wait_until(late_call_is_over, (void*)stops, 10000), "what was started late was never stopped");
    CHECK(starts() == 2 && stops() == 1, "%d starts, %d stops", starts(), stops());
    expect_stuck();
}

typedef struct call {
    pthread_t thread;
    const char* act;
    int ms;
    int32_t result;
    double took;
    char err[ERR];
} call;

static void* make_call(void* arg) {
    call* c = arg;
    uint64_t handle = 0;
    const double start = now_ms();
    c->result =
        c->act ? start_with(c->act, &handle, c->ms, c->err) : zz_node_stop(DOUBLE_NEVER_RETURNS, c->ms, c->err, ERR);
    c->took = now_ms() - start;
    return NULL;
}

static bool call_is_under_way(void* inside) { return ((int (*)(void))inside)() > 0; }

static void begin(call* c) {
    pthread_create(&c->thread, NULL, make_call, c);
    CHECK(wait_until(call_is_under_way, (void*)double_function("double_inside"), 10000), "the call never began");
}

static void waiting_callers_learn_of_a_stuck_call(void) {
    load_double();
    call stuck = {.act = NULL, .ms = 500}, unbounded = {.act = "echo", .ms = -1};
    begin(&stuck);
    pthread_create(&unbounded.thread, NULL, make_call, &unbounded);
    pthread_join(stuck.thread, NULL);
    pthread_join(unbounded.thread, NULL); // hangs if nobody wakes it
    CHECK(stuck.result == ZEEKZMQ_ETIMEOUT, "the stuck call gave %d", stuck.result);
    CHECK(unbounded.result == ZEEKZMQ_ETIMEOUT, "the waiting call gave %d", unbounded.result);
}

// A caller whose time runs out behind a slow call must not condemn the engine.
static void impatience_is_not_an_engine_failure(void) {
    load_double();
    call slow = {.act = "sleep 500", .ms = test_ms(10000)};
    begin(&slow);
    for ( int i = 0; i < 4; i++ ) {
        call hurried = {.act = "sleep 0", .ms = 10 * i};
        make_call(&hurried);
        CHECK(hurried.result == ZEEKZMQ_ETIMEOUT, "a hurried call gave %d: %s", hurried.result, hurried.err);
        CHECK(strstr(hurried.err, "earlier call"), "a hurried call says \"%s\"", hurried.err);
    }
    call patient = {.act = "echo", .ms = test_ms(10000)};
    make_call(&patient);
    CHECK(patient.result == ZEEKZMQ_EOPTION, "a patient call gave %d: %s", patient.result, patient.err);
    pthread_join(slow.thread, NULL);
    CHECK(slow.result == ZEEKZMQ_OK, "the slow call gave %d: %s", slow.result, slow.err);
    CHECK(handles_open() == 2, "%d open handles", handles_open());
}

enum { CALLERS = 8, CALLS_EACH = 200 };

static void* many_calls(void* failed) {
    for ( int i = 0; i < CALLS_EACH; i++ ) {
        char err[ERR];
        uint64_t handle = 0;
        if ( start_with("", &handle, -1, err) != ZEEKZMQ_OK || zz_node_stop(handle, -1, err, ERR) != ZEEKZMQ_OK )
            atomic_fetch_add((atomic_int*)failed, 1);
    }
    return NULL;
}

static void calls_are_made_one_at_a_time(void) {
    zz_set_library(double_path("double.so"));
    atomic_int failed = 0;
    pthread_t threads[CALLERS];
    for ( int i = 0; i < CALLERS; i++ )
        pthread_create(&threads[i], NULL, many_calls, &failed);
    for ( int i = 0; i < CALLERS; i++ )
        pthread_join(threads[i], NULL);
    CHECK(atomic_load(&failed) == 0, "%d calls failed", atomic_load(&failed));
    CHECK(double_function("double_starts")() == CALLERS * CALLS_EACH, "%d starts", double_function("double_starts")());
    CHECK(double_function("double_overlaps")() == 0, "%d calls overlapped", double_function("double_overlaps")());
    CHECK(handles_open() == 0, "%d open handles", handles_open());
}

// ---- Fork ----

static int see_in_child(void) {
    char err[ERR];
    uint64_t handle = 0;
    if ( zz_node_start(NULL, 0, NULL, &handle, 10000, err, ERR) != ZEEKZMQ_ELOAD || ! strstr(err, "fork") )
        return 1;
    if ( zz_node_stop(DOUBLE_FIRST_HANDLE, 10000, err, ERR) != ZEEKZMQ_ELOAD )
        return 2;
    if ( handles_open() != -1 )
        return 3;
    return 0;
}

// What a child sees, as a number; -1 if it crashed or hung. The child ends by
// SIGKILL, since what the other threads' stacks pointed to is lost in it and
// of no interest to a leak checker.
static int in_child(void) {
    int fds[2];
    CHECK(pipe(fds) == 0, "pipe: %s", strerror(errno));
    const pid_t child = fork();
    if ( child == 0 ) {
        alarm((unsigned)test_ms(20)); // a hang is a failure
        const char code = (char)see_in_child();
        ssize_t rc = write(fds[1], &code, 1);
        (void)rc;
        kill(__real_getpid(), SIGKILL);
    }
    close(fds[1]);
    char code = -1;
    if ( read(fds[0], &code, 1) != 1 )
        code = -1;
    close(fds[0]);
    waitpid(child, NULL, 0);
    return code;
}

static void a_forked_child_is_refused(void) {
    load_double();
    const int code = in_child();
    CHECK(code == 0, "the child saw %d", code);
    char err[ERR];
    CHECK(zz_node_stop(DOUBLE_FIRST_HANDLE, test_ms(10000), err, ERR) == ZEEKZMQ_OK, "the parent afterwards: %s", err);
}

static void* call_until_told(void* halt) {
    while ( ! atomic_load((atomic_bool*)halt) ) {
        char err[ERR];
        uint64_t handle = 0;
        start_with("", &handle, -1, err);
    }
    return NULL;
}

// Whatever the control thread and other callers hold at that moment.
static void a_child_forked_amid_calls_is_refused(void) {
    load_double();
    atomic_bool halt = false;
    pthread_t threads[2];
    for ( int i = 0; i < 2; i++ )
        pthread_create(&threads[i], NULL, call_until_told, &halt);
    for ( uint64_t n = test_count(200); n > 0; n-- ) {
        const int code = in_child();
        CHECK(code == 0, "a child saw %d", code);
    }
    atomic_store(&halt, true);
    for ( int i = 0; i < 2; i++ )
        pthread_join(threads[i], NULL);
}

// Zeek's supervisor forks before anything is loaded.
static void a_child_forked_before_the_load_is_not(void) {
    zz_set_library(double_path("double.so"));
    const pid_t child = fork();
    if ( child == 0 ) {
        load_double();
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "the child ended with status %d", status);
    load_double();
}

static const test tests[] = {
    {"loader_asks_for_a_path", asks_for_a_path, 0},
    {"loader_names_a_missing_file", names_a_missing_file, 0},
    {"loader_names_a_file_that_is_no_library", names_a_file_that_is_no_library, 0},
    {"loader_names_a_missing_symbol", names_a_missing_symbol, 0},
    {"loader_names_both_abi_versions", names_both_abi_versions, 0},
    {"loader_first_path_stays", first_path_stays, 0},
    {"loader_does_nothing_before_the_first_call", nothing_happens_before_the_first_call, 0},
    {"loader_passes_options_whole", passes_options_whole, 0},
    {"loader_passes_results_and_handles", passes_results_and_handles, 0},
    {"loader_passes_key_pairs", passes_key_pairs, 0},
    {"loader_cuts_texts_to_the_buffer", cuts_texts_to_the_buffer, 0},
    {"loader_calls_from_a_sheltered_thread", calls_from_a_sheltered_thread, 0},
    {"loader_host_handlers_never_run_on_it", host_handlers_never_run_on_it, 0},
    {"loader_sigchld_handlers_get_a_stack", sigchld_handlers_get_a_stack, 0},
    {"loader_sigpipe_is_put_back", sigpipe_is_put_back, 0},
    {"loader_call_that_never_returns_ends_at_its_deadline", a_call_that_never_returns_ends_at_its_deadline, 20},
    {"loader_call_that_returns_late_stays_given_up", a_call_that_returns_late_stays_given_up, 20},
    {"loader_start_that_comes_late_is_undone", a_start_that_comes_late_is_undone, 20},
    {"loader_waiting_callers_learn_of_a_stuck_call", waiting_callers_learn_of_a_stuck_call, 20},
    {"loader_impatience_is_not_an_engine_failure", impatience_is_not_an_engine_failure, 20},
    {"loader_calls_are_made_one_at_a_time", calls_are_made_one_at_a_time, 0},
    {"loader_forked_child_is_refused", a_forked_child_is_refused, 30},
    {"loader_child_forked_amid_calls_is_refused", a_child_forked_amid_calls_is_refused, 60},
    {"loader_child_forked_before_the_load_is_not", a_child_forked_before_the_load_is_not, 0},
};

int main(int argc, char** argv) { return test_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0])); }
