/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fault - answers broken on purpose, so that agents can be tested against a bad control plane
 *
 * Only with the CMake option CLM_TEST_HOOKS; otherwise clm_cp_fault_send() just sends. The file of
 * `serve --fault` holds [{"path": "/agent/v1/poll", "mode": "html200", "times": 2}] and is read again
 * for each request; a rule works for paths that contain its path, "times" times since the file
 * changed (0: always).
 * Modes: html200, 500, redirect, truncate, slow (5 s), drop-after-commit.
 */
#ifndef CLM_CONTROLPLANE_FAULT_H
#define CLM_CONTROLPLANE_FAULT_H

#include <microhttpd.h>

struct clm_cp;

/* Queues response, or what a matching rule makes of it. */
enum MHD_Result clm_cp_fault_send(struct clm_cp *cp, const char *path,
                                  struct MHD_Connection *connection, int status,
                                  struct MHD_Response *response);

#endif
