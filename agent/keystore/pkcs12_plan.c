/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What becomes of each bag when the store is written:
 *
 *   bag of an entry that was not changed     stays
 *   key and leaf of a changed entry          replaced in their place
 *   bag of an entry that was removed         goes
 *   certificate behind a leaf                stays if any entry's chain has it now, else goes
 *
 * New certificates of a chain come behind their leaf, unless the store has them; what belongs to
 * a new entry comes at the end of the SafeContents where its kind stands already.
 */
#include <stdlib.h>
#include <string.h>

#include "agent/keystore/pkcs12.h"

struct span_set {
    struct clm_span *v;
    size_t n;
};

struct planner {
    const struct clm_keystore *store;
    const struct clm_p12 *p12; /* NULL in a new store */
    size_t n_bags;
    struct clm_p12_plan *plan;
    struct span_set needed; /* certificates behind leaves, of all entries */
    struct span_set there;  /* certificates that stay, or replace others */
};

static int by_span(const void *a, const void *b)
{
    return clm_span_compare(a, b);
}

static bool has(const struct span_set *set, const struct clm_span *span)
{
    return set->n > 0 && bsearch(span, set->v, set->n, sizeof(*set->v), by_span) != NULL;
}

static struct clm_span cert_of(const struct clm_entry *entry, size_t k)
{
    return (struct clm_span){.data = entry->certs[k].der, .len = entry->certs[k].len};
}

static bool collect_needed(struct planner *p)
{
    const struct clm_keystore *store = p->store;
    size_t n = 0;

    for (size_t i = 0; i < store->n_entries; i++) {
        n += store->entries[i].shown.n_certs;
    }
    p->needed.v = calloc(n + 1, sizeof(*p->needed.v));
    if (p->needed.v == NULL) {
        return false;
    }
    for (size_t i = 0; i < store->n_entries; i++) {
        const struct clm_entry *entry = &store->entries[i];

        for (size_t k = 1; entry->shown.kind == CLM_ENTRY_KEY && k < entry->shown.n_certs; k++) {
            p->needed.v[p->needed.n++] = cert_of(entry, k);
        }
    }
    qsort(p->needed.v, p->needed.n, sizeof(*p->needed.v), by_span);
    return true;
}

/* A nested bag stays, whatever becomes of what is in it. */
static void keep_containers(struct planner *p)
{
    for (size_t i = 0; i < p->n_bags; i++) {
        if (p->p12->bags[i].kind == CLM_P12_NESTED) {
            p->plan->fates[i] = CLM_P12_KEEP;
        }
    }
}

/* Entries that were not changed first: what they hold, no other may replace. */
static void keep_unchanged(struct planner *p)
{
    for (size_t i = 0; i < p->store->n_entries; i++) {
        const struct clm_entry *entry = &p->store->entries[i];
        const struct clm_p12_link *link = entry->extra;

        if (link != NULL && !entry->is_changed) {
            p->plan->fates[link->bag] = CLM_P12_KEEP;
            if (link->leaf != CLM_P12_NONE) {
                p->plan->fates[link->leaf] = CLM_P12_KEEP;
            }
        }
    }
    for (size_t i = 0; i < p->n_bags; i++) {
        const struct clm_p12_bag *bag = &p->p12->bags[i];

        if (bag->kind == CLM_P12_CERT && bag->is_used && has(&p->needed, &bag->value)) {
            p->plan->fates[i] = CLM_P12_KEEP;
        }
    }
}

static void replace_changed(struct planner *p)
{
    for (size_t i = 0; i < p->store->n_entries; i++) {
        const struct clm_entry *entry = &p->store->entries[i];
        const struct clm_p12_link *link = entry->extra;
        size_t bags[2];

        if (link == NULL || !entry->is_changed) {
            continue;
        }
        bags[0] = link->bag;
        bags[1] = link->leaf;
        for (size_t k = 0; k < CLM_ARRAY_LEN(bags); k++) {
            /* a trusted certificate stays where another's chain needs it, and comes once more */
            if (bags[k] != CLM_P12_NONE && p->plan->fates[bags[k]] == CLM_P12_DROP) {
                p->plan->fates[bags[k]] = CLM_P12_REPLACE;
                p->plan->entries[bags[k]] = i;
            }
        }
    }
}

static bool collect_there(struct planner *p)
{
    p->there.v = calloc(p->n_bags + 1, sizeof(*p->there.v));
    if (p->there.v == NULL) {
        return false;
    }
    for (size_t i = 0; i < p->n_bags; i++) {
        const struct clm_p12_bag *bag = &p->p12->bags[i];

        if (bag->kind != CLM_P12_CERT || p->plan->fates[i] == CLM_P12_DROP) {
            continue;
        }
        p->there.v[p->there.n++] = p->plan->fates[i] == CLM_P12_KEEP
                                       ? bag->value
                                       : cert_of(&p->store->entries[p->plan->entries[i]], 0);
    }
    qsort(p->there.v, p->there.n, sizeof(*p->there.v), by_span);
    return true;
}

