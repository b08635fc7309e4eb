/* SPDX-License-Identifier: Apache-2.0 */
/*
 * faults_model - power cuts of one scenario on the model of a file system
 *
 * Runs the deployment once and notes what it changed (trace.h). Then every state that a power cut
 * could leave (cuts.h) is made on a real directory, the product's recovery runs there, and the
 * oracle of tests/faults/subject looks. A part of the recoveries is cut off in the same way. Ends
 * with one line of JSON.
 */
#define _GNU_SOURCE /* dladdr */
#include <dlfcn.h>
#include <getopt.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/faults/model/cuts.h"
#include "tests/faults/model/memo.h"
#include "tests/faults/model/seen.h"
#include "tests/faults/subject/subject.h"

#define SITES_MAX    128
#define SITE_FRAMES  4
#define TRIES        60 /* with a site that nobody seems to need */
#define COMPLAINTS   5  /* with every detail; the rest is only counted */
#define CAPTURE_SIZE 4096

static const char *const dirs[] = {"state", "etc", NULL};

/* Somebody who flushes something, and whether it is noticed when that flush does nothing. */
struct site {
    void *frames[SITE_FRAMES];
    char label[TRACE_LABEL]; /* of the first flush from there, or of the one that was noticed */
    bool is_caught;
    unsigned flushes;
};

struct run {
    struct subject subject;
    struct trace deploy;
    struct trace recovery;
    const struct trace *trace; /* the one that is cut now */
    char outer[CUT_TEXT + 1];  /* the cut before the recovery that is cut now; else "" */
    enum subject_end end;      /* of the deployment */
    struct disk_arena arena;
    struct seen seen;
    struct seen dropped; /* states whose recovery was tried without its flushes */
    struct site sites[SITES_MAX];
    size_t n_sites;
    FILE *report;

    /* options */
    unsigned per_mille;      /* of states that are looked at */
    unsigned nest_per_mille; /* of those, whose recovery is cut off as well */
    uint64_t seed;
    const char *only; /* this cut, and nothing else */
    bool is_quiet;    /* violations are expected */
    bool stops_early; /* at the first violation */
    bool is_nested;

    /* figures */
    unsigned long states;    /* recovered and checked */
    unsigned long nested;    /* of them, after a second power cut */
    unsigned long different; /* that came up, looked at or not */
    unsigned long violations;
};

/* ---- one state ---- */

/* What the subject says goes to standard output, which is a file of ours. */
static void forget_output(void)
{
    (void)fflush(stdout);
    if (ftruncate(STDOUT_FILENO, 0) != 0 || lseek(STDOUT_FILENO, 0, SEEK_SET) != 0) {
        abort();
    }
}

static void complain(struct run *run, const struct cut *cut, const char *what)
{
    char said[CAPTURE_SIZE];
    char text[CUT_TEXT];
    ssize_t n;

    if (run->is_quiet || run->violations > COMPLAINTS) {
        return;
    }
    (void)fflush(stdout);
    n = pread(STDOUT_FILENO, said, sizeof(said) - 1, 0);
    said[n > 0 ? n : 0] = '\0';
    cut_text(cut, run->trace, text);
    (void)fprintf(stderr, "model: %s, cut %s%s, after '%s': %s\n%s", run->subject.scenario->name,
                  run->outer, text, cut->step > 0 ? run->trace->events[cut->step - 1].label : "",
                  what, said);
    for (size_t i = 0; i < cut->step; i++) {
        if (cut->fates[i] != CUT_WHOLE) {
            unsigned fate = cut->fates[i];

            (void)fprintf(stderr, "  %s: %s\n",
                          fate == CUT_LOST   ? "lost"
                          : fate < CUT_EMPTY ? "torn"
                                             : "empty",
                          run->trace->events[i].label);
        }
    }
    (void)fprintf(stderr, "  again: tests/faults/model/run --scenario %s --cut %s%s\n",
                  run->subject.scenario->name, run->outer, text);
}

static void restart_machine(struct run *run)
{
    (void)unlink(run->subject.scene.server.served_path);
    run->subject.runs = 0;
}

static bool recovers(struct run *run, const struct cut *cut, const struct disk *state, bool noted)
{
    bool is_end = cut->step == run->trace->n && run->outer[0] == '\0';
    const char *root = run->subject.scene.root;
    enum subject_end end;

    forget_output();
    disk_make(state, root);
    restart_machine(run);
    if (noted) {
        trace_start(&run->recovery, root, dirs);
    }
    end = subject_recover(&run->subject, true);
    trace_stop();
    run->states++;
    if (end == SUBJECT_OK &&
        subject_check(&run->subject, is_end ? run->end : SUBJECT_DIED) != '\0') {
        return true;
    }
    run->violations++;
    complain(run, cut, end == SUBJECT_OK ? "the oracle says" : "recovery failed");
    return false;
}

static void cut_trace(struct run *run, struct trace *trace);

