/* SPDX-License-Identifier: Apache-2.0 */
/* Deployment and recovery, as agent/host runs them, between marks. */
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agent/base/dirlock.h"
#include "agent/base/fs.h"
#include "agent/base/proc.h"
#include "tests/faults/subject/host.h"
#include "tests/faults/subject/leak.h"

void subject_mark(bool begin)
{
    (void)prctl(SUBJECT_MARK, begin ? 1UL : 0UL, 0UL, 0UL, 0UL);
}

/* ---- the world: programs are real, the server is scripted and not measured ---- */

static enum clm_code run(void *ctx, const char *const *argv, uint32_t timeout_ms, int *out_status,
                         struct clm_buf *output, struct clm_err *err)
{
    struct fake_io *server = ctx;
    struct subject *s = server->user;
    const char *status = s->scenario->story == SUBJECT_CHECK_REFUSES && s->runs > 0 ? "1" : "0";
    bool has_files = access(server->cert_path, F_OK) == 0;
    const char *const real[] = {s->child, status, has_files ? server->cert_path : NULL,
                                server->key_path, NULL};
    const struct clm_proc proc = {.argv = real, .timeout_ms = timeout_ms};

    (void)argv;
    s->runs++;
    return clm_proc_run(&proc, out_status, output, err);
}

static enum clm_code unit_reload(void *ctx, const char *name, uint32_t timeout_ms,
                                 struct clm_err *err)
{
    struct fake_io *server = ctx;
    struct subject *s = server->user;
    enum clm_code code;

    subject_mark(false);
    code = s->scripted.unit_reload(ctx, name, timeout_ms, err);
    subject_mark(true);
    return code;
}

static enum clm_code probe(void *ctx, const struct clm_endpoint *endpoint,
                           struct clm_observation *out, struct clm_err *err)
{
    struct fake_io *server = ctx;
    struct subject *s = server->user;
    enum clm_code code;

    subject_mark(false);
    code = s->scripted.probe(ctx, endpoint, out, err);
    subject_mark(true);
    return code;
}

void subject_use_child(struct subject *s)
{
    struct fake_io *server = &s->scene.server;

    server->user = s;
    s->scripted = server->io;
    server->io.run = run;
    server->io.unit_reload = unit_reload;
    server->io.probe = probe;
}

/* ---- what is reported ---- */

static bool is_one_line(const char *text)
{
    for (const char *p = text; *p != '\0'; p++) {
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            return false;
        }
    }
    return text[0] != '\0';
}

static bool is_fit(enum clm_txn_result result, enum clm_code code, const struct clm_err *err)
{
    bool is_good = result == CLM_TXN_SUCCEEDED || result == CLM_TXN_NOOP;

    if (is_good != (code == CLM_OK)) {
        (void)printf("report: result and code differ\n");
        return false;
    }
    if (code != CLM_OK && (!is_one_line(err->msg) || err->code != code)) {
        (void)printf("report: the message is no line of text, or of another code\n");
        return false;
    }
    return true;
}

static enum subject_end end_of(enum clm_txn_result result)
{
    static const struct {
        enum clm_txn_result result;
        enum subject_end end;
    } ends[] = {
        {CLM_TXN_SUCCEEDED, SUBJECT_OK},    {CLM_TXN_NOOP, SUBJECT_OK},
        {CLM_TXN_FAILED, SUBJECT_FAILED},   {CLM_TXN_ROLLED_BACK, SUBJECT_FAILED},
        {CLM_TXN_BLOCKED, SUBJECT_BLOCKED}, {CLM_TXN_NEEDS_HUMAN, SUBJECT_HUMAN},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(ends); i++) {
        if (ends[i].result == result) {
            return ends[i].end;
        }
    }
    return SUBJECT_BAD; /* these plans cannot end so */
}

/* ---- deploy ---- */

