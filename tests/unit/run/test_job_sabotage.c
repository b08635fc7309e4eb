/* SPDX-License-Identifier: Apache-2.0 */
/* Whole jobs while calls of libc fail: the job ends, or goes on later; its record is never lost. */
#include "tests/unit/run/job_world.h"
#include "tests/unit/run/plane.h"

#define ORDER_SPEC                                                                                 \
    "{\"certificate_id\":\"" CERT_ID "\",\"dcv\":{\"method\":\"http-01\"},\"on_issue\":"           \
    "\"deploy\"}"
#define DONE                                                                                       \
    "{\"outcome\":\"succeeded\",\"txid\":\"t1\",\"steps\":[{\"name\":\"swap\",\"status\":\"ok\","  \
    "\"ms\":2,\"detail\":\"\"}],\"effects\":{\"version\":12},\"error\":null}"
#define CHALLENGE                                                                                  \
    "{\"order_id\":\"" ORDER_ID "\",\"challenges\":[{\"challenge_id\":\"chl_1\","                  \
    "\"method\":\"http-01\",\"domain\":\"www.a.example\","                                         \
    "\"path\":\"/.well-known/acme-challenge/tok\",\"content\":\"tok.thumb\","                      \
    "\"state\":\"pending\"}]}"
#define PHASE "{\"kind\":\"phase\",\"phase\":\"stage\"}"