static bool is_added(const struct clm_p12_plan *plan, const struct clm_span *der)
{
    for (size_t i = 0; i < plan->n_added; i++) {
        if (clm_span_compare(&plan->added[i].der, der) == 0) {
            return true;
        }
    }
    return false;
}

static bool add(struct clm_p12_plan *plan, const struct clm_p12_new_cert *cert, size_t after)
{
    if (plan->n_added == plan->cap_added) {
        size_t cap = plan->cap_added * 2 + 8;
        struct clm_p12_new_cert *added = realloc(plan->added, cap * sizeof(*added));
        size_t *places;

        if (added == NULL) {
            return false;
        }
        plan->added = added;
        places = realloc(plan->after, cap * sizeof(*places));
        if (places == NULL) {
            return false;
        }
        plan->after = places;
        plan->cap_added = cap;
    }
    plan->added[plan->n_added] = *cert;
    plan->after[plan->n_added++] = after;
    plan->has_new_certs = plan->has_new_certs || after == CLM_P12_NONE;
    return true;
}

/* What a changed entry brings beside the bags it replaces. */
static bool add_certs(struct planner *p, size_t entry_i)
{
    const struct clm_entry *entry = &p->store->entries[entry_i];
    const struct clm_p12_link *link = entry->extra;
    bool is_key = entry->shown.kind == CLM_ENTRY_KEY;
    size_t home = link == NULL ? CLM_P12_NONE : is_key ? link->leaf : link->bag;
    bool is_replaced = home != CLM_P12_NONE && p->plan->fates[home] == CLM_P12_REPLACE &&
                       p->plan->entries[home] == entry_i;

    p->plan->has_new_keys = p->plan->has_new_keys || (is_key && link == NULL);
    for (size_t k = 0; k < entry->shown.n_certs; k++) {
        const struct clm_p12_new_cert cert = {
            .der = cert_of(entry, k), .entry = entry_i, .is_leaf = k == 0};

        if (k == 0 ? is_replaced : has(&p->there, &cert.der) || is_added(p->plan, &cert.der)) {
            continue;
        }
        if (!add(p->plan, &cert, is_replaced ? home : CLM_P12_NONE)) {
            return false;
        }
    }
    return true;
}

/* New bags go where the last one of their kind stands. */
static void find_homes(struct planner *p)
{
    for (size_t i = 0; i < p->n_bags; i++) {
        const struct clm_p12_bag *bag = &p->p12->bags[i];

        if (bag->kind == CLM_P12_CERT) {
            p->plan->cert_safe = bag->safe;
        } else if (bag->kind == CLM_P12_KEY || bag->kind == CLM_P12_SHROUDED) {
            p->plan->key_safe = bag->safe;
        }
    }
}

static bool make(struct planner *p)
{
    p->plan->fates = calloc(p->n_bags + 1, sizeof(*p->plan->fates));
    p->plan->entries = calloc(p->n_bags + 1, sizeof(*p->plan->entries));
    if (p->plan->fates == NULL || p->plan->entries == NULL || !collect_needed(p)) {
        return false;
    }
    keep_containers(p);
    keep_unchanged(p);
    replace_changed(p);
    if (!collect_there(p)) {
        return false;
    }
    find_homes(p);
    for (size_t i = 0; i < p->store->n_entries; i++) {
        if (p->store->entries[i].is_changed && !add_certs(p, i)) {
            return false;
        }
    }
    return true;
}

enum clm_code clm_p12_plan_make(const struct clm_keystore *store, struct clm_p12_plan *out,
                                struct clm_err *err)
{
    struct planner p = {.store = store, .p12 = store->extra, .plan = out};
    bool is_made;

    *out = (struct clm_p12_plan){.key_safe = CLM_P12_NONE, .cert_safe = CLM_P12_NONE};
    p.n_bags = p.p12 == NULL ? 0 : p.p12->n_bags;
    is_made = make(&p);
    free(p.needed.v);
    free(p.there.v);
    return is_made ? CLM_OK : clm_err_set(err, CLM_E_NOMEM, "keystore: no memory");
}

void clm_p12_plan_done(struct clm_p12_plan *plan)
{
    free(plan->fates);
    free(plan->entries);
    free(plan->added);
    free(plan->after);
    *plan = (struct clm_p12_plan){.key_safe = CLM_P12_NONE};
}
