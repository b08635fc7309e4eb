/* SPDX-License-Identifier: Apache-2.0 */
/* scan_hosts - pretended hosts, one of each kind, for tests that go through all of them */
#ifndef CLM_TESTS_SUPPORT_SCAN_HOSTS_H
#define CLM_TESTS_SUPPORT_SCAN_HOSTS_H

#include "agent/model/policy.h"
#include "tests/support/scan_check.h"

#define SCAN_HOSTS 10

struct scan_host {
    struct scan_check check;
    struct clm_policy policy;
};

/* Host i of SCAN_HOSTS, its servers running. Returns its name. */
const char *scan_host_init(struct scan_host *self, size_t i);
void scan_host_done(struct scan_host *self);

#endif
