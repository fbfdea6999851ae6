/* SPDX-License-Identifier: BSD-3-Clause
 *
 * double.h - what double.c offers beside the engine's symbols.
 */
#ifndef ZEEKZMQ_TESTS_DOUBLE_H
#define ZEEKZMQ_TESTS_DOUBLE_H

/* Handles with a meaning for node_stop and broker_stop. */
enum {
    DOUBLE_NEVER_RETURNS = 1,
    DOUBLE_RETURNS_LATE = 2, /* after 600 ms */
    DOUBLE_UNKNOWN = 3,
    DOUBLE_FIRST_HANDLE = 100, /* the first that a start gives */
};

#define DOUBLE_PUBLIC_KEY "0123456789012345678901234567890123456789"
#define DOUBLE_SECRET_KEY "abcdefghijabcdefghijabcdefghijabcdefghij"

int double_starts(void);
int double_stops(void);
int double_inside(void);   /* calls under way */
int double_overlaps(void); /* calls that began while another was under way */

#endif
