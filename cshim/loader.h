/* SPDX-License-Identifier: BSD-3-Clause
 *
 * loader.h - loads libzeekzmq.so when it is first needed, and makes every call
 * into it on a control thread.
 *
 * Why a thread: the Go runtime inherits the signal mask and the CPU affinity
 * of the thread that loads it, and a signal that lands on a thread running Go
 * uses Go's small stack unless its handler has SA_ONSTACK. The control thread
 * has all signals blocked and every CPU allowed; the host's threads never run
 * Go code, so nothing about them changes. It also lets a call give up: no
 * function here waits longer than its deadline, whatever the library does.
 *
 * What cannot be masked on Go's threads is SIGCHLD: a handler that the host
 * has for it gets SA_ONSTACK added, before the load and before each call. The
 * handler that the Go runtime installs for SIGPIPE is replaced by what was
 * there before. Those for SIGSEGV, SIGBUS and SIGFPE stay, since Go needs
 * them; they pass on what is not Go's.
 *
 * The library cannot be unloaded, nor used in a child after fork() without
 * exec(): calls in such a child give ZEEKZMQ_ELOAD. glibc only.
 *
 * Every function may be called from any thread; calls are made one at a time.
 * Results and err are as in zeekzmq.h, with ZEEKZMQ_ELOAD and ZEEKZMQ_ETIMEOUT
 * added. After a timeout every later call gives ZEEKZMQ_ETIMEOUT at once, and
 * the channel or counters of a start that timed out are lost to the caller: the
 * start may still come, and use them.
 */
#ifndef ZEEKZMQ_LOADER_H
#define ZEEKZMQ_LOADER_H

#include "zeekzmq.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sets the library's path. Nothing is loaded until the first call below. The
 * first path set stays. */
void zz_set_library(const char* path);

/* True once the library is in the process. */
bool zz_loaded(void);

/* As the zeekzmq_* functions of the same name. start_ms and stop_ms bound the
 * wait, in milliseconds; negative: no bound. */
int32_t zz_node_start(const zeekzmq_option* options, size_t n, zz_channel* ch, uint64_t* node, int start_ms, char* err,
                      size_t err_size);
int32_t zz_node_stop(uint64_t node, int stop_ms, char* err, size_t err_size);
int32_t zz_broker_start(const zeekzmq_option* options, size_t n, zz_broker_stats* stats, uint64_t* broker, int start_ms,
                        char* err, size_t err_size);
int32_t zz_broker_stop(uint64_t broker, int stop_ms, char* err, size_t err_size);

int32_t zz_keypair(char public_key[41], char secret_key[41], char* err, size_t err_size);

/* *n is 0, and nothing is loaded, if the library is not in the process. */
int32_t zz_open_handles(uint64_t* n, char* err, size_t err_size);

#ifdef __cplusplus
}
#endif

#endif
