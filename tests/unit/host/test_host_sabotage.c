/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of which a call of libc fails, each call once: the answer is an error that says what, or
 * as if nothing had happened; and asked again, the host half does what it was asked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/base/fs.h"
#include "tests/support/sabotage.h"
#include "tests/unit/host/deploy_world.h"

#define ORDER_ID "ord_01J9ZK3W5V7M2Q8R4T6Y0X1B3C"
#define TOKEN    "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"

struct act {
    struct deploy_world *w;
    enum clm_op op;
    const char *text; /* body; NULL: prepare makes it */
    void (*prepare)(struct act *act);
    const char *says; /* in the reply to a good request */
    struct clm_json *body;
    struct clm_json *reply;
    struct clm_buf answer;
    bool is_cut; /* the reply may tell less than all: it says that something could not be read */
};

/* ---- what a test itself does in the middle of a request is not harmed ---- */

static struct clm_io sound;

#define UNHARMED(name, params, args)                                                               \
    static enum clm_code unharmed_##name params                                                    \
    {                                                                                              \
        bool was_on = clm_sabotage_pause();                                                        \
        enum clm_code code = sound.name args;                                                      \
                                                                                                   \
        clm_sabotage_resume(was_on);                                                               \
        return code;                                                                               \
    }

UNHARMED(run,
         (void *ctx, const char *const *argv, uint32_t timeout_ms, int *out_status,
          struct clm_buf *output, struct clm_err *err),
         (ctx, argv, timeout_ms, out_status, output, err))
UNHARMED(unit_reload, (void *ctx, const char *name, uint32_t timeout_ms, struct clm_err *err),
         (ctx, name, timeout_ms, err))
UNHARMED(probe,
         (void *ctx, const struct clm_endpoint *endpoint, struct clm_observation *out,
          struct clm_err *err),
         (ctx, endpoint, out, err))

static int setup(void **state)
{
    struct deploy_world *w = deploy_world_new();
    struct clm_config *config = &w->host->config;
    struct clm_io *io = &w->host->io.io;

    sound = *io;
    io->run = unharmed_run;
    io->unit_reload = unharmed_unit_reload;
    io->probe = unharmed_probe;
    (void)snprintf(config->scan.files.mode, sizeof(config->scan.files.mode), "all");
    config->scan.files.depth = 4;
    config->scan.files.files_max = 1000;
    config->scan.files.time_max_s = 60;
    assert_int_equal(clm_strs_add(&config->scan.files.roots, w->dir, NULL), CLM_OK);
    config->policy.webroots = calloc(1, sizeof(*config->policy.webroots));
    assert_non_null(config->policy.webroots);
    config->policy.n_webroots = 1;
    (void)snprintf(config->policy.webroots[0].name, sizeof(config->policy.webroots[0].name),
                   "shop");
    (void)snprintf(config->policy.webroots[0].path, sizeof(config->policy.webroots[0].path), "%s",
                   w->dir);
    root_io_text(w->host->tree, "/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
    root_io_text(w->host->tree, "/etc/group", "root:x:0:\n");
    root_io_text(w->dir, "/clmbot.yaml", "policy: {}\n");
    (void)snprintf(config->path, sizeof(config->path), "%.4000s/clmbot.yaml", w->dir);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct deploy_world *w = *state;

    clm_strs_done(&w->host->config.scan.files.roots);
    deploy_world_free(w);
    return 0;
}

/* ---- one request ---- */

static enum clm_code no_event(void *arg, const struct clm_json *event, struct clm_err *err)
{
    (void)arg;
    (void)event;
    (void)err;
    return CLM_OK;
}

static enum clm_code request(struct act *act, struct clm_err *err)
{
    const struct clm_host_session session = {.is_root_peer = true, .event = no_event};
    const struct clm_host_question question = {act->op, act->body};
    struct clm_fail fail;
    enum clm_code code =
        clm_host_request(act->w->host->host, &session, &question, act->reply, &fail, err);

    if (code != CLM_OK && (fail.problem[0] == '\0' || fail.message[0] == '\0')) {
        return clm_err_set(err, CLM_E_BUG, "no problem code or message");
    }
    return code == CLM_OK ? clm_json_print(act->reply, false, &act->answer, err) : code;
}

static void before(void *arg)
{
    struct act *act = arg;

    if (act->prepare != NULL) {
        act->prepare(act);
    } else {
        act->body = deploy_world_body(act->text);
    }
    act->reply = clm_json_new_object();
    act->answer.len = 0;
}

static enum clm_code once(void *arg, struct clm_err *err)
{
    return request(arg, err);
}

static void after(void *arg, enum clm_code code, const char *what)
{
    struct act *act = arg;
    struct clm_err err = {0};

    if (code == CLM_OK && !act->is_cut && strstr(clm_buf_str(&act->answer), act->says) == NULL) {
        fail_msg("%s, %s: %s", clm_op_name(act->op), what, clm_buf_str(&act->answer));
    }
    if (code == CLM_E_BUG) {
        fail_msg("%s, %s: called a bug", clm_op_name(act->op), what);
    }
    if (code != CLM_OK) { /* all is well again: it is done after all */
        clm_json_free(act->reply);
        act->reply = clm_json_new_object();
        act->answer.len = 0;
        code = request(act, &err);
        if (code != CLM_OK || strstr(clm_buf_str(&act->answer), act->says) == NULL) {
            fail_msg("%s again after %s: %s %s", clm_op_name(act->op), what, err.msg,
                     clm_buf_str(&act->answer));
        }
    }
    clm_json_free(act->body);
    clm_json_free(act->reply);
    act->body = NULL;
}

static void with_every_failure(struct act *act)
{
    const struct clm_sabotage plan = {.before = before, .act = once, .after = after, .arg = act};

    act->answer.max = 1048576;
    assert_true(clm_sabotage_run(&plan, NULL) > 3);
    clm_buf_done(&act->answer);
}

/* ---- requests that read ---- */

static void deploy_once(struct deploy_world *w)
{
    struct deploy_order order;
    char *spec;

    deploy_world_order(w, "notify", true, &order);
    spec = deploy_world_spec(&order, "");
    assert_int_equal(deploy_world_job(w, "deploy", CLM_OP_DEPLOY, spec, NULL), CLM_OK);
    free(spec);
    clm_test_leaf_done(&order.leaf);
}

static void what_only_tells(void **state)
{
    static const struct {
        enum clm_op op;
        const char *text;
        const char *says;
        bool is_cut;
    } rows[] = {
        {CLM_OP_HELLO, "{'v':1}", "\"policy_digest\":\"sha256:", false},
        {CLM_OP_SCAN, "{'kinds':['nginx']}", SITE, true},
        {CLM_OP_STATUS, "{}", "\"state\":\"installed\"", false},
        {CLM_OP_HISTORY, "{'target':'" SITE "'}", "\"result\":\"succeeded\"", false},
        {CLM_OP_EXPLAIN, "{'target':'" SITE "'}", SITE, true},
        {CLM_OP_LOCAL_PLAN, "{'target':'" SITE "','check':true}", "www.key", false},
        {CLM_OP_LOCAL_VERIFY, "{'target':'" SITE "'}", "\"ok\":true", true},
        {CLM_OP_CERTS, "{}", "\"found\":", true},
    };

    deploy_once(*state);
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act = {.w = *state,
                          .op = rows[i].op,
                          .text = rows[i].text,
                          .says = rows[i].says,
                          .is_cut = rows[i].is_cut};

        with_every_failure(&act);
    }
}

