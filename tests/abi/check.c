// SPDX-License-Identifier: BSD-3-Clause
//
// See check.h. The parent runs one child at a time and reads its verdict from
// a pipe: one letter for the kind of line (f, s or n), the text, a newline.

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include "check.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { EXIT_SKIPPED = 77, MAX_ARGS = 64, VERDICT_SIZE = 16384 };

static const char* const CHILD_FLAG = "--child";
static int verdict_fd = -1;
static char program[PATH_MAX];

static long env_number(const char* name, long otherwise) {
    const char* text = getenv(name);
    const long n = text ? strtol(text, NULL, 10) : 0;
    return n > 0 ? n : otherwise;
}

uint64_t test_count(uint64_t n) {
    n /= (uint64_t)env_number("TEST_DIVISOR", 1);
    return n ? n : 1;
}

int test_ms(int ms) { return (int)(ms * env_number("TEST_SLOWDOWN", 1)); }

const char* test_program(void) { return program; }

double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int count_entries(const char* path) {
    DIR* d = opendir(path);
    if ( ! d )
        return -1;

    int n = 0;
    for ( struct dirent* e; (e = readdir(d)); )
        n += e->d_name[0] != '.';
    closedir(d);
    return n;
}

int count_fds(void) { return count_entries("/proc/self/fd"); }
int count_threads(void) { return count_entries("/proc/self/task"); }

bool wait_until(bool (*condition)(void*), void* arg, int ms) {
    const double deadline = now_ms() + test_ms(ms);
    while ( ! condition(arg) ) {
        if ( now_ms() > deadline )
            return condition(arg);
        poll(NULL, 0, 1);
    }
    return true;
}

uint64_t rng_next(rng* r) {
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u); // splitmix64
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t rng_below(rng* r, uint64_t n) { return rng_next(r) % n; }

// One write, so that lines of several threads do not mix.
static void send_verdict(char kind, const char* format, va_list args) {
    char line[2048];
    line[0] = kind;
    int n = 1 + vsnprintf(line + 1, sizeof(line) - 2, format, args);
    if ( n > (int)sizeof(line) - 2 )
        n = (int)sizeof(line) - 2;
    for ( int i = 1; i < n; i++ ) {
        if ( line[i] == '\n' )
            line[i] = '|';
    }
    line[n++] = '\n';
    ssize_t rc = write(verdict_fd >= 0 ? verdict_fd : STDERR_FILENO, line, (size_t)n);
    (void)rc;
}

void test_fail(const char* format, ...) {
    va_list args;
    va_start(args, format);
    send_verdict('f', format, args);
    va_end(args);
    _exit(1);
}

void test_skip(const char* format, ...) {
    va_list args;
    va_start(args, format);
    send_verdict('s', format, args);
    va_end(args);
    _exit(EXIT_SKIPPED);
}

void test_note(const char* format, ...) {
    va_list args;
    va_start(args, format);
    send_verdict('n', format, args);
    va_end(args);
}

static void exec_child(const test* t, int fd) {
    static char wrapper[4096];
    char* argv[MAX_ARGS];
    int n = 0;

    const char* text = getenv("TEST_WRAPPER");
    if ( text ) {
        snprintf(wrapper, sizeof(wrapper), "%s", text);
        for ( char* word = strtok(wrapper, " "); word && n < MAX_ARGS - 5; word = strtok(NULL, " ") )
            argv[n++] = word;
    }

    char number[16];
    snprintf(number, sizeof(number), "%d", fd);
    argv[n++] = program;
    argv[n++] = (char*)CHILD_FLAG;
    argv[n++] = number;
    argv[n++] = (char*)t->name;
    argv[n] = NULL;
    execvp(argv[0], argv);
    fprintf(stderr, "cannot run %s: %s\n", argv[0], strerror(errno));
    _exit(127);
}

// The first line of that kind in the verdict, cut out; NULL if there is none.
static char* verdict_line(char* verdict, char kind) {
    for ( char* line = verdict; line && *line; ) {
        char* end = strchr(line, '\n');
        if ( *line == kind ) {
            if ( end )
                *end = '\0';
            return line + 1;
        }
        line = end ? end + 1 : NULL;
    }
    return NULL;
}

// Ends p and what it started; they are in a process group of their own.
static void kill_group(pid_t p) { kill(-p, SIGKILL); }

typedef enum { PASSED, FAILED, SKIPPED } outcome;

