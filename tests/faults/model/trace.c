/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/faults/model/trace.h"

#include <string.h>

static bool covers(const struct trace_event *sync, const struct trace_event *event)
{
    switch (event->kind) {
    case TRACE_ENTRY:
        return event->entries[0].dir == sync->node;
    case TRACE_WRITE:
    case TRACE_SIZE:
        return event->node == sync->node;
    case TRACE_MODE:
    case TRACE_OWNER:
    case TRACE_XATTR:
        return event->node == sync->node && !sync->is_data_only;
    case TRACE_SYNC:
        break;
    }
    return false;
}

void trace_flush(struct trace *trace, const bool *is_off)
{
    for (size_t i = 0; i < trace->n; i++) {
        struct trace_event *event = &trace->events[i];

        event->flushed_at = SIZE_MAX;
        for (size_t s = i + 1; s < trace->n && event->flushed_at == SIZE_MAX; s++) {
            const struct trace_event *sync = &trace->events[s];

            if (sync->kind == TRACE_SYNC && (is_off == NULL || !is_off[s]) && covers(sync, event)) {
                event->flushed_at = s;
            }
        }
    }
}

void trace_done(struct trace *trace)
{
    disk_arena_done(&trace->arena);
    trace->n = 0;
}
