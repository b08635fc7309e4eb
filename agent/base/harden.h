/* SPDX-License-Identifier: Apache-2.0 */
/* harden - what every process does first that will hold a key or a password */
#ifndef CLM_BASE_HARDEN_H
#define CLM_BASE_HARDEN_H

/*
 * clm_harden() - the memory of this process is nobody else's
 *
 * Effect  no core file; no debugger and no reader of /proc/PID/mem of the same user. The latter is
 *         not inherited beyond execve(2), so that each program calls it.
 */
void clm_harden(void);

#endif