/* ---- requests that keep something; before each, what the last one kept is taken away ---- */

static void empty(const struct deploy_world *w, const char *name)
{
    char path[PATH_MAX + 64];

    (void)snprintf(path, sizeof(path), "%s/host/%s", w->host->state_dir, name);
    root_io_remove(path);
    assert_int_equal(clm_fs_mkdir(path, 0700, NULL), CLM_OK);
}

static void forget_jobs(struct act *act)
{
    static const char *const names[] = {"jobs", "dcv", "keys", "bundles"};

    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        empty(act->w, names[i]);
    }
    host_world_restart(act->w->host);
}

static void new_job(struct act *act)
{
    struct clm_json *job;

    forget_jobs(act);
    job = host_world_job(
        act->w->host, "order", SITE, ++act->w->seq,
        "{\"certificate_id\":\"" CRT
        "\",\"sans\":{\"dns\":[\"www.example.com\"]},\"key\":{\"type\":\"ec-p256\"}}");
    act->body = host_world_sign(act->w->host, job);
    clm_json_free(job);
}

static void jobs_are_accepted(void **state)
{
    struct act act = {
        .w = *state, .op = CLM_OP_JOB_ACCEPT, .prepare = new_job, .says = "\"state\":\"accepted\""};

    with_every_failure(&act);
}

static void ready_to_place(struct act *act)
{
    char job_id[CLM_ID_SIZE];
    char path[PATH_MAX + 64];

    forget_jobs(act);
    (void)snprintf(path, sizeof(path), "%s/.well-known", act->w->dir);
    root_io_remove(path);
    host_world_accept(
        act->w->host, "order", SITE, ++act->w->seq,
        "{\"certificate_id\":\"" CRT "\",\"sans\":{\"dns\":[\"www.example.com\"]},"
        "\"key\":{\"type\":\"ec-p256\"},\"dcv\":{\"method\":\"http-01\",\"webroot_ref\":\"shop\"}}",
        job_id);
    act->body = clm_json_new_object();
    clm_json_set_str(act->body, "job_id", job_id);
    clm_json_set_str(act->body, "order_id", ORDER_ID);
    clm_json_set_str(act->body, "domain", "www.example.com");
    clm_json_set_str(act->body, "path", "/.well-known/acme-challenge/" TOKEN);
    clm_json_set_str(act->body, "content", TOKEN ".x");
}

