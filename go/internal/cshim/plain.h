/* SPDX-License-Identifier: BSD-3-Clause
 *
 * plain.h - events that can be delivered without a second thought.
 *
 * Any thread. Go's validator (package event) decides which payloads are let
 * through; this knows the most common of them, so that a small event reaches
 * the host without Go being entered. It refuses nothing: what is not plain is
 * Go's to decide. Everything plain passes Go's validator (FuzzPlain).
 */
#ifndef ZEEKZMQ_PLAIN_H
#define ZEEKZMQ_PLAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    ZZ_PLAIN_MAX = 1 << 18, /* longest payload, in bytes: below the least bound on the number of values */
    ZZ_PLAIN_LEVELS = 16,   /* deepest nesting of values */
};

/* The format of which plain events are. */
#define ZZ_PLAIN_FORMAT "broker-bin-v1"

/* Whether the n bytes at p are a plain event of ZZ_PLAIN_FORMAT. If so, *name
 * and *name_len are its name, which lies among them. */
bool zz_plain(const uint8_t* p, size_t n, const uint8_t** name, size_t* name_len);

#endif
