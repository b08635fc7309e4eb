/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE /* nftw */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/config/tree.h"

void tree_make(struct tree *tree)
{
    (void)strcpy(tree->root, "/tmp/clm-config-XXXXXX");
    assert_non_null(mkdtemp(tree->root));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void tree_remove(struct tree *tree)
{
    assert_int_equal(nftw(tree->root, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

const char *tree_at(struct tree *tree, const char *name)
{
    int len = snprintf(tree->path, sizeof(tree->path), "%s/%s", tree->root, name);

    assert_true(len > 0 && (size_t)len < sizeof(tree->path));
    return tree->path;
}

void tree_file(struct tree *tree, const char *name, const char *text)
{
    FILE *file = fopen(tree_at(tree, name), "w");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(tree->path, 0644), 0);
}

void tree_dir(struct tree *tree, const char *name)
{
    assert_int_equal(mkdir(tree_at(tree, name), 0755), 0);
    assert_int_equal(chmod(tree->path, 0755), 0);
}

void tree_mode(struct tree *tree, const char *name, unsigned mode)
{
    assert_int_equal(chmod(tree_at(tree, name), (mode_t)mode), 0);
}
