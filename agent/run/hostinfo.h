/* SPDX-License-Identifier: Apache-2.0 */
/* hostinfo - what is told of this host at enrolment and with an inventory; protocol.md 7.3, 7.8 */
#ifndef CLM_RUN_HOSTINFO_H
#define CLM_RUN_HOSTINFO_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/base/json.h"
#include "config/config.h"

/* hostname, machine_id_hash, os, os_version, kernel, arch, timezone, utc_offset_s into obj. */
void clm_hostinfo_host(struct clm_json *obj);
/* version, os, arch into obj. */
void clm_hostinfo_agent(struct clm_json *obj);
/* "job.deploy/1", "target.nginx/1", ...: what this agent can be asked to do. */
void clm_hostinfo_capabilities(const struct clm_config *config, struct clm_json *array);

/* PRETTY_NAME of the text of os-release(5), without its quotes; cut to size. False: there is none, or it
 * is no UTF-8. */
bool clm_hostinfo_pretty_name(const char *os_release, char *dst, size_t size);

#endif
