/* SPDX-License-Identifier: BSD-3-Clause
 *
 * cures.h - takes single precautions of the loader away, so that the tests for
 * them can be seen to fail.
 *
 * The test programs are linked with --wrap for the functions by which
 * loader.c takes its precautions. What the environment variable WITHOUT names
 * is then left out:
 *
 *   mask      signals are not blocked around the start of the control thread
 *   affinity  the control thread keeps the host's CPU affinity
 *   sigchld   the host's SIGCHLD handler does not get SA_ONSTACK
 *   sigpipe   the disposition of SIGPIPE is not put back
 *   fork      a forked child is not recognised
 *   deadline  calls have no deadline
 */
#ifndef ZEEKZMQ_TESTS_CURES_H
#define ZEEKZMQ_TESTS_CURES_H

#include <stdbool.h>

/* True if WITHOUT names this cure. */
bool without(const char* cure);

#endif
