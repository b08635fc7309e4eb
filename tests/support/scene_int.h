/* SPDX-License-Identifier: Apache-2.0 */
/* scene_int - what the files of a scene share */
#ifndef CLM_TESTS_SUPPORT_SCENE_INT_H
#define CLM_TESTS_SUPPORT_SCENE_INT_H

#include "tests/support/scene.h"

#define SCENE_FILE_LIMIT 262144u
#define SCENE_NOTE       "nothing to do with certificates\n"

/* Both end the program if it is not so: a scene that could not be made proves nothing. */
void scene_must(int is_good, const char *what);
void scene_must_ok(enum clm_code code, const struct clm_err *err);
/* "<dir>/<name>" into dst of PATH_MAX bytes. */
void scene_below(char *dst, const char *dir, const char *name);

/* ---- scene_content.c ---- */

/* What a file of the scene holds before and after; both buffers are empty. */
void scene_fill_file(struct scene_file *file, enum scene_kind kind,
                     const struct scene_certs *certs);
/* The members of a step that put a keystore or an edited text. */
void scene_plan_content(struct clm_step *step);
/* Is the wanted chain in the target's entry of a keystore, and the other entry still there? */
bool scene_store_holds(const char *path, const struct clm_buf *full_pem);

#endif
