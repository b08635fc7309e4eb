/* SPDX-License-Identifier: Apache-2.0 */
/* show - what the commands have in common when they tell a person or a program something */
#ifndef CLM_MAIN_SHOW_H
#define CLM_MAIN_SHOW_H

#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/table.h"
#include "agent/ipc/fail.h"

#define CLM_SHOW_MAX 4194304u /* bytes of output of one command */

/* Documented in clmbot(8), EXIT STATUS; design of the command line. Never change a number. */
enum clm_exit {
    CLM_EXIT_GOOD = 0,
    CLM_EXIT_ATTENTION = 1,   /* expiring, pending, not everything is managed */
    CLM_EXIT_FAILED = 2,      /* an action failed */
    CLM_EXIT_DIFFERS = 3,     /* another certificate is served than installed */
    CLM_EXIT_CONFIG = 4,      /* the configuration is wrong */
    CLM_EXIT_NOT_RUNNING = 5, /* the agent does not run */
    CLM_EXIT_OFFLINE = 6,     /* the control plane is out of reach */
    CLM_EXIT_USAGE = 64,
};

/* "clmbot: <message>" and, if there is one, a line with the hint, on stderr. Returns the exit
 * status that code means. fail may be NULL. */
int clm_show_error(enum clm_code code, const struct clm_err *err, const struct clm_fail *fail);
/* Only the exit status, for services: they log. */
int clm_show_exit(enum clm_code code);

/* Prints {"schema": "clmbot.<name>", "version": 1, ...doc} on stdout; doc is freed, and members of
 * these two names in it are left out. Returns status, or CLM_EXIT_FAILED if that cannot be written. */
int clm_show_json(const char *name, struct clm_json *doc, int status);

/* Prints the table on stdout; it is freed. Returns status, or CLM_EXIT_FAILED. */
int clm_show_table(struct clm_table *table, int status);

/* The text as it is, on stdout. Whether it arrived is asked once, at the very end: clm_cli_main().
 * Returns status. */
int clm_show_text(const struct clm_buf *text, int status);

/* One line on stdout. */
void clm_show_line(const char *fmt, ...) CLM_PRINTF(1, 2);

/* "63 days", "5 hours", "expired" until not_after, and the colour of it. size >= 32. */
enum clm_color clm_show_left(int64_t not_after_s, int64_t now_s, uint32_t expiring_days, char *dst,
                             size_t size);
/* "3 min ago" */
void clm_show_ago(int64_t at_s, int64_t now_s, char *dst, size_t size);
/* The first twelve digits of a hash: enough to compare by eye. size >= 16. */
void clm_show_hash(const char *sha256, char *dst, size_t size);

#endif
