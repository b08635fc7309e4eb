/* SPDX-License-Identifier: Apache-2.0 */
/* scan_check - a scan of a fixture tree, and questions about what it found */
#ifndef CLM_TESTS_SUPPORT_SCAN_CHECK_H
#define CLM_TESTS_SUPPORT_SCAN_CHECK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "agent/model/target.h"
#include "tests/support/root_io.h"

struct scan_check {
    char root[PATH_MAX];
    struct root_io io;
    struct clm_inventory found;
};

/* A new tree, copied from tests/fixtures/<name>; NULL: empty. */
void scan_check_init(struct scan_check *self, const char *name);
void scan_check_done(struct scan_check *self);
/* Scans anew; fails the test if that is not possible. */
void scan_check_run(struct scan_check *self);

/* Each fails the test if it is not there. */
const struct clm_service *scan_check_service(const struct scan_check *self, const char *id);
const struct clm_target *scan_check_target(const struct scan_check *self, const char *id);
const struct clm_webroot *scan_check_webroot(const struct clm_service *service, const char *domain);

/* True if a string of the list has this text in it. */
bool scan_check_says(const struct clm_strs *list, const char *text);
/* True if the target has this endpoint: "127.0.0.1:443 www.example.com". */
bool scan_check_endpoint(const struct clm_target *target, const char *text);

#endif
