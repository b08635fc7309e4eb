/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace - what a run changed on the disk, in order, and when it was flushed
 *
 * The program is linked so that every call of the product that changes a file or a directory passes
 * trace_calls.c, which makes it and notes it here. An event is what survives a power cut as a whole
 * or not at all, until a flush covers it: one entry of a directory (both of a rename or an exchange
 * within one directory; a rename into another directory is two events), one write, one change of
 * owner, mode or an
 * attribute. A flush of a file covers what was written to it, not its name; a flush of a
 * directory covers its entries, not what they name; fdatasync(2) leaves out the latter.
 */
#ifndef CLM_TESTS_FAULTS_MODEL_TRACE_H
#define CLM_TESTS_FAULTS_MODEL_TRACE_H

#include "tests/faults/model/disk.h"

#define TRACE_EVENTS 512
#define TRACE_FRAMES 6
#define TRACE_LABEL  160

enum trace_kind {
    TRACE_ENTRY,
    TRACE_WRITE,
    TRACE_SIZE, /* cut or made longer: len */
    TRACE_MODE,
    TRACE_OWNER,
    TRACE_XATTR,
    TRACE_SYNC
};

struct trace_entry {
    uint32_t dir;
    const char *name;
    uint32_t child; /* DISK_NONE: removed */
};

struct trace_event {
    enum trace_kind kind;
    struct trace_entry entries[2];
    size_t n_entries;
    uint32_t node; /* all but ENTRY */
    size_t off;
    const uint8_t *data;
    size_t len;
    bool grows; /* a WRITE beyond the end of the file */
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    struct disk_xattr xattr;
    bool is_data_only; /* SYNC: fdatasync(2) */
    size_t flushed_at; /* number of the SYNC that covers it, or SIZE_MAX: set by trace_flush() */
    void *frames[TRACE_FRAMES]; /* SYNC: who called */
    char label[TRACE_LABEL];    /* for people */
};

struct trace {
    struct disk base; /* before the first event; all of it durable */
    struct disk_arena arena;
    struct trace_event events[TRACE_EVENTS];
    size_t n;
};

/* Notes every change in these directories below root from now on; NULL ends the list. */
void trace_start(struct trace *trace, const char *root, const char *const *dirs);
void trace_stop(void);
void trace_done(struct trace *trace);

/* Works out which flush covers which event, as if those flushes with is_off set were never made.
 * is_off may be NULL. */
void trace_flush(struct trace *trace, const bool *is_off);

#endif
