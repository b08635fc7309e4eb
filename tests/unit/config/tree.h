/* SPDX-License-Identifier: Apache-2.0 */
/* tree - a directory of its own for a test, with files by short names; fails the test itself */
#ifndef CLM_TESTS_TREE_H
#define CLM_TESTS_TREE_H

#include <stddef.h>

struct tree {
    char root[64];  /* "/tmp/clm-config-XXXXXX" */
    char path[256]; /* of the last tree_at() */
};

void tree_make(struct tree *tree);
void tree_remove(struct tree *tree); /* with everything in it */
/* "<root>/<name>"; valid until the next call. */
const char *tree_at(struct tree *tree, const char *name);
/* Writes a file 0644, a directory 0755. */
void tree_file(struct tree *tree, const char *name, const char *text);
void tree_dir(struct tree *tree, const char *name);
void tree_mode(struct tree *tree, const char *name, unsigned mode);

#endif
