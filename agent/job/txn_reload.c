/* SPDX-License-Identifier: Apache-2.0 */
/* The ways to make a server read its files again, as a table, and the programs of a plan. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agent/base/proc.h"
#include "agent/formats/server_args.h"
#include "agent/job/txn_build.h"
#include "agent/job/txn_int.h"
#include "agent/model/names.h"

#define RELOAD_TIMEOUT_MS 90000u
#define CHECK_TIMEOUT_MS  30000u
#define ANSWER_MAX        65536u /* bytes of a manager's answer */
#define LINE_SIZE         384    /* fits an error message with the program in front */
#define ENV_MAX           8

static uint32_t reload_timeout_ms(const struct clm_txn *t)
{
    return t->env->reload_timeout_ms > 0 ? t->env->reload_timeout_ms : RELOAD_TIMEOUT_MS;
}

/* ---- programs ---- */

/* A line that ends like a sentence, or announces the next one, needs no other mark. */
static const char *separator(const char *so_far, size_t len)
{
    if (len == 0) {
        return "";
    }
    return strchr(":.;,", so_far[len - 1]) != NULL ? " " : "; ";
}

/* What the program said, its lines joined: the first one often names the place, the last one only
 * that the test failed. */
static void join_lines(const struct clm_buf *output, char *dst, size_t size)
{
    const char *at = clm_buf_str(output);
    size_t len = 0;

    dst[0] = '\0';
    while (*at != '\0' && len + 1 < size) {
        size_t n = strcspn(at, "\n");
        size_t shown = n;

        while (shown > 0 && (at[shown - 1] == ' ' || at[shown - 1] == '\r')) {
            shown--;
        }
        if (shown > 0) {
            int written =
                snprintf(dst + len, size - len, "%s%.*s", separator(dst, len), (int)shown, at);

            len += written > 0 ? (size_t)written : 0;
        }
        at += n + (at[n] == '\n');
    }
}

struct run {
    struct clm_program program; /* argv and time */
    int status;
    struct clm_buf output;
};

/* A hook learns what it is run for; nothing of it is secret, and nothing else is in its environment. */
static enum clm_code run_hook(struct clm_txn *t, struct run *run, struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    struct clm_program program = run->program;
    bool is_back = t->out->result == CLM_TXN_ROLLED_BACK;
    char text[4][CLM_TARGET_ID_SIZE + 32]; /* the longest name and value fit */
    const char *env[ENV_MAX] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C"};
    const struct {
        const char *name;
        const char *value;
    } vars[] = {
        {"CLM_TARGET", t->rec.plan.target},
        {"CLM_ACTION", is_back ? "rollback" : "deploy"},
        {"CLM_CERT_SHA256", is_back ? t->rec.old_leaf : t->rec.new_leaf},
        {"CLM_OLD_CERT_SHA256", is_back ? t->rec.new_leaf : t->rec.old_leaf},
    };
    enum clm_code code = clm_program_check(io, program.argv[0], err);

    for (size_t i = 0; i < CLM_ARRAY_LEN(vars); i++) {
        (void)snprintf(text[i], sizeof(text[i]), "%s=%s", vars[i].name, vars[i].value);
        env[i + 2] = text[i];
    }
    program.env = env;
    return code == CLM_OK ? io->run_env(io->ctx, &program, &run->status, &run->output, err) : code;
}

/* what: "configuration test", "hook". */
static enum clm_code run_step(struct clm_txn *t, const struct clm_step *step, const char *what,
                              uint32_t timeout_ms, struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    const char **argv = calloc(step->argv.n + 1, sizeof(*argv));
    struct run run = {.program = {.argv = argv, .timeout_ms = timeout_ms},
                      .output = CLM_BUF_INIT(CLM_PROC_OUTPUT_MAX)};
    bool is_hook = step->kind == CLM_STEP_RELOAD ||
                   clm_policy_check_hook(t->env->policy, &step->argv, NULL) == CLM_OK;
    char line[LINE_SIZE];
    enum clm_code code;

    if (argv == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "arguments");
    }
    for (size_t i = 0; i < step->argv.n; i++) {
        argv[i] = step->argv.v[i];
    }
    code = is_hook ? run_hook(t, &run, err)
                   : io->run(io->ctx, argv, timeout_ms, &run.status, &run.output, err);
    if (code == CLM_OK && run.status != 0) {
        join_lines(&run.output, line, sizeof(line));
        code = clm_err_set(err, CLM_E_CONFIG, "the %s '%s' exited with %d: %s", what, argv[0],
                           run.status, line);
    }
    clm_buf_done(&run.output);
    free(argv);
    return code;
}

enum clm_code clm_txn_run_checks(struct clm_txn *t, enum clm_step_kind kind, struct clm_err *err)
{
    const char *name = kind == CLM_STEP_CHECK ? "check" : "post-check";
    uint32_t timeout_ms = t->env->check_timeout_ms;

