/* SPDX-License-Identifier: Apache-2.0 */
/* Sorted tables of files by device and inode: links that lead to them, targets that read them. */
#include <stdlib.h>
#include <string.h>

#include "scanners/cert_files_int.h"

/* The first two members of a row. */
struct file_id {
    uint64_t dev;
    uint64_t ino;
};

static int by_file(const void *a, const void *b)
{
    const struct file_id *x = a;
    const struct file_id *y = b;

    if (x->dev != y->dev) {
        return x->dev < y->dev ? -1 : 1;
    }
    return (x->ino > y->ino) - (x->ino < y->ino);
}

_Static_assert(offsetof(struct clm_link_row, ino) == offsetof(struct file_id, ino), "a row begins");
_Static_assert(offsetof(struct clm_used_row, ino) == offsetof(struct file_id, ino), "a row begins");

/* Index of the first row of that file, n if there is none; *out_n rows are its. */
static size_t find_rows(const void *rows, size_t n, size_t size, const struct file_id *id,
                        size_t *out_n)
{
    size_t low = 0;
    size_t high = n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (by_file((const char *)rows + middle * size, id) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (high = low; high < n && by_file((const char *)rows + high * size, id) == 0; high++) {
    }
    *out_n = high - low;
    return low;
}

/* Makes room for one more row where n is a power of two; false on no memory. */
static bool grow(void **io_rows, size_t n, size_t size)
{
    void *rows;

    if ((n & (n - 1)) != 0) {
        return true;
    }
    rows = realloc(*io_rows, (n == 0 ? 1 : n * 2) * size);
    if (rows == NULL) {
        return false;
    }
    *io_rows = rows;
    return true;
}

/* ---- links ---- */

enum clm_code clm_links_add(struct clm_link_table *table, uint64_t dev, uint64_t ino,
                            const char *path, struct clm_err *err)
{
    char *copy = strdup(path);
    void *rows = table->v;

    if (copy == NULL || !grow(&rows, table->n, sizeof(*table->v))) {
        free(copy);
        return clm_err_set(err, CLM_E_NOMEM, "table of links");
    }
    table->v = rows;
    table->v[table->n++] = (struct clm_link_row){.dev = dev, .ino = ino, .path = copy};
    return CLM_OK;
}

void clm_links_sort(struct clm_link_table *table)
{
    if (table->n > 0) {
        qsort(table->v, table->n, sizeof(*table->v), by_file);
    }
}

struct clm_link_row *clm_links_find(const struct clm_link_table *table, uint64_t dev, uint64_t ino,
                                    size_t *out_n)
{
    const struct file_id id = {dev, ino};
    size_t at = find_rows(table->v, table->n, sizeof(*table->v), &id, out_n);

    return *out_n > 0 ? &table->v[at] : NULL;
}

void clm_links_done(struct clm_link_table *table)
{
    for (size_t i = 0; i < table->n; i++) {
        free(table->v[i].path);
    }
    free(table->v);
    *table = (struct clm_link_table){.v = NULL};
}

/* ---- targets ---- */

static enum clm_code add_used(struct clm_used_table *table, const struct clm_service *service,
                              const struct clm_target *target, const char *path,
                              struct clm_err *err)
{
    void *rows = table->v;
    struct stat st;

    if (path[0] != '/' || stat(path, &st) != 0 || !S_ISREG(st.st_mode)) {
        return CLM_OK;
    }
    for (size_t i = table->n; i > 0 && table->v[i - 1].target == target; i--) {
        if (table->v[i - 1].dev == st.st_dev && table->v[i - 1].ino == st.st_ino) {
            return CLM_OK; /* certificate and key in one file */
        }
    }
    if (!grow(&rows, table->n, sizeof(*table->v))) {
        return clm_err_set(err, CLM_E_NOMEM, "table of used files");
    }
    table->v = rows;
    table->v[table->n++] = (struct clm_used_row){
        .dev = st.st_dev, .ino = st.st_ino, .target = target, .service = service, .path = path};
    return CLM_OK;
}

enum clm_code clm_used_load(const struct clm_inventory *inventory, struct clm_used_table *out,
                            struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t s = 0; inventory != NULL && s < inventory->n_services; s++) {
        const struct clm_service *service = &inventory->services[s];

        for (size_t t = 0; t < service->n_targets && code == CLM_OK && !service->foreign_namespace;
             t++) {
            const struct clm_target *target = &service->targets[t];
            const char *const paths[] = {target->cert_path, target->key_path, target->chain_path};

            for (size_t i = 0; i < CLM_ARRAY_LEN(paths) && code == CLM_OK; i++) {
                code = add_used(out, service, target, paths[i], err);
            }
        }
    }
    if (out->n > 0) {
        qsort(out->v, out->n, sizeof(*out->v), by_file);
    }
    return code;
}

struct clm_used_row *clm_used_find(const struct clm_used_table *table, uint64_t dev, uint64_t ino,
                                   size_t *out_n)
{
    const struct file_id id = {dev, ino};
    size_t at = find_rows(table->v, table->n, sizeof(*table->v), &id, out_n);

    return *out_n > 0 ? &table->v[at] : NULL;
}

void clm_used_done(struct clm_used_table *table)
{
    free(table->v);
    *table = (struct clm_used_table){.v = NULL};
}
