/* SPDX-License-Identifier: Apache-2.0 */
/* shield - for tests that let calls of libc fail: what a scene's server does is not harmed */
#ifndef CLM_TESTS_UNIT_JOB_SHIELD_H
#define CLM_TESTS_UNIT_JOB_SHIELD_H

#include "tests/support/scene.h"

/* Once after each scene_reset(). */
void shield(struct scene *scene);

/* Somebody else, who writes "edited" into a file before the first operation of this name in a target's
 * directory: clm_fs_trace(shield_watch, &editor). */
struct shield_editor {
    const char *op;
    const char *path;
    bool is_done;
};
void shield_watch(void *arg, const char *op, int dir_fd, const char *name);
/* Is what he wrote there? */
bool shield_is_edited(const char *path);
/* Or anywhere in the targets' directory? */
bool shield_is_kept(const struct scene *scene);

#endif
