/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cuts - what a power cut may leave of a trace
 *
 * A cut has a step, the number of events that had happened, and for each of them what became of it.
 * Everything that a flush had covered by then is there; of the rest, anything may be.
 */
#ifndef CLM_TESTS_FAULTS_MODEL_CUTS_H
#define CLM_TESTS_FAULTS_MODEL_CUTS_H

#include "tests/faults/model/trace.h"

#define CUT_PARTS 96
enum cut_fate {
    CUT_LOST,
    CUT_WHOLE,
    CUT_TORN,                             /* a write: the first of CUT_PARTS parts, ... */
    CUT_EMPTY = CUT_TORN + CUT_PARTS - 1, /* one that makes a file longer: all of it is zeros */
    CUT_HALF_EMPTY,                       /* the second half is */
    CUT__COUNT
};

struct cut {
    size_t step;
    uint8_t fates[TRACE_EVENTS]; /* enum cut_fate */
};

/* What lies on the disk then. Content is in the arena, the trace and the trace's base. */
void cut_state(const struct cut *cut, const struct trace *trace, struct disk *out,
               struct disk_arena *arena);

typedef void (*cut_fn)(void *arg, const struct cut *cut);
/*
 * cut_each() - every cut at this step that is worth a look
 *
 * All subsets of what is not flushed, torn and empty writes included, if these are CUT_ALL at most.
 * Else: nothing lost, all lost, each one and each pair lost, each one and each pair kept, each write
 * torn in each way and empty, and CUT_RANDOM random ones from the seed.
 */
#define CUT_ALL    16384
#define CUT_RANDOM 1000
struct cut_how {
    uint64_t seed;
    bool is_coarse; /* a write is torn in the middle, and empty, and nothing else */
};
void cut_each(const struct trace *trace, size_t step, const struct cut_how *how, cut_fn fn,
              void *arg);

/* "57:01(12)1": the step, and the fate of each event that was not flushed. */
#define CUT_TEXT 512
void cut_text(const struct cut *cut, const struct trace *trace, char dst[CUT_TEXT]);

#endif