    for (size_t i = 0; i < t->rec.plan.n_steps; i++) {
        const struct clm_step *step = &t->rec.plan.steps[i];

        if (step->kind == kind) {
            int64_t start_ms = clm_txn_mono_ms(t);
            enum clm_code code = run_step(t, step, "configuration test",
                                          timeout_ms > 0 ? timeout_ms : CHECK_TIMEOUT_MS, err);

            clm_txn_step_done(t, name, code == CLM_OK ? "ok" : "failed", start_ms, "%s",
                              step->argv.v[0]);
            if (code != CLM_OK) {
                return code;
            }
        }
    }
    return CLM_OK;
}

/* ---- may it be done at all? Asked while nothing was changed ---- */

/* A stopped service is never started, so it could never prove anything. */
static enum clm_code allow_unit(struct clm_txn *t, const struct clm_step *step, struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    struct clm_unit unit = {0};

    if (io->unit_state(io->ctx, step->unit, &unit, NULL) == CLM_OK &&
        (unit.state == CLM_UNIT_INACTIVE || unit.state == CLM_UNIT_FAILED)) {
        return clm_err_set(err, CLM_E_CONFLICT, "%s is not running; start it first", step->unit);
    }
    return CLM_OK;
}

static enum clm_code allow_restart(struct clm_txn *t, const struct clm_step *step,
                                   struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    struct clm_unit unit = {0};
    enum clm_code code =
        t->env->policy == NULL ? CLM_OK : clm_policy_check_restart(t->env->policy, step->unit, err);

    if (code != CLM_OK) {
        return code;
    }
    /* A stopped unit may be one that systemd has not even loaded, and a restart would start it. */
    if (io->unit_state(io->ctx, step->unit, &unit, err) != CLM_OK) {
        return clm_err_set(err, CLM_E_CONFLICT, "%s is not running; start it first", step->unit);
    }
    return allow_unit(t, step, err);
}

static enum clm_code read_password(struct clm_txn *t, const struct clm_step *step,
                                   struct clm_buf *out, struct clm_err *err)
{
    enum clm_code code =
        clm_txn_secret(&t->env->secrets, t->rec.plan.deployer, step->password, out, err);

    return code == CLM_OK
               ? code
               : clm_err_wrap(err, code, "password of user '%s' of the manager", step->user);
}

static enum clm_code allow_manager(struct clm_txn *t, const struct clm_step *step,
                                   struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf password = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);

    return read_password(t, step, &password, err);
}

static enum clm_code allow_hook(struct clm_txn *t, const struct clm_step *step, struct clm_err *err)
{
    enum clm_code code =
        t->env->policy == NULL ? CLM_OK : clm_policy_check_hook(t->env->policy, &step->argv, err);

    return code == CLM_OK ? clm_program_check(t->env->io, step->argv.v[0], err) : code;
}

/* ---- doing it ---- */

static enum clm_code by_unit(struct clm_txn *t, const struct clm_step *step, struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    enum clm_code code = io->unit_reload(io->ctx, step->unit, reload_timeout_ms(t), err);

    return code == CLM_OK ? code : clm_err_wrap(err, code, "reload %s", step->unit);
}

static enum clm_code by_restart(struct clm_txn *t, const struct clm_step *step, struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    enum clm_code code = io->unit_restart(io->ctx, step->unit, reload_timeout_ms(t), err);

    return code == CLM_OK ? code : clm_err_wrap(err, code, "restart %s", step->unit);
}

static enum clm_code by_signal(struct clm_txn *t, const struct clm_step *step, struct clm_err *err)
{
    const struct clm_io *io = t->env->io;
    enum clm_code code = io->signal(io->ctx, step->pid, step->start_ticks, step->signo, err);

    return code == CLM_OK
               ? code
               : clm_err_wrap(err, code, "signal %d to process %ld", step->signo, (long)step->pid);
}

/* "Authorization: Basic ..." (RFC 7617) */
static enum clm_code make_header(struct clm_txn *t, const struct clm_step *step,
                                 struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf pair = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX + sizeof(step->user) + 1);
    enum clm_code code = clm_buf_addf(&pair, err, "%s:", step->user);

    if (code == CLM_OK) {
        code = read_password(t, step, &pair, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add_str(out, "Authorization: Basic ", err);
    }
    return code == CLM_OK ? clm_b64_encode(pair.data, pair.len, out, err) : code;
}

