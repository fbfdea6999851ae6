// SPDX-License-Identifier: BSD-3-Clause
//
// See loader.h. Two kinds of threads run this file: callers, which hand over a
// request and wait, and the control thread, which is the only one to call into
// the library.

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
#include <time.h>
#include <unistd.h>

enum { ERR_SIZE = 8192 };

typedef enum { NODE_START, NODE_STOP, BROKER_START, BROKER_STOP, KEYPAIR, OPEN_HANDLES } request_kind;

// A caller's request. On the heap with copies of its strings, since a caller
// that gives up leaves it to the control thread.
typedef struct request {
    request_kind kind;
    zeekzmq_option* options;
    size_t n;
    zz_channel* ch;
    zz_broker_stats* stats;
    uint64_t handle; /* or a number asked for */
    char keys[2][41];
    int32_t result;
    char err[ERR_SIZE];
    bool done;
    bool abandoned;
} request;

static struct {
    uint32_t (*abi_version)(void);
    int32_t (*node_start)(const zeekzmq_option*, size_t, zz_channel*, uint64_t*, char*, size_t);
    int32_t (*node_stop)(uint64_t, char*, size_t);
    int32_t (*broker_start)(const zeekzmq_option*, size_t, zz_broker_stats*, uint64_t*, char*, size_t);
    int32_t (*broker_stop)(uint64_t, char*, size_t);
    int32_t (*keypair)(char*, char*, char*, size_t);
    int32_t (*open_handles)(uint64_t*);
} lib;

