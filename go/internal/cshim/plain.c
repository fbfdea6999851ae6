// SPDX-License-Identifier: BSD-3-Clause
//
// See plain.h. Any thread.
//
// Everything below reads from p up to end, and returns where it stopped, or NULL
// if it found something that is not plain. Loops take time linear in the bytes.

#include "plain.h"

#include <string.h>

// The type tags of broker-bin-v1.
enum { COUNT = 2, STRING = 5, SUBNET = 7, PORT = 8, ENUM = 11, SET = 12, TABLE = 13, LIST = 14, TAGS = 15 };

// How many bytes follow a tag; VARIABLE: a length or a number of elements first.
enum { VARIABLE = 255 };
static const uint8_t size_of[TAGS] = {0, 1, 8, 8, 8, VARIABLE, 16, 17, 3, 8, 8, VARIABLE, VARIABLE, VARIABLE, VARIABLE};

// A length, in at most three bytes of seven bits.
static const uint8_t* length(const uint8_t* p, const uint8_t* end, size_t* v) {
    *v = 0;
    for ( int i = 0; i < 3 && p < end; i++ ) {
        const uint8_t b = *p++;
        *v |= (size_t)(b & 0x7f) << (7 * i);
        if ( b < 0x80 )
            return p;
    }
    return NULL;
}

// A tag, and a length that is at most what is left.
static const uint8_t* head(const uint8_t* p, const uint8_t* end, uint8_t tag, size_t* v) {
    if ( p == end || *p != tag )
        return NULL;
    p = length(p + 1, end, v);
    return p && *v <= (size_t)(end - p) ? p : NULL;
}

static bool is_plain_subnet(const uint8_t* p) {
    static const uint8_t v4[12] = {[10] = 0xff, [11] = 0xff};
    return p[16] <= 128 && (p[16] >= 96 || memcmp(p, v4, sizeof(v4)) != 0);
}

static const uint8_t* values(const uint8_t* p, const uint8_t* end, size_t n) {
    size_t left[ZZ_PLAIN_LEVELS]; // values to come, at each level
    int level = 0;
    left[0] = n;

    for ( ;; ) {
        while ( left[level] == 0 )
            if ( level-- == 0 )
                return p;
        left[level]--;

        if ( p == end || *p >= TAGS )
            return NULL;
        const uint8_t tag = *p++;
        const uint8_t size = size_of[tag];
        if ( size != VARIABLE ) {
            if ( size > (size_t)(end - p) || (tag == PORT && p[2] > 3) || (tag == SUBNET && ! is_plain_subnet(p)) )
                return NULL;
            p += size;
            continue;
        }

        size_t k;
        p = length(p, end, &k);
        if ( ! p || k > (size_t)(end - p) )
            return NULL;
        if ( tag == STRING || tag == ENUM ) {
            p += k;
            continue;
        }

        // A list of a string and something may be an opaque value.
        if ( tag == LIST && k == 2 && *p == STRING )
            return NULL;
        if ( ++level == ZZ_PLAIN_LEVELS )
            return NULL;
        left[level] = tag == TABLE ? 2 * k : k;
    }
}

static const uint8_t* metadata(const uint8_t* p, const uint8_t* end) {
    size_t n;
    p = head(p, end, LIST, &n);
    for ( ; p && n > 0; n-- ) {
        size_t items;
        p = head(p, end, LIST, &items);
        if ( ! p || items != 2 || end - p < 9 || *p != COUNT )
            return NULL;
        p = values(p + 9, end, 1);
    }
    return p;
}

bool zz_plain(const uint8_t* p, size_t n, const uint8_t** name, size_t* name_len) {
    // A list of 3: version 1, kind 1, and a list of 2 or 3.
    static const uint8_t envelope[] = {LIST, 3, COUNT, 0, 0, 0, 0, 0, 0, 0, 1, COUNT, 0, 0, 0, 0, 0, 0, 0, 1, LIST};
    const uint8_t* end = p + n;
    if ( n > ZZ_PLAIN_MAX || n <= sizeof(envelope) || memcmp(p, envelope, sizeof(envelope)) != 0 )
        return false;
    p += sizeof(envelope);
    const uint8_t items = *p++;
    if ( items != 2 && items != 3 )
        return false;

    p = head(p, end, STRING, name_len);
    if ( ! p || *name_len == 0 )
        return false;
    *name = p;
    p += *name_len;

    size_t arguments;
    p = head(p, end, LIST, &arguments);
    if ( p )
        p = values(p, end, arguments);
    if ( p && items == 3 )
        p = metadata(p, end);
    return p == end;
}