static const struct host_row order_host[] = {
    {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0},
    {CLM_OP_CSR, NULL, NULL,
     "{\"csr\":\"AAAA\",\"csr_sha256\":\"aa\",\"spki_sha256\":\"bb\",\"key_type\":\"ec-p256\","
     "\"key_ref\":\"key_1\"}",
     NULL, 0},
    {CLM_OP_DCV_PUT, NULL, NULL,
     "{\"file\":\"/var/www/x/tok\",\"created\":true,\"check\":{\"addr\":\"127.0.0.1\",\"port\":80,"
     "\"host\":\"www.a.example\",\"path\":\"/.well-known/acme-challenge/tok\"}}",
     NULL, 0},
    {CLM_OP_CERT_PUT, NULL, NULL,
     "{\"sha256\":\"cc\",\"not_after\":\"2027-01-01T00:00:00Z\",\"changes\":[]}", NULL, 0},
    {CLM_OP_DEPLOY, NULL, PHASE, DONE, NULL, 0},
};
static const struct host_row deploy_host[] = {
    {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
    {CLM_OP_DEPLOY, NULL, PHASE, DONE, NULL, 0},
};
static const struct host_row scan_host[] = {
    {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("scan", "{}"), NULL, 0},
    {CLM_OP_SCAN, NULL, NULL,
     "{\"schema\":1,\"started_at\":\"2026-11-21T01:30:00Z\",\"duration_ms\":3,\"services\":[],"
     "\"errors\":[]}",
     NULL, 0},
    {CLM_OP_CERTS, NULL,
     "{\"kind\":\"files\",\"files\":[{\"path\":\"/etc/a.key\",\"perm\":\"0600 root:root\","
     "\"in_use\":false,\"used_by\":[],\"locked\":false,\"format\":\"pem\",\"status\":\"monitored\","
     "\"manager\":null,\"entries\":[],\"problems\":[]}]}",
     "{}", NULL, 0},
};

static const struct plane_row rows[] = {
    {"POST", "/events", 200, "{\"ack_seq\":1}", 0},
    {"POST", "/lease", 200, "{\"fence\":7,\"attempt\":1,\"state\":\"leased\"}", 0},
    {"POST", "/result", 200, "{\"state\":\"x\"}", 0},
    {"POST", "/csr", 202,
     "{\"order_id\":\"" ORDER_ID "\",\"state\":\"dcv_pending\",\"certificate_id\":\"" CERT_ID "\"}",
     0},
    {"GET", "/dcv", 200, CHALLENGE, 0},
    {"POST", "/dcv/ready", 202, "{}", 0},
    {"GET", "/orders/", 200, "{\"state\":\"dcv_pending\"}", 1},
    {"GET", "/orders/", 200, "{\"state\":\"issued\",\"certificate_id\":\"" CERT_ID "\"}", 0},
    {"GET", "/certificates/", 200, "-----BEGIN CERTIFICATE-----", 0},
    {"PUT", "/inventory", 204, NULL, 0},
};

struct run {
    struct fixture *f;
    struct plane plane;
    const char *type;
    const struct host_row *host;
    size_t n;
    int status;
};

static enum clm_code web(void *ctx, const struct clm_http_request *request,
                         struct clm_http_response *out, struct clm_err *err)
{
    bool was_on = clm_sabotage_pause();

    (void)ctx;
    *out = (struct clm_http_response){.status = 200};
    out->body.max = request->response_max;
    enum clm_code code = clm_buf_add_str(&out->body, "tok.thumb", err);
    clm_sabotage_resume(was_on);
    return code;
}

static void no_sleep(int64_t ms)
{
    (void)ms;
}

static void make_new(void *arg)
{
    struct run *r = arg;

    job_world_end_host(r->f);
    home_close(&r->f->home);
    home_open(&r->f->home);
    r->plane = (struct plane){.rows = rows, .n = N(rows)};
    job_world_offer(r->f, r->type);
    job_world_host(r->f, r->host, r->n);
}

static enum clm_code run_job(void *arg, struct clm_err *err)
{
    struct run *r = arg;
    CLM_CLEANUP(clm_strs_done) struct clm_strs urls = {0};
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = NULL;

    r->status = -1;
    enum clm_code code = clm_strs_add(&urls, "https://cp.example", err);
    if (code == CLM_OK) {
        const struct clm_api_opts opts = {.urls = &urls,
                                          .boot_id = "01J9ZK5D0B2M4N6P8Q0R2S4T6V",
                                          .http = plane_http,
                                          .http_ctx = &r->plane};
        code = clm_api_new(&opts, &api, err);
    }
    if (code == CLM_OK) {
        const struct clm_job_world world = {.config = &r->f->home.config,
                                            .api = api,
                                            .link = r->f->link,
                                            .fetch = web,
                                            .stop_fd = -1,
                                            .boot_id = "01J9ZK5D0B2M4N6P8Q0R2S4T6V",
                                            .sleep_ms = no_sleep};
        r->status = clm_job_run(&world, A_JOB);
    }
    return code;
}

/* A job that ended well is in the archive, or its result is under way; one that did not is there. */
static void nothing_is_lost(void *arg, enum clm_code code, const char *what)
{
    struct run *r = arg;
    struct clm_record record;
    bool is_open = job_world_load(r->f, false, &record);

    clm_record_done(&record);
    bool is_finished = job_world_load(r->f, true, &record);
    clm_record_done(&record);
    if (code == CLM_OK && r->status != CLM_JOB_EXIT_OK && r->status != CLM_JOB_EXIT_LATER &&
        r->status != CLM_JOB_EXIT_FAULT) {
        fail_msg("%s: exit status %d", what, r->status);
    }
    if (what == NULL && (r->status != CLM_JOB_EXIT_OK || !is_finished || is_open)) {
        fail_msg("undisturbed: exit status %d, open %d, finished %d", r->status, is_open,
                 is_finished);
    }
    if (!is_open && !is_finished) {
        fail_msg("%s: no record of the job is left", what);
    }
    if (r->plane.unknown > 0) {
        fail_msg("%s: it asked for something else", what == NULL ? "undisturbed" : what);
    }
}

static void torment(void **state, const char *type, const struct host_row *host, size_t n)
{
    struct run r = {.f = *state, .type = type, .host = host, .n = n};
    const struct clm_sabotage plan = {
        .before = make_new, .act = run_job, .after = nothing_is_lost, .arg = &r};

    assert_true(clm_sabotage_run(&plan, NULL) > 100);
}

static void a_deployment_survives_every_failing_call(void **state)
{
    torment(state, "deploy", deploy_host, N(deploy_host));
}

static void an_order_survives_every_failing_call(void **state)
{
    torment(state, "order", order_host, N(order_host));
}

static void a_scan_survives_every_failing_call(void **state)
{
    torment(state, "scan", scan_host, N(scan_host));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, job_world_setup, job_world_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_deployment_survives_every_failing_call),
        TEST(an_order_survives_every_failing_call),
        TEST(a_scan_survives_every_failing_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