static const struct {
    const char* name;
    void** slot;
} symbols[] = {
    {"zeekzmq_abi_version", (void**)&lib.abi_version},   {"zeekzmq_node_start", (void**)&lib.node_start},
    {"zeekzmq_node_stop", (void**)&lib.node_stop},       {"zeekzmq_broker_start", (void**)&lib.broker_start},
    {"zeekzmq_broker_stop", (void**)&lib.broker_stop},   {"zeekzmq_keypair", (void**)&lib.keypair},
    {"zeekzmq_open_handles", (void**)&lib.open_handles},
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER; // guards all below, but the atomics
static pthread_cond_t submitted;                          // the control thread waits here
static pthread_cond_t finished;                           // callers wait here
static bool started;                                      // the control thread exists
static request* current;                                  // submitted, or being worked on
static bool stuck;                                        // a call never came back
static _Atomic(pid_t) owner;                              // the process that started the thread, or 0
static char* library;
static _Atomic(bool) loaded;

void zz_set_library(const char* path) {
    pthread_mutex_lock(&mutex);
    if ( ! library )
        library = strdup(path);
    pthread_mutex_unlock(&mutex);
}

bool zz_loaded(void) { return atomic_load(&loaded); }

// Go unmasks SIGCHLD on its threads: a handler for it must run on the
// alternate stack there.
static void make_sigchld_safe(void) {
    struct sigaction sa;
    if ( sigaction(SIGCHLD, NULL, &sa) != 0 || (sa.sa_flags & SA_ONSTACK) )
        return;

    if ( ! (sa.sa_flags & SA_SIGINFO) && (sa.sa_handler == SIG_DFL || sa.sa_handler == SIG_IGN) )
        return;

    sa.sa_flags |= SA_ONSTACK;
    sigaction(SIGCHLD, &sa, NULL);
}

// Runs on the control thread, once. False with err filled in if the library
// cannot be used.
static bool load(char* err) {
#ifndef __GLIBC__
    snprintf(err, ERR_SIZE,
             "the engine needs glibc: the Go runtime cannot be loaded into a process with another C library");
    return false;
#else
    if ( ! library ) {
        snprintf(err, ERR_SIZE, "no path to libzeekzmq.so was set");
        return false;
    }

    struct sigaction pipe_before;
    const bool have_pipe = sigaction(SIGPIPE, NULL, &pipe_before) == 0;

    void* so = dlopen(library, RTLD_NOW | RTLD_LOCAL);
    if ( ! so ) {
        const char* why = dlerror();
        snprintf(err, ERR_SIZE, "cannot load %s: %s", library, why ? why : "unknown error");
        return false;
    }

    for ( size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++ ) {
        *symbols[i].slot = dlsym(so, symbols[i].name);
        if ( ! *symbols[i].slot ) {
            snprintf(err, ERR_SIZE, "%s has no symbol %s: it is not this version's library", library, symbols[i].name);
            return false;
        }
    }

    // The first call waits for the Go runtime to be up, after which the signal
    // dispositions are final.
    const uint32_t version = lib.abi_version();
    if ( have_pipe )
        sigaction(SIGPIPE, &pipe_before, NULL);

    if ( version != ZEEKZMQ_ABI_VERSION ) {
        snprintf(err, ERR_SIZE, "%s speaks ABI version %u, this program version %u", library, version,
                 (unsigned)ZEEKZMQ_ABI_VERSION);
        return false;
    }

    atomic_store(&loaded, true);
    return true;
#endif
}

static void request_free(request* r) {
    for ( size_t i = 0; r->options && i < r->n; i++ ) {
        free((char*)r->options[i].name);
        free((char*)r->options[i].value);
    }
    free(r->options);
    free(r);
}

static void perform(request* r) {
    switch ( r->kind ) {
        case NODE_START: r->result = lib.node_start(r->options, r->n, r->ch, &r->handle, r->err, sizeof(r->err)); break;
        case NODE_STOP: r->result = lib.node_stop(r->handle, r->err, sizeof(r->err)); break;
        case BROKER_START:
            r->result = lib.broker_start(r->options, r->n, r->stats, &r->handle, r->err, sizeof(r->err));
            break;
        case BROKER_STOP: r->result = lib.broker_stop(r->handle, r->err, sizeof(r->err)); break;
        case KEYPAIR: r->result = lib.keypair(r->keys[0], r->keys[1], r->err, sizeof(r->err)); break;
        case OPEN_HANDLES: r->result = lib.open_handles(&r->handle); break;
    }
}

// Stops what an abandoned request has started after all: nobody has its handle.
static void undo(request* r) {
    if ( r->result != ZEEKZMQ_OK )
        return;

    if ( r->kind == NODE_START )
        lib.node_stop(r->handle, r->err, sizeof(r->err));
    else if ( r->kind == BROKER_START )
        lib.broker_stop(r->handle, r->err, sizeof(r->err));
}

static void* control_thread(void* arg) {
    (void)arg;
    pthread_setname_np(pthread_self(), "zeekzmq-control");

    // The kernel takes from this what the process may use; a Go runtime that
    // starts on a narrower mask keeps it.
    cpu_set_t all;
    memset(&all, 0xff, sizeof(all));
    sched_setaffinity(0, sizeof(all), &all);

    char why[ERR_SIZE] = "";
    bool tried = false;

    pthread_mutex_lock(&mutex);
    for ( ;; ) {
        while ( ! current || current->done )
            pthread_cond_wait(&submitted, &mutex);

        request* r = current;
        pthread_mutex_unlock(&mutex);

        make_sigchld_safe();

        if ( ! tried ) {
            tried = true;
            load(why);
        }

        if ( atomic_load(&loaded) )
            perform(r);
        else {
            r->result = ZEEKZMQ_ELOAD;
            memcpy(r->err, why, sizeof(r->err));
        }

        pthread_mutex_lock(&mutex);
        r->done = true;
        if ( r->abandoned ) {
            pthread_mutex_unlock(&mutex);
            undo(r);
            pthread_mutex_lock(&mutex);
            current = NULL;
            request_free(r);
        }
        pthread_cond_broadcast(&finished);
    }
    return NULL;
}

// Called with the mutex held.
static bool start_control_thread(char* err, size_t err_size) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&submitted, NULL);
    pthread_cond_init(&finished, &attr);
    pthread_condattr_destroy(&attr);

    // The thread, and every thread that Go will make, starts with this mask.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    pthread_t thread;
    const int rc = pthread_create(&thread, NULL, control_thread, NULL);
    pthread_sigmask(SIG_SETMASK, &before, NULL);

    if ( rc != 0 ) {
        snprintf(err, err_size, "cannot start the control thread: %s", strerror(rc));
        return false;
    }

    pthread_detach(thread);
    atomic_store(&owner, getpid());
    started = true;
    return true;
}

static struct timespec deadline_in(int ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += ms / 1000;
    t.tv_nsec += (long)(ms % 1000) * 1000000;
    if ( t.tv_nsec >= 1000000000 ) {
        t.tv_sec++;
        t.tv_nsec -= 1000000000;
    }
    return t;
}

