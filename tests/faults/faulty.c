/*
 * Faults of the disk at an exact call, for tests: preloaded into a process, it counts the calls that concern files
 * under one directory and lets the n-th of them fail, tear, end the process or stop it. Everything else passes through.
 *
 * Nothing happens until `faulty_watch` and `faulty_arm` are called (by ctypes), so a process can warm up first.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum {
    OPEN = 1, READ = 2, WRITE = 4, SYNC = 8, TRUNCATE = 16, UNLINK = 32, RENAME = 64, MKDIR = 128, LIST = 256, MAP = 512,
    CREATE = 1024, /* opened so that it is made where it is not */
    OPEN_TO_WRITE = 2048 /* opened for writing; must exist */
};
enum { NOTHING, FAIL, TEAR, KILL_BEFORE, KILL_AFTER, STOP_BEFORE };
#define FILES 4096

static char watched[512], suffix[64];
static char *names[FILES]; /* what each descriptor was opened as; only files that are watched */
static int armed_kinds, action, error_number, sticky, trace_to = -1;
static long nth, counted;

void faulty_watch(const char *directory) { snprintf(watched, sizeof watched, "%s", directory); }

/* Only files whose name ends so count; "" counts all. */
void faulty_only(const char *ending) { snprintf(suffix, sizeof suffix, "%s", ending); }

void faulty_arm(int kinds, long at, int what, int number, int for_ever) {
    counted = 0, nth = at, action = what, error_number = number, sticky = for_ever, armed_kinds = kinds;
}

long faulty_disarm(void) {
    armed_kinds = 0;
    return counted;
}

/* Write a line for each counted call to *descriptor*; -1 ends it. */
void faulty_trace(int descriptor) { trace_to = descriptor; }

