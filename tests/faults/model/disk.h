/* SPDX-License-Identifier: Apache-2.0 */
/*
 * disk - a file system as a value: what lies on a disk at one instant
 *
 * Nodes (files, directories, symlinks) and the entries that name them, apart from each other, so that
 * a change of either may survive a power cut without the other. Used by trace.h, which says what
 * changes, and by states.h, which says which of the changes were lost.
 */
#ifndef CLM_TESTS_FAULTS_MODEL_DISK_H
#define CLM_TESTS_FAULTS_MODEL_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DISK_NODES   512
#define DISK_ENTRIES 256
#define DISK_NONE    UINT32_MAX /* no such node */
#define DISK_ROOT    0u         /* holds only the directories that were asked for */

enum disk_kind {
    DISK_FILE,
    DISK_DIR,
    DISK_LINK
};

/* An attribute of a file; a list of them is never changed, only replaced. */
struct disk_xattr {
    const char *name; /* interned */
    const uint8_t *data;
    size_t len;
    const struct disk_xattr *next;
};

struct disk_node {
    enum disk_kind kind;
    uint32_t mode;
    uint32_t uid;
    uint32_t gid;
    const uint8_t
        *data; /* of a file; of a link: where it points. In the arena of a trace or state */
    size_t len;
    const struct disk_xattr *xattrs;
    int64_t mtime_s; /* of what was there from the start; 0: any */
};

struct disk_entry {
    uint32_t dir;
    uint32_t child;
    const char *name; /* interned: disk_name() */
};

struct disk {
    struct disk_node nodes[DISK_NODES];
    size_t n_nodes;
    struct disk_entry entries[DISK_ENTRIES];
    size_t n_entries;
};

/* Memory that is given back all at once. */
struct disk_arena {
    uint8_t *data;
    size_t len;
    size_t max;
};
void *disk_alloc(struct disk_arena *arena, size_t len);
void disk_arena_done(struct disk_arena *arena);

/* One address for equal names, for ever. */
const char *disk_name(const char *name);

/* Every failure of these ends the program: the harness is broken, and would prove nothing. */
uint32_t disk_add(struct disk *disk, const struct disk_node *node);
/* The entry's node, or DISK_NONE. */
uint32_t disk_find(const struct disk *disk, uint32_t dir, const char *name);
/* Sets the entry; child DISK_NONE removes it. */
void disk_set(struct disk *disk, uint32_t dir, const char *name, uint32_t child);
/* Puts bytes into a file; what lies between its end and off becomes zero. */
void disk_write(struct disk *disk, struct disk_arena *arena, uint32_t node, size_t off,
                const uint8_t *data, size_t len);
/* Sets an attribute, or with data NULL removes it; data and name must live as long as the disk. */
void disk_set_xattr(struct disk *disk, struct disk_arena *arena, uint32_t node,
                    const struct disk_xattr *xattr);
/* Two equal numbers: the same files with the same names, content, owners, modes and
 * attributes. */
struct disk_hash {
    uint64_t a;
    uint64_t b;
};
struct disk_hash disk_hash(const struct disk *disk);

/* What lies in the named directories below root, which become entries of DISK_ROOT. seen() is told
 * the number of every inode that became a node. */
typedef void (*disk_seen_fn)(void *arg, uint64_t ino, uint32_t node);
void disk_scan(struct disk *disk, struct disk_arena *arena, const char *root,
               const char *const *dirs, disk_seen_fn seen, void *arg);
/* Makes it so: everything else in those directories below root is removed. */
void disk_make(const struct disk *disk, const char *root);

#endif