static void placed(struct act *act)
{
    ready_to_place(act);
    assert_int_equal(host_world_ask(act->w->host, CLM_OP_DCV_PUT, act->body, NULL), CLM_OK);
    act->body = clm_json_new_object();
    clm_json_set_str(act->body, "order_id", ORDER_ID);
}

static void validation_files_are_placed_and_removed(void **state)
{
    struct act put = {.w = *state, .op = CLM_OP_DCV_PUT, .prepare = ready_to_place, .says = TOKEN};
    struct act removal = {
        .w = *state,
        .op = CLM_OP_DCV_REMOVE,
        .prepare = placed,
        .says = "\"removed\":",
    };

    with_every_failure(&put);
    with_every_failure(&removal);
}

static void ordered(struct act *act)
{
    char job_id[CLM_ID_SIZE];

    forget_jobs(act);
    host_world_accept(act->w->host, "order", SITE, ++act->w->seq,
                      "{\"certificate_id\":\"" CRT
                      "\",\"sans\":{\"dns\":[\"www.example.com\"]},\"key\":{\"type\":\"ec-p256\"}}",
                      job_id);
    act->body = clm_json_new_object();
    clm_json_set_str(act->body, "job_id", job_id);
}

static void issued(struct act *act)
{
    struct deploy_order order;

    forget_jobs(act);
    deploy_world_order(act->w, "notify", false, &order);
    act->body = clm_json_new_object();
    clm_json_set_str(act->body, "job_id", order.job_id);
    clm_json_set_str(act->body, "chain_pem", clm_buf_str(&order.leaf.full_pem));
    clm_test_leaf_done(&order.leaf);
}

static void to_close(struct act *act)
{
    ordered(act);
    (void)clm_json_set_object(act->body, "result");
}

static void certificates_are_asked_for_and_taken(void **state)
{
    static const struct {
        enum clm_op op;
        void (*prepare)(struct act *act);
        const char *says;
    } rows[] = {
        {CLM_OP_CSR, ordered, "\"key_ref\":"},
        {CLM_OP_CERT_PUT, issued, "\"installable\":true"},
        {CLM_OP_CLOSE, to_close, "{"},
    };

    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct act act = {
            .w = *state, .op = rows[i].op, .prepare = rows[i].prepare, .says = rows[i].says};

        with_every_failure(&act);
    }
}

static void enrolling(struct act *act)
{
    act->body =
        host_world_offer(act->w->host, WORLD_AGENT, host_world_trust(act->w->host, WORLD_AGENT));
}

static void trust_is_put(void **state)
{
    struct act act = {
        .w = *state, .op = CLM_OP_TRUST_PUT, .prepare = enrolling, .says = WORLD_AGENT};

    with_every_failure(&act);
}

/* ---- starting ---- */

static void started_again(struct act *act)
{
    host_world_restart(act->w->host);
    act->body = deploy_world_body("{'v':1}");
}

static void the_first_request_recovers(void **state)
{
    struct act act = {
        .w = *state, .op = CLM_OP_HELLO, .prepare = started_again, .says = "\"recovered\":[]"};

    with_every_failure(&act);
}

static enum clm_code open_host(void *arg, struct clm_err *err)
{
    struct host_world *world = arg;

    return clm_host_open(&world->config, &world->io.io, &world->route, &world->host, err);
}

static void is_open(void *arg, enum clm_code code, const char *what)
{
    struct host_world *world = arg;

    if ((code == CLM_OK) != (world->host != NULL)) {
        fail_msg("%s: %s", what, clm_code_name(code));
    }
    clm_host_close(world->host);
    world->host = NULL;
}

static void the_host_half_opens_or_says_why_not(void **state)
{
    struct deploy_world *w = *state;
    const struct clm_sabotage plan = {.act = open_host, .after = is_open, .arg = w->host};

    clm_host_close(w->host->host);
    w->host->host = NULL;
    assert_true(clm_sabotage_run(&plan, NULL) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        IN_WORLD(the_host_half_opens_or_says_why_not),
        IN_WORLD(the_first_request_recovers),
        IN_WORLD(trust_is_put),
        IN_WORLD(what_only_tells),
        IN_WORLD(jobs_are_accepted),
        IN_WORLD(validation_files_are_placed_and_removed),
        IN_WORLD(certificates_are_asked_for_and_taken),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