static outcome run_one(const test* t) {
    const int limit_ms = test_ms((t->seconds ? t->seconds : 60) * 1000);
    const double start = now_ms();

    int fds[2];
    if ( pipe(fds) != 0 ) {
        printf("FAIL %s: pipe: %s\n", t->name, strerror(errno));
        return FAILED;
    }

    sigset_t chld, before;
    sigemptyset(&chld);
    sigaddset(&chld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &chld, &before);

    fflush(stdout);
    const pid_t child = fork();
    if ( child == 0 ) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        setpgid(0, 0);
        close(fds[0]);
        exec_child(t, fds[1]);
    }
    setpgid(child, child);
    close(fds[1]);

    int status = 0;
    bool timed_out = false;
    for ( ;; ) {
        if ( waitpid(child, &status, WNOHANG) == child )
            break;
        const double left = start + limit_ms - now_ms();
        if ( left <= 0 ) {
            timed_out = true;
            kill_group(child);
            waitpid(child, &status, 0);
            break;
        }
        const struct timespec wait = {(time_t)(left / 1000), (long)(left - (long)(left / 1000) * 1000) * 1000000};
        sigtimedwait(&chld, NULL, &wait);
    }
    kill_group(child);
    sigprocmask(SIG_SETMASK, &before, NULL);

    char verdict[VERDICT_SIZE] = {0}; // one more than is read, so that a line never ends the buffer
    size_t n = 0;
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    for ( ssize_t got; n < sizeof(verdict) - 2 && (got = read(fds[0], verdict + n, sizeof(verdict) - 2 - n)) > 0; )
        n += (size_t)got;
    close(fds[0]);

    outcome result = FAILED;
    if ( timed_out )
        printf("FAIL %s: did not end within %d s\n", t->name, limit_ms / 1000);
    else if ( WIFSIGNALED(status) )
        printf("FAIL %s: killed by signal %d (%s)\n", t->name, WTERMSIG(status), strsignal(WTERMSIG(status)));
    else if ( WEXITSTATUS(status) == EXIT_SKIPPED ) {
        const char* why = verdict_line(verdict, 's');
        printf("SKIPPED %s: %s\n", t->name, why ? why : "no reason given");
        result = SKIPPED;
    }
    else if ( WEXITSTATUS(status) != 0 ) {
        const char* why = verdict_line(verdict, 'f');
        if ( why )
            printf("FAIL %s: %s\n", t->name, why);
        else
            printf("FAIL %s: exit code %d\n", t->name, WEXITSTATUS(status));
    }
    else {
        printf("ok %s (%.1f s)\n", t->name, (now_ms() - start) / 1000);
        result = PASSED;
    }

    if ( result != SKIPPED ) {
        char* rest = verdict;
        for ( char* note; (note = verdict_line(rest, 'n')); rest = note + strlen(note) + 1 )
            printf("   %s\n", note);
    }
    fflush(stdout);
    return result;
}

static bool asked_for(int argc, char** argv, const char* name) {
    if ( argc < 2 )
        return true;
    for ( int i = 1; i < argc; i++ ) {
        if ( strncmp(name, argv[i], strlen(argv[i])) == 0 )
            return true;
    }
    return false;
}

int test_main(int argc, char** argv, const test* tests, size_t n) {
    if ( ! realpath(argv[0], program) )
        snprintf(program, sizeof(program), "%s", argv[0]);

    if ( argc == 4 && strcmp(argv[1], CHILD_FLAG) == 0 ) {
        verdict_fd = (int)strtol(argv[2], NULL, 10);
        fcntl(verdict_fd, F_SETFD, FD_CLOEXEC);
        for ( size_t i = 0; i < n; i++ ) {
            if ( strcmp(tests[i].name, argv[3]) == 0 ) {
                tests[i].run();
                return 0;
            }
        }
        test_fail("no such test");
    }

    if ( argc == 2 && strcmp(argv[1], "--list") == 0 ) {
        for ( size_t i = 0; i < n; i++ )
            puts(tests[i].name);
        return 0;
    }

    int counts[3] = {0};
    for ( size_t i = 0; i < n; i++ ) {
        if ( asked_for(argc, argv, tests[i].name) )
            counts[run_one(&tests[i])]++;
    }

    const char* base = strrchr(program, '/');
    printf("%s: %d passed, %d failed, %d skipped\n", base ? base + 1 : program, counts[PASSED], counts[FAILED],
           counts[SKIPPED]);
    return counts[FAILED] ? 1 : 0;
}
