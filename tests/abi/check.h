/* SPDX-License-Identifier: BSD-3-Clause
 *
 * check.h - a small test frame for C programs.
 *
 * Every test runs in a process of its own, started by fork and exec of the
 * same program: what a test does to its process (a loaded Go runtime, signal
 * handlers, descriptors) ends with it, and a test that crashes or hangs is a
 * failed test. Each prints one line: "ok NAME", "FAIL NAME: why" or
 * "SKIPPED NAME: why".
 *
 *   PROGRAM              runs all its tests
 *   PROGRAM NAME...      runs tests whose names start with one of these
 *   PROGRAM --list       prints their names
 *
 * Environment:
 *   TEST_WRAPPER    a command, split at spaces, under which tests are run (valgrind)
 *   TEST_SLOWDOWN   time limits are multiplied by it (default 1)
 *   TEST_DIVISOR    repetition counts are divided by it (default 1)
 */
#ifndef ZEEKZMQ_TESTS_CHECK_H
#define ZEEKZMQ_TESTS_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct test {
    const char* name;
    void (*run)(void);
    int seconds; /* its time limit, before TEST_SLOWDOWN; 0: 60 */
} test;

/* Runs the tests that the command line asks for. The exit code for main(): 0
 * if none failed. */
int test_main(int argc, char** argv, const test* tests, size_t n);

/* Ends the test as failed, from any thread. */
_Noreturn void test_fail(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* Ends the test as skipped. */
_Noreturn void test_skip(const char* format, ...) __attribute__((format(printf, 1, 2)));

/* Adds a line about a passed test to the output: a measured number. */
void test_note(const char* format, ...) __attribute__((format(printf, 1, 2)));

#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        if ( ! (condition) )                                                                                           \
            test_fail(__VA_ARGS__);                                                                                    \
    } while ( 0 )

/* n divided by TEST_DIVISOR, at least 1. */
uint64_t test_count(uint64_t n);

/* ms multiplied by TEST_SLOWDOWN. */
int test_ms(int ms);

/* The path of this program, for tests that start it in another role. */
const char* test_program(void);

/* Milliseconds of a clock that never steps. */
double now_ms(void);

/* Entries of /proc/self/fd and /proc/self/task. */
int count_fds(void);
int count_threads(void);

/* True once condition(arg) is, false after ms milliseconds (before
 * TEST_SLOWDOWN). Looks again every millisecond. */
bool wait_until(bool (*condition)(void*), void* arg, int ms);

/* A fast generator of repeatable numbers. */
typedef struct rng {
    uint64_t state;
} rng;
uint64_t rng_next(rng* r);
/* A number in [0, n). */
uint64_t rng_below(rng* r, uint64_t n);

#endif