/* The recovery just noted is cut off, too. */
static void nest(struct run *run, const struct cut *cut)
{
    const struct trace *outer = run->trace;
    char text[CUT_TEXT];

    cut_text(cut, outer, text);
    (void)snprintf(run->outer, sizeof(run->outer), "%.*s/", CUT_TEXT - 1, text);
    cut_trace(run, &run->recovery);
    run->outer[0] = '\0';
    run->trace = outer;
}

static bool is_in_sample(const struct run *run, const struct cut *cut, unsigned per_mille,
                         uint64_t salt)
{
    uint64_t h = run->seed * 0x9E3779B97F4A7C15u + salt + cut->step;

    for (size_t i = 0; i < cut->step; i++) {
        h = (h ^ cut->fates[i]) * 0x100000001B3u;
    }
    h ^= h >> 32;
    return (h * 0xD6E8FEB86659FD93u) >> 32 < (uint64_t)per_mille * 4294967u;
}

static bool is_wanted(const struct run *run, const struct cut *cut)
{
    char full[2 * CUT_TEXT + 1];
    char text[CUT_TEXT];

    if (run->only == NULL) {
        return run->outer[0] != '\0' || is_in_sample(run, cut, run->per_mille, 1);
    }
    cut_text(cut, run->trace, text);
    (void)snprintf(full, sizeof(full), "%s%s", run->outer, text);
    if (run->outer[0] == '\0' && strncmp(run->only, full, strlen(full)) == 0 &&
        run->only[strlen(full)] == '/') {
        return true; /* its recovery is cut */
    }
    return strcmp(run->only, full) == 0;
}

static bool nests(const struct run *run, const struct cut *cut)
{
    if (run->outer[0] != '\0' || !run->is_nested) {
        return false;
    }
    return run->only != NULL ? strchr(run->only, '/') != NULL
                             : is_in_sample(run, cut, run->nest_per_mille, 2);
}

static void look(void *arg, const struct cut *cut)
{
    struct run *run = arg;
    bool is_end = cut->step == run->trace->n && run->outer[0] == '\0';
    struct disk state;
    struct disk_hash hash;
    bool is_noted;

    if (run->stops_early && run->violations > 0) {
        return;
    }
    run->arena.len = 0;
    cut_state(cut, run->trace, &state, &run->arena);
    hash = disk_hash(&state);
    hash.a ^= is_end ? 1 : 0; /* something was reported: more is asked */
    if (!seen_add(&run->seen, hash)) {
        return;
    }
    run->different++;
    if (!is_wanted(run, cut)) {
        return;
    }
    run->nested += run->outer[0] != '\0';
    is_noted = nests(run, cut);
    if (recovers(run, cut, &state, is_noted) && is_noted) {
        trace_flush(&run->recovery, NULL);
        nest(run, cut);
    }
}

/* The states at a step are among those of the next one, unless something is flushed in between. */
static void cut_trace(struct run *run, struct trace *trace)
{
    const struct cut_how how = {.seed = run->seed, .is_coarse = run->stops_early};

    run->trace = trace;
    for (size_t step = 0; step <= trace->n; step++) {
        if (step == trace->n || trace->events[step].kind == TRACE_SYNC) {
            cut_each(trace, step, &how, look, run);
        }
    }
}

/* ---- flushes that do nothing ---- */

static struct site *site_of(struct run *run, const struct trace_event *event)
{
    struct site *site;

    for (size_t i = 0; i < run->n_sites; i++) {
        if (memcmp(run->sites[i].frames, event->frames, sizeof(run->sites[i].frames)) == 0) {
            return &run->sites[i];
        }
    }
    if (run->n_sites == SITES_MAX) {
        abort();
    }
    site = &run->sites[run->n_sites++];
    memcpy(site->frames, event->frames, sizeof(site->frames));
    memcpy(site->label, event->label, sizeof(site->label));
    return site;
}

/* Every flush of the trace in turn is not made; is it noticed? */
static void drop_flushes(struct run *run, struct trace *trace)
{
    for (size_t i = 0; i < trace->n; i++) {
        bool off[TRACE_EVENTS] = {false};
        struct site *site;

        if (trace->events[i].kind != TRACE_SYNC) {
            continue;
        }
        site = site_of(run, &trace->events[i]);
        if (site->is_caught || ++site->flushes > TRIES) {
            continue;
        }
        off[i] = true;
        trace_flush(trace, off);
        run->violations = 0;
        cut_trace(run, trace);
        if (run->violations > 0) {
            site->is_caught = true;
            memcpy(site->label, trace->events[i].label, sizeof(site->label));
        }
    }
    trace_flush(trace, NULL);
    run->violations = 0;
}