// Hands r to the control thread, waits, and takes the result. Owns r.
static int32_t submit(request* r, int timeout_ms, uint64_t* handle, char (*keys)[41], char* err, size_t err_size) {
    if ( err_size )
        err[0] = '\0';

    // Before the lock, which the control thread may have held at the fork.
    const pid_t user = atomic_load(&owner);
    if ( user && user != getpid() ) {
        request_free(r);
        snprintf(err, err_size, "the process forked after the engine was loaded: the Go runtime does not survive that");
        return ZEEKZMQ_ELOAD;
    }

    pthread_mutex_lock(&mutex);

    if ( ! started && ! start_control_thread(err, err_size) ) {
        pthread_mutex_unlock(&mutex);
        request_free(r);
        return ZEEKZMQ_ELOAD;
    }

    const struct timespec deadline = deadline_in(timeout_ms < 0 ? 0 : timeout_ms);
    bool in_time = true;

    // Another caller's request may be under way.
    while ( current && ! stuck && in_time )
        in_time = timeout_ms < 0 ? pthread_cond_wait(&finished, &mutex) == 0 :
                                   pthread_cond_timedwait(&finished, &mutex, &deadline) == 0;

    if ( stuck || current || ! in_time ) {
        pthread_mutex_unlock(&mutex);
        request_free(r);
        snprintf(err, err_size, "the engine does not answer: an earlier call has not returned");
        return ZEEKZMQ_ETIMEOUT;
    }

    current = r;
    pthread_cond_signal(&submitted);

    while ( ! r->done && in_time )
        in_time = timeout_ms < 0 ? pthread_cond_wait(&finished, &mutex) == 0 :
                                   pthread_cond_timedwait(&finished, &mutex, &deadline) == 0;

    if ( ! r->done ) {
        stuck = r->abandoned = true;
        pthread_cond_broadcast(&finished);
        pthread_mutex_unlock(&mutex);
        snprintf(err, err_size, "the engine did not answer within %d ms", timeout_ms);
        return ZEEKZMQ_ETIMEOUT;
    }

    current = NULL;
    pthread_cond_broadcast(&finished);
    pthread_mutex_unlock(&mutex);

    const int32_t result = r->result;
    if ( handle && result == ZEEKZMQ_OK )
        *handle = r->handle;
    if ( keys && result == ZEEKZMQ_OK )
        memcpy(keys, r->keys, sizeof(r->keys));
    if ( err_size )
        snprintf(err, err_size, "%s", r->err);
    request_free(r);
    return result;
}

// A request with copies of the options; NULL when memory is short.
static request* request_new(request_kind kind, const zeekzmq_option* options, size_t n) {
    request* r = calloc(1, sizeof(*r));
    if ( ! r )
        return NULL;

    r->kind = kind;
    r->options = calloc(n ? n : 1, sizeof(*r->options));
    if ( ! r->options ) {
        free(r);
        return NULL;
    }

    for ( ; r->n < n; r->n++ ) {
        const zeekzmq_option* o = &options[r->n];
        char* name = strdup(o->name);
        char* value = malloc(o->value_len + 1);
        if ( ! name || ! value ) {
            free(name);
            free(value);
            request_free(r);
            return NULL;
        }
        memcpy(value, o->value, o->value_len);
        value[o->value_len] = '\0';
        r->options[r->n] = (zeekzmq_option){name, value, o->value_len};
    }
    return r;
}

static int32_t no_memory(char* err, size_t err_size) {
    snprintf(err, err_size, "out of memory");
    return ZEEKZMQ_ESYSTEM;
}

int32_t zz_node_start(const zeekzmq_option* options, size_t n, zz_channel* ch, uint64_t* node, int start_ms, char* err,
                      size_t err_size) {
    request* r = request_new(NODE_START, options, n);
    if ( ! r )
        return no_memory(err, err_size);
    r->ch = ch;
    return submit(r, start_ms, node, NULL, err, err_size);
}

int32_t zz_broker_start(const zeekzmq_option* options, size_t n, zz_broker_stats* stats, uint64_t* broker, int start_ms,
                        char* err, size_t err_size) {
    request* r = request_new(BROKER_START, options, n);
    if ( ! r )
        return no_memory(err, err_size);
    r->stats = stats;
    return submit(r, start_ms, broker, NULL, err, err_size);
}

static int32_t stop(request_kind kind, uint64_t handle, int stop_ms, char* err, size_t err_size) {
    request* r = request_new(kind, NULL, 0);
    if ( ! r )
        return no_memory(err, err_size);
    r->handle = handle;
    return submit(r, stop_ms, NULL, NULL, err, err_size);
}

int32_t zz_node_stop(uint64_t node, int stop_ms, char* err, size_t err_size) {
    return stop(NODE_STOP, node, stop_ms, err, err_size);
}

int32_t zz_broker_stop(uint64_t broker, int stop_ms, char* err, size_t err_size) {
    return stop(BROKER_STOP, broker, stop_ms, err, err_size);
}

// For calls that do next to nothing.
enum { SHORT_MS = 10000 };

int32_t zz_keypair(char public_key[41], char secret_key[41], char* err, size_t err_size) {
    request* r = request_new(KEYPAIR, NULL, 0);
    if ( ! r )
        return no_memory(err, err_size);
    char keys[2][41];
    const int32_t result = submit(r, SHORT_MS, NULL, keys, err, err_size);
    if ( result == ZEEKZMQ_OK ) {
        memcpy(public_key, keys[0], sizeof(keys[0]));
        memcpy(secret_key, keys[1], sizeof(keys[1]));
    }
    return result;
}

int32_t zz_open_handles(uint64_t* n, char* err, size_t err_size) {
    *n = 0;
    if ( ! zz_loaded() )
        return ZEEKZMQ_OK;

    request* r = request_new(OPEN_HANDLES, NULL, 0);
    if ( ! r )
        return no_memory(err, err_size);
    return submit(r, SHORT_MS, n, NULL, err, err_size);
}
