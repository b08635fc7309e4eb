/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config - the whole configuration of one agent, validated before use
 *
 * /etc/clmbot/clmbot.yaml and clmbot.d/<name>.yaml beside it (sorted; later files add to lists and
 * must not repeat a scalar). Owned by root or by the user who runs the command, writable by nobody
 * else, no symlink; else refused. An unknown key, a wrong type or a value out of range is CONFIG
 * with "file:line:column: ...". The option table in config/options.c drives loader, manual and
 * "clmbot config check".
 */
#ifndef CLM_CONFIG_CONFIG_H
#define CLM_CONFIG_CONFIG_H

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/model/policy.h"

#define CLM_CONFIG_DEFAULT_PATH "/etc/clmbot/clmbot.yaml"

struct clm_config {
    char path[PATH_MAX];      /* the file it came from; "" if defaults only */
    char state_dir[PATH_MAX]; /* default /var/lib/clmbot; holds net/ and host/ */
    char run_dir[PATH_MAX];   /* default /run/clmbot; holds host.sock and status.sock */
    char user[64];            /* network half drops to it when started as root; default clmbot */
    char group[64];           /* members may read the status socket; default clmbot */

    struct {
        uint32_t poll_wait_s;    /* long poll; default 50, 0..300 */
        uint32_t interval_max_s; /* never sleep longer between polls; default 300 */
        char proxy[256];         /* "" none */
    } control_plane;

    struct {
        uint32_t interval_s;   /* default 86400, 0 never by itself */
        struct clm_strs kinds; /* default nginx apache */
        bool probe;            /* handshake with what is found; default true */
        struct {
            char mode[16];         /* "all" (default), "in_use", "off" */
            struct clm_strs roots; /* directories; default /etc /opt /srv /usr/local/etc /var/lib */
            struct clm_strs exclude; /* globs of paths never looked at */
            struct clm_strs ignore;  /* globs of paths listed as ignored */
            uint32_t depth;          /* directories below a root; default 16 */
            uint32_t files_max;      /* looked at in one scan; default 500000 */
            uint32_t time_max_s;     /* of one scan; default 60 */
            bool cross_mounts;       /* default false */
        } files;
    } scan;

    struct clm_policy policy;

    struct {
        uint32_t deadline_s;    /* for proof of service; default 30, 1..600 */
        uint32_t retain;        /* generations kept per target; default 3, 1..20 */
        uint32_t expiring_days; /* "attention" below this many days left; default 21 */
    } deploy;

    struct {
        char level[16]; /* error warning notice info debug; default info */
    } log;
};

/* path NULL: CLM_CONFIG_DEFAULT_PATH, and built-in defaults if that does not exist.
 * out: the caller's, freed by clm_config_done(). Errors: CONFIG, PERM, NOTFOUND, LIMIT. */
CLM_MUST_USE enum clm_code clm_config_load(const char *path, struct clm_config *out,
                                           struct clm_err *err);
void clm_config_done(struct clm_config *config); /* for CLM_CLEANUP */

#endif