/* The same for recoveries: from what a cut leaves that loses nothing, or all that it can. */
static void drop_flushes_of_recovery(struct run *run, size_t step, enum cut_fate fate)
{
    struct cut cut = {.step = step};
    struct disk state;

    for (size_t i = 0; i < step; i++) {
        const struct trace_event *event = &run->deploy.events[i];

        cut.fates[i] = (uint8_t)(event->flushed_at < step ? CUT_WHOLE : fate);
    }
    run->trace = &run->deploy;
    run->arena.len = 0;
    cut_state(&cut, &run->deploy, &state, &run->arena);
    if (seen_add(&run->dropped, disk_hash(&state)) && recovers(run, &cut, &state, true)) {
        (void)snprintf(run->outer, sizeof(run->outer), "%zu/", step);
        drop_flushes(run, &run->recovery);
        run->outer[0] = '\0';
    }
}

static void drop_all_flushes(struct run *run)
{
    run->is_quiet = true;
    run->stops_early = true;
    run->is_nested = false;
    drop_flushes(run, &run->deploy);
    for (size_t step = 0; step <= run->deploy.n; step++) {
        drop_flushes_of_recovery(run, step, CUT_WHOLE);
        drop_flushes_of_recovery(run, step, CUT_LOST);
    }
}

/* ---- */

static void print_sites(const struct run *run)
{
    for (size_t i = 0; i < run->n_sites; i++) {
        const struct site *site = &run->sites[i];

        (void)fprintf(run->report, "%s{\"label\":\"%s\",\"caught\":%s,\"flushes\":%u,\"frames\":[",
                      i > 0 ? "," : "", site->label, site->is_caught ? "true" : "false",
                      site->flushes);
        for (size_t f = 0; f < SITE_FRAMES; f++) {
            Dl_info info = {0};

            if (site->frames[f] != NULL && dladdr(site->frames[f], &info) != 0) {
                (void)fprintf(run->report, "%s%td", f > 0 ? "," : "",
                              (char *)site->frames[f] - 1 - (char *)info.dli_fbase);
            }
        }
        (void)fprintf(run->report, "]}");
    }
}

static void print_report(const struct run *run, size_t n_syncs)
{
    (void)fprintf(run->report,
                  "{\"scenario\":\"%s\",\"events\":%zu,\"flushes\":%zu,\"states\":%lu,"
                  "\"after_a_second_cut\":%lu,\"different\":%lu,\"violations\":%lu,\"sites\":[",
                  run->subject.scenario->name, run->deploy.n, n_syncs, run->states, run->nested,
                  run->different, run->violations);
    print_sites(run);
    (void)fprintf(run->report, "]}\n");
    (void)fclose(run->report);
}

static size_t count_syncs(const struct trace *trace)
{
    size_t n = 0;

    for (size_t i = 0; i < trace->n; i++) {
        n += trace->events[i].kind == TRACE_SYNC;
    }
    return n;
}

static void take_stdout(struct run *run)
{
    FILE *said = tmpfile();

    run->report = fdopen(dup(STDOUT_FILENO), "w");
    if (run->report == NULL || said == NULL || dup2(fileno(said), STDOUT_FILENO) < 0) {
        abort();
    }
}

static void note_deployment(struct run *run)
{
    subject_prepare(&run->subject);
    trace_start(&run->deploy, run->subject.scene.root, dirs);
    run->end = subject_deploy(&run->subject);
    trace_stop();
    memo_use(&run->subject);
    trace_flush(&run->deploy, NULL);
}

static void cut_everything(struct run *run, bool drop, bool no_flush)
{
    bool off[TRACE_EVENTS];

    if (no_flush) {
        memset(off, true, sizeof(off));
        trace_flush(&run->deploy, off);
        run->is_quiet = true;
    }
    cut_trace(run, &run->deploy);
    if (drop && run->violations == 0) {
        drop_all_flushes(run);
    }
}

static unsigned number(const char *text)
{
    return (unsigned)strtoul(text, NULL, 10);
}

int main(int argc, char **argv)
{
    static struct run run = {.per_mille = 1000};
    static const char usage[] = "faults_model [-p PER_MILLE] [-n PER_MILLE] [-s SEED] [-c CUT] "
                                "[-d] [-x] SCENARIO ROOT CERTS CHILD";
    bool drop = false;
    bool no_flush = false;
    int opt;

    while ((opt = getopt(argc, argv, "p:n:s:c:dx")) != -1) {
        run.per_mille = opt == 'p' ? number(optarg) : run.per_mille;
        run.nest_per_mille = opt == 'n' ? number(optarg) : run.nest_per_mille;
        run.seed = opt == 's' ? number(optarg) : run.seed;
        run.only = opt == 'c' ? optarg : run.only;
        drop = drop || opt == 'd';
        no_flush = no_flush || opt == 'x';
        if (opt == '?') {
            return 2;
        }
    }
    if (argc - optind != 4) {
        (void)fprintf(stderr, "usage: %s\n", usage);
        return 2;
    }
    run.is_nested = run.nest_per_mille > 0 || run.only != NULL;
    take_stdout(&run);
    subject_open(&run.subject, argv[optind], argv[optind + 1], argv[optind + 2], argv[optind + 3]);
    note_deployment(&run);
    cut_everything(&run, drop, no_flush);
    print_report(&run, count_syncs(&run.deploy));
    subject_close(&run.subject);
    return run.violations > 0;
}
