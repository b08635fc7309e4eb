/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_io - a clm_io with a scripted TLS server behind it
 *
 * The server reads real files when it is reloaded, checks that they are a pair, and from then on
 * serves the leaf it read. What it serves lies in a file, so that it outlives a process that was
 * killed on purpose. Time is a number: sleeping adds to it. Members not scripted are NULL: the
 * transaction must not use them.
 */
#ifndef CLM_TESTS_SUPPORT_FAKE_IO_H
#define CLM_TESTS_SUPPORT_FAKE_IO_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/model/io.h"

#define FAKE_IO_NOW_S 1780000000 /* 2026-05-28 */

struct fake_io {
    struct clm_io io;
    void *user;                 /* whoever put its own members into io */
    char cert_path[PATH_MAX];   /* what a reload reads; leaf first */
    char key_path[PATH_MAX];    /* may be the same file */
    char served_path[PATH_MAX]; /* the running server's memory: digits of the leaf, or "" */

    /* switches */
    int fail_reloads;         /* so many reloads fail; -1: all */
    int fail_reloads_after;   /* reloads beyond this number fail; 0: off */
    bool missing_is_fine;     /* without its files it runs and serves nothing */
    bool reload_does_nothing; /* answers that it worked, goes on as before */
    int64_t old_for_ms;       /* old workers answer for so long after a reload */
    const char *other_sha256; /* answers with this leaf whatever was read */
    bool breaks_on_new;       /* a reload of anything but the first leaf: no handshake afterwards */
    uint16_t shadowed_port;   /* this port always shows a leaf of somebody else */
    uint16_t lagging_port;    /* goes on with the first leaf */
    uint16_t dead_port;       /* this port refuses */
    enum clm_unit_state unit_state_is;
    bool unit_is_not_loaded;   /* as a stopped one that nobody needs */
    int check_status;          /* of every program that is run */
    int post_check_status;     /* from the second program on */
    const char *run_output;    /* what programs say; NULL: three lines */
    enum clm_code run_error;   /* no program can be run */
    enum clm_code http_error;  /* the manager cannot be asked */
    const char *probe_detail;  /* of a handshake that fails; NULL: "" */
    int hook_status;           /* of every program run with an environment; 0: it reloads */
    int http_status;           /* of the manager; 200 reloads */
    const char *http_body;     /* its answer */
    bool restart_is_slow;      /* nobody answers for a minute after a restart */
    enum clm_code probe_error; /* the handshake cannot even be tried */
    void (*on_probe)(struct fake_io *self);
    void (*on_run)(struct fake_io *self);

    /* what happened */
    unsigned reloads;
    unsigned signals;
    unsigned probes;
    unsigned runs;
    unsigned restarts;
    unsigned hooks;
    unsigned requests;
    char hook_env[8][320];   /* of the last hook */
    char authorization[256]; /* header of the last request to the manager */

    int64_t now_ms; /* monotonic */
    int64_t skew_s; /* added to the wall clock */
    int64_t reloaded_at_ms;
    char first_sha256[CLM_SHA256_HEX_SIZE];
    char before_sha256[CLM_SHA256_HEX_SIZE]; /* what old workers serve */
};

/* The io points into *self. served_path need not exist: nothing is served then. */
void fake_io_init(struct fake_io *self, const char *cert_path, const char *key_path,
                  const char *served_path);
/* The server reads its files now, as at its start. Aborts the test if they are no pair. */
void fake_io_start(struct fake_io *self);
/* What the server holds in memory; "" for nothing. dst: CLM_SHA256_HEX_SIZE bytes. */
void fake_io_served(const struct fake_io *self, char *dst);

#endif
