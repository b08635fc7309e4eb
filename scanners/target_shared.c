/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "scanners/endpoints.h"
#include "scanners/target_files.h"

/* One file of one target. */
struct use {
    uint64_t dev;
    uint64_t ino;
    const char *path;
    const char *role; /* "certificate", "key", "chain" */
    size_t service;
    size_t target;
};

struct uses {
    struct use *v;
    size_t n;
};

static struct clm_target *target_of(struct clm_inventory *inventory, const struct use *use)
{
    return &inventory->services[use->service].targets[use->target];
}

static void add_use(const struct clm_io *io, struct uses *uses, const struct use *use)
{
    struct clm_stat st = {0};

    if (use->path[0] != '/' || io->stat(io->ctx, use->path, true, &st, NULL) != CLM_OK) {
        return;
    }
    uses->v[uses->n] = *use;
    uses->v[uses->n].dev = st.dev;
    uses->v[uses->n].ino = st.ino;
    uses->n++;
}

static size_t count_targets(const struct clm_inventory *inventory)
{
    size_t n = 0;

    for (size_t i = 0; i < inventory->n_services; i++) {
        n += inventory->services[i].n_targets;
    }
    return n;
}

static void collect(const struct clm_io *io, const struct clm_inventory *inventory,
                    struct uses *uses)
{
    for (size_t s = 0; s < inventory->n_services; s++) {
        for (size_t t = 0; t < inventory->services[s].n_targets; t++) {
            const struct clm_target *target = &inventory->services[s].targets[t];
            struct use use = {.service = s, .target = t, .path = target->cert_path};

            if (inventory->services[s].foreign_namespace && !target->manageable) {
                continue; /* its paths are not ours */
            }
            use.role = "certificate";
            add_use(io, uses, &use);
            if (strcmp(target->key_path, target->cert_path) != 0) {
                use.role = "key";
                use.path = target->key_path;
                add_use(io, uses, &use);
            }
            use.role = "chain";
            use.path = target->chain_path;
            add_use(io, uses, &use);
        }
    }
}

static int by_file(const void *a, const void *b)
{
    const struct use *x = a;
    const struct use *y = b;

    if (x->dev != y->dev) {
        return x->dev < y->dev ? -1 : 1;
    }
    if (x->ino != y->ino) {
        return x->ino < y->ino ? -1 : 1;
    }
    if (x->service != y->service) {
        return x->service < y->service ? -1 : 1;
    }
    return (x->target > y->target) - (x->target < y->target);
}

static bool same_file(const struct use *a, const struct use *b)
{
    return a->dev == b->dev && a->ino == b->ino;
}

/* True if both targets use the same files for the same things: then one deployment serves both. */
static bool same_pair(const struct uses *uses, const struct use *a, const struct use *b)
{
    size_t shared = 0;
    size_t of_a = 0;
    size_t of_b = 0;

    for (size_t i = 0; i < uses->n; i++) {
        const struct use *x = &uses->v[i];

        if (x->service == b->service && x->target == b->target) {
            of_b++;
        }
        if (x->service != a->service || x->target != a->target) {
            continue;
        }
        of_a++;
        for (size_t k = 0; k < uses->n; k++) {
            const struct use *y = &uses->v[k];

            shared += y->service == b->service && y->target == b->target && same_file(x, y) &&
                      strcmp(x->role, y->role) == 0;
        }
    }
    return shared == of_a && shared == of_b;
}

/* One keystore can hold a certificate for each of them. */
static bool are_other_entries(const struct clm_target *x, const struct clm_target *y)
{
    return strcmp(x->cert_path, y->cert_path) == 0 && x->store_type[0] != '\0' &&
           strcmp(x->store_type, "pem") != 0 && x->alias[0] != '\0' && y->alias[0] != '\0' &&
           strcasecmp(x->alias, y->alias) != 0;
}

static enum clm_code judge(struct clm_inventory *inventory, const struct uses *uses,
                           const struct use *a, const struct use *b, struct clm_err *err)
{
    struct clm_target *x = target_of(inventory, a);
    struct clm_target *y = target_of(inventory, b);
    enum clm_code code;

    if (same_pair(uses, a, b)) {
        code = clm_remark(&x->reasons, err,
                          "the same files are target '%s': it serves a new certificate only after "
                          "its own reload",
                          y->id);
        return code != CLM_OK ? code
                              : clm_remark(&y->reasons, err,
                                           "the same files are target '%s': it serves a new "
                                           "certificate only after its own reload",
                                           x->id);
    }
    code = clm_target_refuse(x, err,
                             "%s file '%s' is also used by target '%s': give each its own files",
                             a->role, a->path, y->id);
    return code != CLM_OK
               ? code
               : clm_target_refuse(y, err,
                                   "%s file '%s' is also used by target '%s': give each its own "
                                   "files",
                                   b->role, b->path, x->id);
}

/* Use i with the nearest one before it of the same file that is not another entry of a keystore. */
static enum clm_code compare(struct clm_inventory *inventory, const struct uses *uses, size_t i,
                             struct clm_err *err)
{
    const struct use *b = &uses->v[i];

    for (size_t k = i; k > 0 && same_file(&uses->v[k - 1], b); k--) {
        const struct use *a = &uses->v[k - 1];

        if (a->service == b->service && a->target == b->target) {
            return CLM_OK;
        }
        if (!are_other_entries(target_of(inventory, a), target_of(inventory, b))) {
            return judge(inventory, uses, a, b, err);
        }
    }
    return CLM_OK;
}

enum clm_code clm_targets_check_shared(const struct clm_io *io, struct clm_inventory *inventory,
                                       struct clm_err *err)
{
    struct uses uses = {.v = calloc(count_targets(inventory) * 3 + 1, sizeof(struct use))};
    enum clm_code code = CLM_OK;

    if (uses.v == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "list of files");
    }
    collect(io, inventory, &uses);
    qsort(uses.v, uses.n, sizeof(*uses.v), by_file);
    for (size_t i = 1; i < uses.n && code == CLM_OK; i++) {
        code = compare(inventory, &uses, i, err);
    }
    free(uses.v);
    return code;
}
