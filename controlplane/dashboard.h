/* SPDX-License-Identifier: Apache-2.0 */
/* dashboard - the files of controlplane/ui, built into the program */
#ifndef CLM_CONTROLPLANE_DASHBOARD_H
#define CLM_CONTROLPLANE_DASHBOARD_H

#include <stddef.h>

struct clm_cp_file {
    const char *name; /* "index.html" */
    const unsigned char *data;
    size_t len;
};

/* Made by embed.cmake from the files it was given; ends with a NULL name. */
extern const struct clm_cp_file clm_cp_dashboard_files[];

#endif