static enum clm_code judge_answer(const struct clm_step *step,
                                  const struct clm_http_response *answer, struct clm_err *err)
{
    char line[LINE_SIZE];

    if (answer->status == 200 && clm_str_starts(clm_buf_str(&answer->body), "OK -")) {
        return CLM_OK;
    }
    if (answer->status == 401 || answer->status == 403) {
        return clm_err_set(err, CLM_E_AUTH,
                           "the manager at '%s' refused user '%s' (status %d): it needs this user, "
                           "its password and the role manager-script",
                           step->url, step->user, answer->status);
    }
    join_lines(&answer->body, line, answer->status == 200 ? sizeof(line) : 1);
    return clm_err_set(err, CLM_E_IO, "the manager at '%s' answered with status %d%s%s", step->url,
                       answer->status, line[0] != '\0' ? ": " : "", line);
}

static enum clm_code by_manager(struct clm_txn *t, const struct clm_step *step, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done)
    struct clm_buf header = CLM_BUF_SECRET_INIT((size_t)2 * CLM_SECRET_MAX + sizeof(step->user));
    const struct clm_io *io = t->env->io;
    const char *headers[2] = {NULL, NULL};
    struct clm_http_request request = {.method = "GET",
                                       .url = step->url,
                                       .headers = headers,
                                       .response_max = ANSWER_MAX,
                                       .timeout_ms = reload_timeout_ms(t)};
    struct clm_http_response answer = {.status = 0};
    enum clm_code code = make_header(t, step, &header, err);

    assert(clm_url_check_loopback(step->url, NULL) == CLM_OK); /* or the plan was refused */
    if (code == CLM_OK) {
        headers[0] = clm_buf_str(&header);
        code = io->http(io->ctx, &request, &answer, err);
        code = code == CLM_OK ? judge_answer(step, &answer, err)
                              : clm_err_wrap(err, code, "manager at '%s'", step->url);
        clm_buf_done(&answer.body);
    }
    return code;
}

static enum clm_code by_hook(struct clm_txn *t, const struct clm_step *step, struct clm_err *err)
{
    return run_step(t, step, "hook", reload_timeout_ms(t), err);
}

static enum clm_code by_nobody(struct clm_txn *t, const struct clm_step *step, struct clm_err *err)
{
    (void)t;
    (void)step;
    (void)err;
    return CLM_OK;
}

static const struct {
    enum clm_code (*allow)(struct clm_txn *t, const struct clm_step *step, struct clm_err *err);
    enum clm_code (*reload)(struct clm_txn *t, const struct clm_step *step, struct clm_err *err);
    bool has_unit;    /* that can be seen to be down */
    bool may_be_slow; /* nobody answers until the program has started again */
} ways[] = {
    [CLM_RELOAD_UNIT] = {allow_unit, by_unit, true, false},
    [CLM_RELOAD_SIGNAL] = {NULL, by_signal, false, false},
    [CLM_RELOAD_RESTART] = {allow_restart, by_restart, true, true},
    [CLM_RELOAD_MANAGER] = {allow_manager, by_manager, false, false},
    [CLM_RELOAD_HOOK] = {allow_hook, by_hook, false, true},
    [CLM_RELOAD_NONE] = {NULL, by_nobody, false, false},
};
_Static_assert(CLM_ARRAY_LEN(ways) == CLM_RELOAD__COUNT, "a reload that nobody does");

static bool is_reload(const struct clm_step *step)
{
    assert((size_t)step->how < CLM_ARRAY_LEN(ways));
    return step->kind == CLM_STEP_RELOAD;
}

enum clm_code clm_txn_check_reloads(struct clm_txn *t, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < t->rec.plan.n_steps; i++) {
        const struct clm_step *step = &t->rec.plan.steps[i];

        if (is_reload(step) && ways[step->how].allow != NULL) {
            code = ways[step->how].allow(t, step, err);
        }
    }
    return code;
}

enum clm_code clm_txn_reload(struct clm_txn *t, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    for (size_t i = 0; code == CLM_OK && i < t->rec.plan.n_steps; i++) {
        const struct clm_step *step = &t->rec.plan.steps[i];

        if (is_reload(step)) {
            code = ways[step->how].reload(t, step, err);
        }
    }
    return code;
}

bool clm_txn_is_down(const struct clm_txn *t)
{
    const struct clm_io *io = t->env->io;

    for (size_t i = 0; i < t->rec.plan.n_steps; i++) {
        const struct clm_step *step = &t->rec.plan.steps[i];
        struct clm_unit unit = {0};

        if (is_reload(step) && ways[step->how].has_unit &&
            io->unit_state(io->ctx, step->unit, &unit, NULL) == CLM_OK &&
            (unit.state == CLM_UNIT_FAILED || unit.state == CLM_UNIT_INACTIVE)) {
            return true;
        }
    }
    return false;
}

bool clm_txn_may_be_slow(const struct clm_txn *t)
{
    for (size_t i = 0; i < t->rec.plan.n_steps; i++) {
        const struct clm_step *step = &t->rec.plan.steps[i];

        if (is_reload(step) && ways[step->how].may_be_slow) {
            return true;
        }
    }
    return false;
}
