// SPDX-License-Identifier: BSD-3-Clause
//
// A library with the engine's symbols and no engine: what the loader does is
// tested with it. Built several times, see the Makefile:
//
//   (plain)           answers as the options and handles below ask
//   DOUBLE_INCOMPLETE lacks zeekzmq_node_stop
//   DOUBLE_OTHER_ABI  speaks another ABI version
//
// node_start does what the value of its first option says:
//   sleep MS    answers after MS milliseconds
//   echo        refuses; the text lists all options, as name=value;
//   thread      refuses; the text describes the calling thread
//   long        refuses with a text that fills err
//   signals     signals SIGTERM to its own thread, then answers
// node_stop does what the handle says: see the enum.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "double.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "zeekzmq.h"

static atomic_int starts, stops, inside, overlaps;

int double_starts(void) { return atomic_load(&starts); }
int double_stops(void) { return atomic_load(&stops); }
int double_inside(void) { return atomic_load(&inside); }
int double_overlaps(void) { return atomic_load(&overlaps); }

static void on_pipe(int sig) { (void)sig; }

// As the Go runtime does.
__attribute__((constructor)) static void take_sigpipe(void) {
    struct sigaction sa = {.sa_handler = on_pipe, .sa_flags = SA_ONSTACK};
    sigaction(SIGPIPE, &sa, NULL);
}

static void sleep_ms(long ms) {
    struct timespec t = {ms / 1000, (ms % 1000) * 1000000};
    while ( nanosleep(&t, &t) != 0 )
        ;
}

static void enter(void) {
    if ( atomic_fetch_add(&inside, 1) != 0 )
        atomic_fetch_add(&overlaps, 1);
}

static int32_t leave(int32_t result) {
    atomic_fetch_sub(&inside, 1);
    return result;
}

static void describe_thread(char* err, size_t err_size) {
    char name[32] = "";
    pthread_getname_np(pthread_self(), name, sizeof(name));
    sigset_t mask;
    pthread_sigmask(SIG_BLOCK, NULL, &mask);
    static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGALRM, SIGCHLD, SIGUSR1, SIGPIPE, SIGPROF};
    int open = 0;
    for ( size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++ )
        open += ! sigismember(&mask, signals[i]);
    cpu_set_t cpus;
    sched_getaffinity(0, sizeof(cpus), &cpus);
    snprintf(err, err_size, "thread %s, %d signals open, %d CPUs", name, open, CPU_COUNT(&cpus));
}

uint32_t zeekzmq_abi_version(void) {
#ifdef DOUBLE_OTHER_ABI
    return ZEEKZMQ_ABI_VERSION + 1;
#else
    return ZEEKZMQ_ABI_VERSION;
#endif
}

static int32_t start(const zeekzmq_option* options, size_t n, uint64_t* handle, char* err, size_t err_size) {
    enter();
    err[0] = '\0';
    const char* act = n ? options[0].value : "";

    if ( strncmp(act, "sleep ", 6) == 0 )
        sleep_ms(strtol(act + 6, NULL, 10));
    else if ( strcmp(act, "echo") == 0 ) {
        size_t at = 0;
        for ( size_t i = 0; i < n && at < err_size; i++ )
            at += (size_t)snprintf(err + at, err_size - at, "%s=%s(%zu);", options[i].name, options[i].value,
                                   options[i].value_len);
        return leave(ZEEKZMQ_EOPTION);
    }
    else if ( strcmp(act, "thread") == 0 ) {
        describe_thread(err, err_size);
        return leave(ZEEKZMQ_ESYSTEM);
    }
    else if ( strcmp(act, "long") == 0 ) {
        memset(err, 'x', err_size - 1);
        err[err_size - 1] = '\0';
        return leave(ZEEKZMQ_EENDPOINT);
    }
    else if ( strcmp(act, "signals") == 0 )
        pthread_kill(pthread_self(), SIGTERM);

    *handle = (uint64_t)DOUBLE_FIRST_HANDLE + (uint64_t)atomic_fetch_add(&starts, 1);
    return leave(ZEEKZMQ_OK);
}

static int32_t stop(uint64_t handle, char* err, size_t err_size) {
    enter();
    err[0] = '\0';
    switch ( handle ) {
        case DOUBLE_NEVER_RETURNS:
            for ( ;; )
                pause();
        case DOUBLE_RETURNS_LATE: sleep_ms(600); break;
        case DOUBLE_UNKNOWN: snprintf(err, err_size, "no such handle"); return leave(ZEEKZMQ_EHANDLE);
        default: break;
    }
    atomic_fetch_add(&stops, 1);
    return leave(ZEEKZMQ_OK);
}

int32_t zeekzmq_node_start(const zeekzmq_option* options, size_t n, zz_channel* ch, uint64_t* node, char* err,
                           size_t err_size) {
    (void)ch;
    return start(options, n, node, err, err_size);
}

int32_t zeekzmq_broker_start(const zeekzmq_option* options, size_t n, zz_broker_stats* stats, uint64_t* broker,
                             char* err, size_t err_size) {
    (void)stats;
    return start(options, n, broker, err, err_size);
}

#ifndef DOUBLE_INCOMPLETE
int32_t zeekzmq_node_stop(uint64_t node, char* err, size_t err_size) { return stop(node, err, err_size); }
#endif

int32_t zeekzmq_broker_stop(uint64_t broker, char* err, size_t err_size) { return stop(broker, err, err_size); }

int32_t zeekzmq_keypair(char public_key[41], char secret_key[41], char* err, size_t err_size) {
    (void)err;
    (void)err_size;
    memcpy(public_key, DOUBLE_PUBLIC_KEY, 41);
    memcpy(secret_key, DOUBLE_SECRET_KEY, 41);
    return ZEEKZMQ_OK;
}

int32_t zeekzmq_open_handles(uint64_t* n) {
    *n = (uint64_t)(atomic_load(&starts) - atomic_load(&stops));
    return ZEEKZMQ_OK;
}
