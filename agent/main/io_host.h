/* SPDX-License-Identifier: Apache-2.0 */
/* io_host - struct clm_io of the host half: files, programs, signals and units; no network
 * beyond this host */
#ifndef CLM_MAIN_IO_HOST_H
#define CLM_MAIN_IO_HOST_H

#include "agent/host/host.h"
#include "agent/model/io.h"

/* Fills out. Handshakes go to route, which must outlive out: the host half has no network. */
void clm_io_host_init(struct clm_io *out, struct clm_probe_route *route);

#endif
