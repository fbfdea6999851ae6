// SPDX-License-Identifier: BSD-3-Clause
//
// See cures.h. Only what loader.c does is changed; the tests themselves use
// sigprocmask() and the double-underscore originals where they need these
// functions.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "cures.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

int __real_pthread_sigmask(int how, const sigset_t* set, sigset_t* before);
int __real_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t* set);
int __real_sigaction(int sig, const struct sigaction* act, struct sigaction* before);
pid_t __real_getpid(void);
int __real_pthread_cond_timedwait(pthread_cond_t* cond, pthread_mutex_t* mutex, const struct timespec* deadline);

int __wrap_pthread_sigmask(int how, const sigset_t* set, sigset_t* before);
int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t* set);
int __wrap_sigaction(int sig, const struct sigaction* act, struct sigaction* before);
pid_t __wrap_getpid(void);
int __wrap_pthread_cond_timedwait(pthread_cond_t* cond, pthread_mutex_t* mutex, const struct timespec* deadline);

bool without(const char* cure) {
    const char* text = getenv("WITHOUT");
    return text && strcmp(text, cure) == 0;
}

static bool on_main_thread(void) { return gettid() == __real_getpid(); }

int __wrap_pthread_sigmask(int how, const sigset_t* set, sigset_t* before) {
    if ( without("mask") )
        set = NULL;
    return __real_pthread_sigmask(how, set, before);
}

int __wrap_sched_setaffinity(pid_t pid, size_t size, const cpu_set_t* set) {
    if ( without("affinity") && ! on_main_thread() )
        return 0;
    return __real_sched_setaffinity(pid, size, set);
}

int __wrap_sigaction(int sig, const struct sigaction* act, struct sigaction* before) {
    if ( act && ! on_main_thread() &&
         ((sig == SIGCHLD && without("sigchld")) || (sig == SIGPIPE && without("sigpipe"))) )
        act = NULL;
    return __real_sigaction(sig, act, before);
}

pid_t __wrap_getpid(void) {
    static pid_t first;
    if ( ! without("fork") )
        return __real_getpid();
    if ( ! first )
        first = __real_getpid();
    return first;
}

int __wrap_pthread_cond_timedwait(pthread_cond_t* cond, pthread_mutex_t* mutex, const struct timespec* deadline) {
    if ( without("deadline") )
        return pthread_cond_wait(cond, mutex);
    return __real_pthread_cond_timedwait(cond, mutex, deadline);
}
