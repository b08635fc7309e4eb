/* SPDX-License-Identifier: Apache-2.0 */
/* cert_files_int - what the files of the search share; nobody outside scanners/cert_files* uses it */
#ifndef CLM_SCANNERS_CERT_FILES_INT_H
#define CLM_SCANNERS_CERT_FILES_INT_H

#include <sys/stat.h>

#include "agent/base/buf.h"
#include "agent/crypto/hash.h"
#include "scanners/cert_files.h"
#include "scanners/users.h"

/* One name of a file that is known before the file is met. */
struct clm_link_row {
    uint64_t dev;
    uint64_t ino;
    char *path;
    bool is_met; /* the file was handed over */
};
struct clm_link_table {
    struct clm_link_row *v;
    size_t n;
};

/* One file that a target is configured to read. */
struct clm_used_row {
    uint64_t dev;
    uint64_t ino;
    const struct clm_target *target;
    const struct clm_service *service;
    const char *path; /* as configured */
    bool is_met;
};
struct clm_used_table {
    struct clm_used_row *v; /* sorted by dev and ino */
    size_t n;
};

/* A private key of the directory at hand. */
struct clm_key_row {
    uint8_t spki[CLM_SHA256_SIZE];
    uint64_t stem; /* hash of its name without the last extension */
};

struct clm_files_scan {
    const struct clm_files_rules *rules;
    const struct clm_files_visitor *visitor;
    struct clm_files_counts *counts;
    struct clm_strs roots;       /* real paths, none inside another */
    struct clm_link_table links; /* symbolic links; sorted once the first walk is over */
    struct clm_link_table hard;  /* further names of files that have several */
    struct clm_used_table used;
    struct clm_users users;
    struct clm_buf content;   /* of one file; used again and again; wiped */
    struct clm_key_row *keys; /* of the directory at hand */
    size_t n_keys;
    int64_t end_ms;     /* of the monotonic clock */
    bool is_collecting; /* first walk: links only */
    bool is_short;      /* of memory: what was found so far is not all */
};

/* A directory as the walk sees it. */
struct clm_files_dir {
    int fd;
    const char *path; /* "/etc/ssl"; "" for the root of the file system */
    uint32_t depth;
    uint64_t dev;
    bool is_open; /* others than its owner and root may go into it and all above it */
};

/* "CLM_FILES_REMARKS of them at most": err is NOMEM only. */
enum clm_code clm_files_remark(struct clm_files_scan *scan, struct clm_err *err, const char *fmt,
                               ...) CLM_PRINTF(3, 4);
/* True if a limit is reached; it is remarked once. */
bool clm_files_is_over(struct clm_files_scan *scan);
bool clm_files_is_excluded(const struct clm_files_scan *scan, const char *path, bool is_dir);

/* ---- cert_files_walk.c ---- */

/* Walks every root, which may grow while links are collected. Errors: NOMEM; of the visitor. */
CLM_MUST_USE enum clm_code clm_files_walk(struct clm_files_scan *scan, struct clm_err *err);
/* One file by its path, outside a walk. is_used: a server reads it, so what keeps us from reading it
 * is remarked. Errors: as above. */
CLM_MUST_USE enum clm_code clm_files_one(struct clm_files_scan *scan, const char *path,
                                         bool is_used, struct clm_err *err);

/* ---- cert_files_tables.c ---- */

CLM_MUST_USE enum clm_code clm_links_add(struct clm_link_table *table, uint64_t dev, uint64_t ino,
                                         const char *path, struct clm_err *err);
void clm_links_sort(struct clm_link_table *table);
/* The first row of that file, and how many follow; NULL if there is none. Sorted tables only. */
struct clm_link_row *clm_links_find(const struct clm_link_table *table, uint64_t dev, uint64_t ino,
                                    size_t *out_n);
void clm_links_done(struct clm_link_table *table);
CLM_MUST_USE enum clm_code clm_used_load(const struct clm_inventory *inventory,
                                         struct clm_used_table *out, struct clm_err *err);
struct clm_used_row *clm_used_find(const struct clm_used_table *table, uint64_t dev, uint64_t ino,
                                   size_t *out_n);
void clm_used_done(struct clm_used_table *table);

/* ---- cert_files_open.c ---- */

struct clm_files_file {
    const struct clm_files_dir *dir;
    const char *name;
    char path[PATH_MAX];
    struct stat st;
    bool is_candidate; /* it begins like something that holds certificates or keys */
};

/*
 * Opens a name and reads it into scan->content: all of it if it is a candidate and of a size that
 * is read, else only its beginning. Returns false if it is none, or could not be read (counted).
 */
bool clm_files_read(struct clm_files_scan *scan, const struct clm_files_dir *dir, const char *name,
                    struct clm_files_file *out);

/* ---- cert_files_read.c ---- */

/* What one file holds besides its entries. */
struct clm_files_content {
    bool has_key;      /* private, in clear */
    bool has_key_spki; /* of the first key */
    uint8_t key_spki[CLM_SHA256_SIZE];
    uint32_t problems;
    size_t n_leafs;
};
/* The public half of the first private key in scan->content. False if there is none in clear. */
bool clm_files_key(const struct clm_files_scan *scan, uint8_t dst[CLM_SHA256_SIZE]);
/* Fills format, entries, is_locked, and the problems that certificates have by themselves. No
 * entries and not locked: nothing worth telling. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_files_parse(struct clm_files_scan *scan, struct clm_found *found,
                                           struct clm_files_content *out, struct clm_err *err);

/* ---- cert_files_judge.c ---- */

/* Everything that is known of a file beyond its content: names, use, manager, key, permissions.
 * Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_files_judge(struct clm_files_scan *scan,
                                           const struct clm_files_file *file,
                                           const struct clm_files_content *content,
                                           struct clm_found *found, struct clm_err *err);
uint64_t clm_files_stem(const char *name);

#endif