#define REAL(name) \
    static typeof(&name) real; \
    if (!real) real = dlsym(RTLD_NEXT, #name)

static int concerns(const char *path) {
    size_t length = strlen(path), end = strlen(suffix);
    return watched[0] && strncmp(path, watched, strlen(watched)) == 0 &&
           (!end || (length >= end && strcmp(path + length - end, suffix) == 0));
}

static void say(const char *what, const char *path) {
    static ssize_t (*put)(int, const void *, size_t);
    char line[700];
    if (trace_to < 0) return;
    if (!put) put = dlsym(RTLD_NEXT, "write");
    int size = snprintf(line, sizeof line, "%s %s\n", what, path);
    if (put(trace_to, line, (size_t)size) != size) abort();
}

/* Count one call; 1: it must fail, 2: it must tear, 3: the process must end after it. */
static int strike(int kind, const char *what, const char *path) {
    if (!(armed_kinds & kind) || !path || !concerns(path)) return 0;
    say(what, path);
    long now = ++counted;
    if (action == NOTHING || now < nth || (now > nth && !sticky)) return 0;
    if (action == KILL_BEFORE) kill(getpid(), SIGKILL);
    if (action == STOP_BEFORE) kill(getpid(), SIGSTOP);
    if (action == KILL_AFTER) return 3;
    if (action != FAIL && action != TEAR) return 0;
    errno = error_number;
    return action == TEAR && kind == WRITE ? 2 : 1;
}

static void after(int struck) {
    if (struck == 3) kill(getpid(), SIGKILL);
}

static const char *name_of(int descriptor) { return descriptor >= 0 && descriptor < FILES ? names[descriptor] : NULL; }

static int remember(int descriptor, const char *path) {
    if (descriptor >= 0 && descriptor < FILES && watched[0] && strncmp(path, watched, strlen(watched)) == 0) {
        free(names[descriptor]);
        names[descriptor] = strdup(path);
    }
    return descriptor;
}

#define OPENS(function) \
    int function(const char *path, int flags, ...) { \
        REAL(function); \
        va_list more; \
        va_start(more, flags); \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(more, mode_t) : 0; \
        va_end(more); \
        int creates = flags & O_CREAT, writes = (flags & O_ACCMODE) != O_RDONLY; \
        int kind = creates ? CREATE : writes ? OPEN_TO_WRITE : OPEN; \
        int struck = strike(kind, creates ? "create" : "open", path); \
        if (struck && struck != 3) return -1; \
        int found = remember(real(path, flags, mode), path); \
        after(struck); \
        return found; \
    }
OPENS(open)
OPENS(open64)

int close(int descriptor) {
    REAL(close);
    if (descriptor >= 0 && descriptor < FILES) {
        free(names[descriptor]);
        names[descriptor] = NULL;
    }
    return real(descriptor);
}

#define READS(function, ...) \
    { \
        REAL(function); \
        int struck = strike(READ, "read", name_of(descriptor)); \
        if (struck && struck != 3) return -1; \
        ssize_t found = real(__VA_ARGS__); \
        after(struck); \
        return found; \
    }
ssize_t read(int descriptor, void *to, size_t size) READS(read, descriptor, to, size)
ssize_t pread(int descriptor, void *to, size_t size, off_t at) READS(pread, descriptor, to, size, at)
ssize_t pread64(int descriptor, void *to, size_t size, off64_t at) READS(pread64, descriptor, to, size, at)

/* A torn write puts the first half on disk and then fails. */
#define WRITES(function, tear, ...) \
    { \
        REAL(function); \
        int struck = strike(WRITE, "write", name_of(descriptor)); \
        if (struck == 2) { \
            int number = errno; \
            if (tear < 0) return -1; \
            errno = number; \
            return -1; \
        } \
        if (struck && struck != 3) return -1; \
        ssize_t found = real(__VA_ARGS__); \
        after(struck); \
        return found; \
    }
ssize_t write(int descriptor, const void *from, size_t size)
    WRITES(write, real(descriptor, from, size / 2), descriptor, from, size)
ssize_t pwrite(int descriptor, const void *from, size_t size, off_t at)
    WRITES(pwrite, real(descriptor, from, size / 2, at), descriptor, from, size, at)
ssize_t pwrite64(int descriptor, const void *from, size_t size, off64_t at)
    WRITES(pwrite64, real(descriptor, from, size / 2, at), descriptor, from, size, at)

#define CALLS(type, kind, what, name, function, ...) \
    { \
        REAL(function); \
        int struck = strike(kind, what, name); \
        if (struck && struck != 3) return (type)-1; \
        type found = real(__VA_ARGS__); \
        after(struck); \
        return found; \
    }
int fsync(int descriptor) CALLS(int, SYNC, "sync", name_of(descriptor), fsync, descriptor)
int fdatasync(int descriptor) CALLS(int, SYNC, "sync", name_of(descriptor), fdatasync, descriptor)
int ftruncate(int descriptor, off_t size) CALLS(int, TRUNCATE, "truncate", name_of(descriptor), ftruncate, descriptor, size)
int ftruncate64(int descriptor, off64_t size)
    CALLS(int, TRUNCATE, "truncate", name_of(descriptor), ftruncate64, descriptor, size)
int unlink(const char *path) CALLS(int, UNLINK, "unlink", path, unlink, path)
int rename(const char *from, const char *to) CALLS(int, RENAME, "rename", to, rename, from, to)
int mkdir(const char *path, mode_t mode) CALLS(int, MKDIR, "mkdir", path, mkdir, path, mode)
void *mmap64(void *at, size_t size, int protection, int flags, int descriptor, off64_t from)
    CALLS(void *, MAP, "map", name_of(descriptor), mmap64, at, size, protection, flags, descriptor, from)

DIR *opendir(const char *path) {
    REAL(opendir);
    int struck = strike(LIST, "list", path);
    if (struck && struck != 3) return NULL;
    DIR *found = real(path);
    after(struck);
    return found;
}