static enum clm_code locked_deploy(struct subject *s, struct clm_txn_outcome *out,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int lock_fd = -1;
    CLM_CLEANUP(clm_txn_outcomes_done) struct clm_txn_outcomes earlier = {0};
    enum clm_code code = clm_dirlock_take(s->scene.env.dir, 0, &lock_fd, err);

    if (code == CLM_OK) {
        code = clm_txn_recover(&s->scene.env, false, &earlier, err);
    }
    if (code == CLM_OK) {
        code = clm_txn_deploy(&s->scene.env, &s->scene.plan, s->scene.bundle, NULL, out, err);
    }
    return code;
}

enum subject_end subject_deploy(struct subject *s)
{
    struct clm_txn_outcome out = {.result = CLM_TXN_FAILED};
    struct subject_leak leak;
    struct clm_err err = {0};
    enum clm_txn_result result;
    enum clm_code code;
    enum subject_end end;
    bool is_clean;

    subject_leak_begin(&leak);
    subject_mark(true);
    code = locked_deploy(s, &out, &err);
    subject_mark(false);
    result = out.result;
    clm_txn_outcome_done(&out);
    is_clean = subject_leak_end(&leak);
    end = is_fit(result, code, &err) ? end_of(result) : SUBJECT_BAD;
    (void)printf("%s %s: %s\n", clm_txn_result_name(result), clm_code_name(code), err.msg);
    return is_clean ? end : SUBJECT_BAD;
}

/* ---- recover ---- */

static enum clm_code locked_recover(struct subject *s, bool boot, struct clm_txn_outcomes *out,
                                    struct clm_err *err)
{
    CLM_CLEANUP(clm_fs_close_p) int lock_fd = -1;
    enum clm_code code = clm_dirlock_take(s->scene.env.dir, 0, &lock_fd, err);

    return code != CLM_OK ? code : clm_txn_recover(&s->scene.env, boot, out, err);
}

static enum subject_end worst_of(const struct clm_txn_outcomes *out)
{
    enum subject_end worst = SUBJECT_OK;

    for (size_t i = 0; i < out->n; i++) {
        const struct clm_txn_outcome *one = &out->v[i];
        enum subject_end end =
            is_fit(one->result, one->err.code, &one->err) ? end_of(one->result) : SUBJECT_BAD;

        (void)printf("%s %s: %s\n", clm_txn_result_name(one->result), clm_code_name(one->err.code),
                     one->err.msg);
        if (end != SUBJECT_FAILED && end > worst) { /* rolled back is what recovery is for */
            worst = end;
        }
    }
    return worst;
}

/* As after a power cut: the server was not there, and reads its files when it starts. */
static enum subject_end start_server(struct subject *s)
{
    struct fake_io *server = &s->scene.server;
    struct clm_err err = {0};

    server->fail_reloads_after = 0;
    if (server->io.unit_restart(server, "fake.service", 1000, &err) == CLM_OK) {
        return SUBJECT_OK;
    }
    (void)printf("I3: the server does not start after a recovery at boot: %s\n", err.msg);
    return SUBJECT_BAD;
}

static enum clm_code measured_recover(struct subject *s, bool boot, enum subject_end *out_end,
                                      struct clm_err *err)
{
    struct clm_txn_outcomes out = {0};
    struct subject_leak leak;
    enum clm_code code;

    (void)printf("recovery\n"); /* also gives stdout its buffer, which is no leak */
    subject_leak_begin(&leak);
    subject_mark(true);
    code = locked_recover(s, boot, &out, err);
    subject_mark(false);
    *out_end = worst_of(&out);
    clm_txn_outcomes_done(&out);
    if (!subject_leak_end(&leak)) {
        *out_end = SUBJECT_BAD;
    }
    return code;
}

enum subject_end subject_recover(struct subject *s, bool boot)
{
    struct clm_err err = {0};
    enum subject_end end = SUBJECT_OK;
    enum clm_code code;

    if (!subject_keys_are_private(s)) {
        return SUBJECT_BAD;
    }
    code = measured_recover(s, boot, &end, &err);
    if (code != CLM_OK) {
        (void)printf("failed %s: %s\n", clm_code_name(code), err.msg);
        end = is_fit(CLM_TXN_FAILED, code, &err) ? SUBJECT_FAILED : SUBJECT_BAD;
    }
    return end == SUBJECT_OK && boot ? start_server(s) : end;
}
