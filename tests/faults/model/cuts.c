/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/faults/model/cuts.h"

#include <stdio.h>
#include <string.h>

/* ---- a state ---- */

static void apply_write(const struct trace_event *event, unsigned fate, struct disk *out,
                        struct disk_arena *arena)
{
    size_t good = event->len;
    uint8_t *copy;

    if (fate >= CUT_TORN && fate < CUT_EMPTY) {
        disk_write(out, arena, event->node, event->off, event->data,
                   event->len * (fate - CUT_TORN + 1) / CUT_PARTS);
        return;
    }
    if (fate >= CUT_EMPTY) {
        good = fate == CUT_EMPTY ? 0 : event->len / 2;
    }
    copy = disk_alloc(arena, event->len);
    memset(copy, 0, event->len);
    memcpy(copy, event->data, good);
    disk_write(out, arena, event->node, event->off, copy, event->len);
}

static void apply(const struct trace_event *event, unsigned fate, struct disk *out,
                  struct disk_arena *arena)
{
    switch (event->kind) {
    case TRACE_ENTRY:
        for (size_t i = 0; i < event->n_entries; i++) {
            const struct trace_entry *entry = &event->entries[i];

            disk_set(out, entry->dir, entry->name, entry->child);
        }
        break;
    case TRACE_WRITE:
        apply_write(event, fate, out, arena);
        break;
    case TRACE_SIZE:
        if (event->len < out->nodes[event->node].len) {
            out->nodes[event->node].len = event->len;
        }
        break;
    case TRACE_MODE:
        out->nodes[event->node].mode = event->mode;
        break;
    case TRACE_OWNER:
        out->nodes[event->node].uid = event->uid;
        out->nodes[event->node].gid = event->gid;
        break;
    case TRACE_XATTR:
        disk_set_xattr(out, arena, event->node, &event->xattr);
        break;
    case TRACE_SYNC:
        break;
    }
}

void cut_state(const struct cut *cut, const struct trace *trace, struct disk *out,
               struct disk_arena *arena)
{
    *out = trace->base;
    for (size_t i = 0; i < cut->step; i++) {
        if (cut->fates[i] != CUT_LOST) {
            apply(&trace->events[i], cut->fates[i], out, arena);
        }
    }
}

/* ---- which ---- */

/* What is not flushed at a step, and the cut that is being made up. */
struct maker {
    const struct trace *trace;
    bool is_coarse;
    struct cut cut;
    size_t open[TRACE_EVENTS];
    size_t n_open;
    cut_fn fn;
    void *arg;
};

static bool is_open(const struct trace *trace, size_t i, size_t step)
{
    return trace->events[i].kind != TRACE_SYNC && trace->events[i].flushed_at >= step;
}

/* How many fates the i-th open event may have. */
static unsigned n_fates(const struct maker *m, size_t i)
{
    const struct trace_event *event = &m->trace->events[m->open[i]];

    if (event->kind != TRACE_WRITE || event->len < 2) {
        return 2;
    }
    if (m->is_coarse) {
        return event->grows ? 4 : 3;
    }
    return event->grows ? CUT__COUNT : CUT_EMPTY;
}

static void set(struct maker *m, size_t i, unsigned n)
{
    static const uint8_t coarse[] = {CUT_LOST, CUT_WHOLE, CUT_TORN + CUT_PARTS / 2 - 1, CUT_EMPTY};

    m->cut.fates[m->open[i]] = m->is_coarse ? coarse[n] : (uint8_t)n;
}

static void set_all(struct maker *m, enum cut_fate fate)
{
    for (size_t i = 0; i < m->n_open; i++) {
        set(m, i, fate);
    }
}

static uint64_t next(uint64_t *random)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random;
}

/* Counts through all fates, the first event fastest. */
static void all(struct maker *m)
{
    unsigned counts[TRACE_EVENTS] = {0};
    size_t i = 0;

    set_all(m, CUT_LOST);
    do {
        m->fn(m->arg, &m->cut);
        for (i = 0; i < m->n_open; i++) {
            counts[i] = counts[i] + 1 < n_fates(m, i) ? counts[i] + 1 : 0;
            set(m, i, counts[i]);
            if (counts[i] != 0) {
                break;
            }
        }
    } while (i < m->n_open);
}

/* Everything has one fate, but for one or two events that have another. */
static void pairs(struct maker *m, enum cut_fate most, enum cut_fate few)
{
    set_all(m, most);
    m->fn(m->arg, &m->cut);
    for (size_t i = 0; i < m->n_open; i++) {
        set(m, i, few);
        m->fn(m->arg, &m->cut);
        for (size_t j = i + 1; j < m->n_open; j++) {
            set(m, j, few);
            m->fn(m->arg, &m->cut);
            set(m, j, most);
        }
        set(m, i, most);
    }
}

static void half_writes(struct maker *m)
{
    for (size_t i = 0; i < m->n_open; i++) {
        for (unsigned n = CUT_TORN; n < n_fates(m, i); n++) {
            set_all(m, CUT_WHOLE);
            set(m, i, n);
            m->fn(m->arg, &m->cut);
            set_all(m, CUT_LOST);
            set(m, i, n);
            m->fn(m->arg, &m->cut);
        }
    }
}

static void at_random(struct maker *m, uint64_t seed)
{
    uint64_t random = seed * 2 + 1;

    for (unsigned n = 0; n < CUT_RANDOM; n++) {
        for (size_t i = 0; i < m->n_open; i++) {
            set(m, i, (unsigned)((next(&random) >> 20) % n_fates(m, i)));
        }
        m->fn(m->arg, &m->cut);
    }
}

void cut_each(const struct trace *trace, size_t step, const struct cut_how *how, cut_fn fn,
              void *arg)
{
    struct maker m = {.trace = trace, .is_coarse = how->is_coarse, .fn = fn, .arg = arg};
    size_t product = 1;

    m.cut.step = step;
    for (size_t i = 0; i < step; i++) {
        m.cut.fates[i] = CUT_WHOLE;
        if (is_open(trace, i, step)) {
            m.open[m.n_open++] = i;
            product = product > CUT_ALL ? product : product * n_fates(&m, m.n_open - 1);
        }
    }
    if (product <= CUT_ALL) {
        all(&m);
        return;
    }
    pairs(&m, CUT_WHOLE, CUT_LOST);
    pairs(&m, CUT_LOST, CUT_WHOLE);
    half_writes(&m);
    at_random(&m, how->seed + step);
}

void cut_text(const struct cut *cut, const struct trace *trace, char dst[CUT_TEXT])
{
    int len = snprintf(dst, CUT_TEXT, "%zu:", cut->step);

    for (size_t i = 0; i < cut->step && len < CUT_TEXT - 8; i++) {
        if (is_open(trace, i, cut->step)) {
            len += snprintf(dst + len, (size_t)(CUT_TEXT - len),
                            cut->fates[i] <= CUT_WHOLE ? "%u" : "(%u)", (unsigned)cut->fates[i]);
        }
    }
}
