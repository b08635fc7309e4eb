/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of a control plane that lies: what it says decides neither paths, nor places, nor for how long. */
#include "tests/unit/run/job_world.h"

#include "agent/model/bundle.h"

#define DEPLOY_OF(id, target)                                                                      \
    "{\"job_id\":\"" id "\",\"type\":\"deploy\",\"target\":\"" target                              \
    "\",\"target_seq\":1,\"timeout_s\":900,\"max_attempts\":3,\"spec\":{},\"state\":\"accepted\"}"

/* One job whose signed form says accepted; the result must hold says. */
static void mismatch(struct fixture *f, const char *accepted, const char *says)
{
    const struct host_row host[] = {{CLM_OP_JOB_ACCEPT, NULL, NULL, accepted, NULL, 0}};
    const struct exchange cp[] = {LEASE, RESULT(says)};

    job_world_offer(f, "deploy");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_null(strstr(job_world_ops(f), "deploy"));
}

static void the_offer_must_name_the_signed_job(void **state)
{
    mismatch(*state, DEPLOY_OF("job_01J9ZN2Q4W6E8R0T2Y4V6J8K9Z", "nginx:www.a.example"),
             "another job_id");
}

static void the_offer_must_name_the_signed_target(void **state)
{
    mismatch(*state, DEPLOY_OF(A_JOB, "nginx:other.example"), "another target");
}

static void no_lease_is_waited_for_longer_than_an_hour(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
    };
    static const struct exchange cp[] = {
        {"POST", "/lease", NULL, 423, NULL, "{\"code\":\"waiting\"}", NULL, NULL, UINT32_MAX}};
    struct fixture *f = *state;
    struct clm_record record;

    job_world_offer(f, "deploy");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_LATER);
    assert_true(job_world_load(f, false, &record));
    assert_in_range(clm_record_int(&record, "next_try_s") - clm_clock_now_s(), 3500, 3600);
    clm_record_done(&record);
}

static void an_order_that_is_no_id_goes_into_no_path(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", "{}"), NULL, 0},
        {CLM_OP_CSR, A_JOB, NULL,
         "{\"csr\":\"AAAA\",\"csr_sha256\":\"aa\",\"spki_sha256\":\"bb\",\"key_type\":\"ec-p256\","
         "\"key_ref\":\"key_1\"}",
         NULL, 0},
    };
    static const struct exchange cp[] = {LEASE,
                                         {"POST", "/csr", NULL, 202, NULL,
                                          "{\"order_id\":\"../../x\",\"state\":\"issued\"}", NULL,
                                          NULL, 0},
                                         RESULT("'../../x' is not an id")};
    struct fixture *f = *state;

    job_world_offer(f, "order");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_int_equal(f->http.at, N(cp));
}

/* ---- answers that are none ---- */

#define ORDER_SPEC "{\"certificate_id\":\"" CERT_ID "\",\"dcv\":{\"method\":\"file\"}}"
#define ORDER                                                                                      \
    {                                                                                              \
        CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0                      \
    }
#define GET_DCV(more)                                                                              \
    {                                                                                              \
        CLM_OP_JOB_ACCEPT, NULL, NULL,                                                             \
            ACCEPTED("get_dcv", "{\"order_id\":\"" ORDER_ID "\"" more "}"), NULL, 0                \
    }
#define SAYS(op, reply)                                                                            \
    {                                                                                              \
        op, NULL, NULL, reply, NULL, 0                                                             \
    }
#define REFUSES(op, why)                                                                           \
    {                                                                                              \
        op, NULL, NULL, NULL, why, CLM_E_PERM                                                      \
    }
#define CSR_GOOD SAYS(CLM_OP_CSR, "{\"csr\":\"AAAA\",\"left_out\":[\"b.example\"]}")
#define CHECK(addr, port)                                                                          \
    "\"check\":{\"addr\":" addr ",\"port\":" port ",\"host\":\"h\",\"path\":\"/p\"}"
#define PUT_GOOD SAYS(CLM_OP_DCV_PUT, "{\"file\":\"/f\"," CHECK("\"127.0.0.1\"", "80") "}")
#define GET(path, body)                                                                            \
    {                                                                                              \
        "GET", path, NULL, 200, NULL, body, NULL, NULL, 0                                          \
    }
#define POST(path, body)                                                                           \
    {                                                                                              \
        "POST", path, NULL, 200, NULL, body, NULL, NULL, 0                                         \
    }
#define PEM(body)                                                                                  \
    {                                                                                              \
        "GET", "/certificates/" CERT_ID, NULL, 200, "application/pem-certificate-chain", body,     \
            NULL, NULL, 0                                                                          \
    }
#define ORDERED POST("/csr", "{\"order_id\":\"" ORDER_ID "\",\"state\":\"validating\"}")
#define ISSUED  GET("/orders/", "{\"state\":\"issued\",\"certificate_id\":\"" CERT_ID "\"}")
#define CHALLENGE(id, method, state)                                                               \
    "{\"challenge_id\":\"" id "\",\"method\":\"" method "\",\"domain\":\"www.a.example\","         \
    "\"path\":\"/p\",\"content\":\"tok\",\"state\":\"" state "\"}"
#define CHALLENGES(list) GET("/dcv", "{\"challenges\":[" list "]}")
#define ONE_CHALLENGE    CHALLENGES(CHALLENGE("chl_1", "file", "pending"))

struct lie {
    const char *type;
    struct host_row host[5];
    struct exchange cp[8]; /* after the lease */
    const char *says;      /* in the result */
};

static void lie(struct fixture *f, const struct lie *l)
{
    struct exchange cp[10] = {LEASE};
    size_t n = 1;
    size_t n_host = 0;

    while (n_host < N(l->host) && l->host[n_host].op != CLM_OP_NONE) {
        n_host++;
    }
    for (size_t i = 0; i < N(l->cp) && l->cp[i].method != NULL; i++) {
        cp[n++] = l->cp[i];
    }
    cp[n++] = (struct exchange)RESULT(l->says);
    f->web = (struct peer){.status = 200, .body = "tok"};
    job_world_offer(f, l->type);
    job_world_host(f, l->host, n_host);
    assert_int_equal(job_world_run(f, cp, n), CLM_JOB_EXIT_OK);
    assert_int_equal(f->http.at, n); /* every request was made, the result last */
}

static void order_tells_which_answer_was_none(void **state)
{
    static const struct lie lies[] = {
        {"order", {ORDER, REFUSES(CLM_OP_CSR, "E_POLICY")}, {{0}}, "it may not be"},
        {"order",
         {ORDER, CSR_GOOD},
         {{"POST", "/csr", NULL, 409, NULL, "{\"code\":\"conflict\"}", NULL, NULL, 0}},
         "E_ORDER_OPEN"},
        {"order",
         {ORDER, CSR_GOOD},
         {{"POST", "/csr", NULL, 400, NULL, "{\"code\":\"schema\"}", NULL, NULL, 0}},
         "control plane: schema"},
        {"order", {ORDER, CSR_GOOD}, {POST("/csr", "{}")}, "/order_id: missing"},
        {"order", {ORDER, CSR_GOOD}, {ORDERED, GET("/orders/", "{}")}, "/state: missing"},
        {"order",
         {ORDER, CSR_GOOD},
         {ORDERED, {"GET", "/orders/", NULL, 410, NULL, "{\"code\":\"gone\"}", NULL, NULL, 0}},
         "control plane: gone"},
        {"order",
         {ORDER, CSR_GOOD},
         {ORDERED, GET("/orders/", "{\"state\":\"issued\"}")},
         "/certificate_id: missing"},
        {"order",
         {ORDER, CSR_GOOD},
         {ORDERED, GET("/orders/", "{\"state\":\"canceled\"}")},
         "is canceled: the control plane gives no reason"},
        {"order",
         {ORDER, CSR_GOOD},
         {ORDERED, GET("/orders/", "{\"state\":\"failed\",\"error\":{\"detail\":\"why\"}}")},
         "is failed: why"},
        {"order",
         {ORDER, CSR_GOOD},
         {ORDERED, GET("/orders/", "{\"state\":\"failed\",\"detail\":\"so\",\"error\":"
                                   "{\"retryable\":7}}")},
         "is failed: so"},
        {"order",
         {ORDER, CSR_GOOD},
         {ORDERED,
          ISSUED,
          {"GET", "/certificates/", NULL, 410, NULL, "{\"code\":\"gone\"}", NULL, NULL, 0}},
         "control plane: gone"},
        {"order",
         {ORDER, CSR_GOOD, REFUSES(CLM_OP_CERT_PUT, "E_CHAIN")},
         {ORDERED, ISSUED, PEM("x")},
         "E_CHAIN"},
        {"order",
         {ORDER, CSR_GOOD, SAYS(CLM_OP_CERT_PUT, "{\"installable\":7}")},
         {ORDERED, ISSUED, PEM("x")},
         "/installable: is not"},
    };

    for (size_t i = 0; i < N(lies); i++) {
        lie(*state, &lies[i]);
    }
}

static void chain_that_is_too_long_reaches_no_file(void **state)
{
    static char chain[CLM_CHAIN_PEM_MAX + 2];
    const struct lie l = {
        "order", {ORDER, CSR_GOOD}, {ORDERED, ISSUED, PEM(chain)}, "at most 65536 are allowed"};

    memset(chain, 'x', sizeof(chain) - 1);
    lie(*state, &l);
    assert_null(strstr(job_world_ops(*state), "cert_put"));
}

static void certificate_is_deployed_only_where_it_is_wished_and_can_be(void **state)
{
    static const struct lie lies[] = {
        {"order", {ORDER, CSR_GOOD}, {ORDERED, ISSUED, PEM("x")}, "\"left_out\":[\"b.example\"]"},
        {"order",
         {{CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", "{\"on_issue\":\"store\"}"), NULL, 0},
          CSR_GOOD},
         {ORDERED, GET("/orders/", "{\"state\":\"dcv_pending\"}"), ISSUED, PEM("x")},
         "\"outcome\":\"succeeded\""},
        {"order",
         {{CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", "{\"on_issue\":\"deploy\"}"), NULL, 0},
          CSR_GOOD,
          SAYS(CLM_OP_CERT_PUT, "{\"installable\":false,\"note\":\"its key is elsewhere\"}")},
         {ORDERED, ISSUED, PEM("x")},
         "\"note\":\"its key is elsewhere\""},
    };

    for (size_t i = 0; i < N(lies); i++) {
        lie(*state, &lies[i]);
        assert_null(strstr(job_world_ops(*state), "deploy"));
    }
}

static void server_that_does_not_hold_the_request_is_asked_with_pauses(void **state)
{
    static const struct lie l = {"order",
                                 {ORDER, CSR_GOOD},
                                 {ORDERED, GET("/orders/", "{\"state\":\"validating\"}"),
                                  GET("/orders/", "{\"state\":\"validating\"}"),
                                  GET("/orders/", "{\"state\":\"validating\"}"), ISSUED, PEM("x")},
                                 "\"outcome\":\"succeeded\""};

    lie(*state, &l);
}

static void challenge_is_answered_once_and_only_by_files(void **state)
{
    static const struct lie l = {
        "order",
        {ORDER, CSR_GOOD, PUT_GOOD},
        {ORDERED, GET("/orders/", "{\"state\":\"dcv_pending\"}"), ONE_CHALLENGE,
         POST("/dcv/ready", "{}"), GET("/orders/", "{\"state\":\"dcv_pending\"}"),
         CHALLENGES(CHALLENGE("chl_1", "http-01", "pending") "," CHALLENGE(
             "chl_2", "dns-01", "pending") "," CHALLENGE("chl_3", "file", "valid")),
         ISSUED, PEM("x")},
        "\"outcome\":\"succeeded\""};
    struct fixture *f = *state;

    lie(f, &l);
    assert_string_equal(job_world_ops(f),
                        "job_accept csr dcv_put dcv_remove cert_put close status ");
}

static void what_is_not_ours_to_do_is_left_to_others(void **state)
{
    static const struct lie lies[] = {
        {"order",
         {{CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", "{\"dcv\":{\"method\":\"dns-01\"}}"),
           NULL, 0},
          CSR_GOOD},
         {ORDERED, GET("/orders/", "{\"state\":\"dcv_pending\"}"), ISSUED, PEM("x")},
         "\"outcome\":\"succeeded\""},
        /* files for the validation that cannot be removed do no harm */
        {"order",
         {ORDER, CSR_GOOD, REFUSES(CLM_OP_DCV_REMOVE, "E_POLICY")},
         {ORDERED, ISSUED, PEM("x")},
         "\"outcome\":\"succeeded\""},
    };

    for (size_t i = 0; i < N(lies); i++) {
        lie(*state, &lies[i]);
    }
}

static void order_that_is_under_way_is_not_asked_for_again(void **state)
{
    static const struct exchange cp[] = {LEASE, ISSUED, PEM("x"),
                                         RESULT("\"order_id\":\"" ORDER_ID "\"")};
    static const struct host_row host[] = {ORDER, CSR_GOOD};
    struct fixture *f = *state;
    struct clm_record record;

    job_world_offer(f, "order");
    assert_true(job_world_load(f, false, &record));
    clm_json_set_str(record.root, "order_id", ORDER_ID);
    assert_int_equal(clm_record_save(&f->home.config, &record, NULL), CLM_OK);
    clm_record_done(&record);
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_int_equal(f->http.at, N(cp));
}

static void validation_tells_which_answer_was_none(void **state)
{
    static const struct lie lies[] = {
        {"get_dcv",
         {{CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("get_dcv", "{}"), NULL, 0}},
         {{0}},
         "/order_id: missing"},
        {"get_dcv", {GET_DCV(",\"self_check\":7")}, {{0}}, "/self_check: is not"},
        {"get_dcv",
         {GET_DCV("")},
         {{"GET", "/dcv", NULL, 410, NULL, "{\"code\":\"gone\"}", NULL, NULL, 0}},
         "control plane: gone"},
        {"get_dcv", {GET_DCV("")}, {GET("/dcv", "{}")}, "/challenges: missing"},
        {"get_dcv", {GET_DCV("")}, {CHALLENGES("{\"method\":\"file\"}")}, "/challenge_id: missing"},
        {"get_dcv",
         {GET_DCV(""), REFUSES(CLM_OP_DCV_PUT, "E_POLICY")},
         {ONE_CHALLENGE},
         "it may not be"},
        {"get_dcv", {GET_DCV(""), SAYS(CLM_OP_DCV_PUT, "{}")}, {ONE_CHALLENGE}, "/port: missing"},
        {"get_dcv",
         {GET_DCV(""), SAYS(CLM_OP_DCV_PUT, "{" CHECK("\"127.0.0.1\"", "80") "}")},
         {ONE_CHALLENGE},
         "/file: missing"},
        {"get_dcv",
         {GET_DCV(""), SAYS(CLM_OP_DCV_PUT, "{\"file\":\"/f\"," CHECK("7", "80") "}")},
         {ONE_CHALLENGE},
         "/addr: is not"},
        {"get_dcv",
         {GET_DCV(""), PUT_GOOD},
         {ONE_CHALLENGE,
          {"POST", "/dcv/ready", NULL, 400, NULL, "{\"code\":\"schema\"}", NULL, NULL, 0}},
         "control plane: schema"},
        {"get_dcv",
         {GET_DCV(",\"self_check\":false"), SAYS(CLM_OP_DCV_PUT, "{}")},
         {ONE_CHALLENGE, POST("/dcv/ready", "{}")},
         "\"outcome\":\"succeeded\""},
        {"get_dcv",
         {GET_DCV("")},
         {CHALLENGES(CHALLENGE("chl_1", "file", "valid"))},
         "\"outcome\":\"succeeded\""},
        {"dcv_cleanup",
         {{CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("dcv_cleanup", "{}"), NULL, 0}},
         {{0}},
         "/order_id: missing"},
        {"dcv_cleanup",
         {{CLM_OP_JOB_ACCEPT, NULL, NULL,
           ACCEPTED("dcv_cleanup", "{\"order_id\":\"" ORDER_ID "\"}"), NULL, 0}},
         {{0}},
         "/removed: missing"},
    };

    for (size_t i = 0; i < N(lies); i++) {
        lie(*state, &lies[i]);
    }
}

/* Whatever the file of the job says was reported, only that challenge is left alone. */
static void record_of_what_was_reported_is_read_with_care(void **state)
{
    static const struct exchange cp[] = {LEASE, ONE_CHALLENGE, POST("/dcv/ready", "{}"),
                                         RESULT("\"outcome\":\"succeeded\"")};
    static const struct host_row host[] = {GET_DCV(""), PUT_GOOD};
    struct fixture *f = *state;
    struct clm_record record;

    f->web = (struct peer){.status = 200, .body = "tok"};
    job_world_offer(f, "get_dcv");
    assert_true(job_world_load(f, false, &record));
    struct clm_json *done = clm_json_set_array(record.root, "dcv_reported");
    clm_json_add_int(done, 7);
    clm_json_add_str(done, "chl_2");
    assert_int_equal(clm_record_save(&f->home.config, &record, NULL), CLM_OK);
    clm_record_done(&record);
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_int_equal(f->http.at, N(cp));
}

static void jobs_of_the_host_half_need_an_outcome(void **state)
{
    static const struct {
        const char *type;
        enum clm_op op;
    } rows[] = {{"deploy", CLM_OP_DEPLOY},
                {"rollback", CLM_OP_ROLLBACK},
                {"recheck_pinning", CLM_OP_RECHECK}};

    for (size_t i = 0; i < N(rows); i++) {
        char accepted[512];
        struct lie l = {rows[i].type,
                        {{CLM_OP_JOB_ACCEPT, NULL, NULL, accepted, NULL, 0}},
                        {{0}},
                        "/outcome: missing"};

        (void)snprintf(accepted, sizeof(accepted),
                       "{\"job_id\":\"" A_JOB
                       "\",\"type\":\"%s\",\"target\":\"nginx:www.a.example\","
                       "\"timeout_s\":900,\"max_attempts\":3,\"spec\":{},\"state\":\"accepted\"}",
                       rows[i].type);
        l.host[1] = (struct host_row)SAYS(rows[i].op, "{}");
        lie(*state, &l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, job_world_setup, job_world_teardown)
        WITH(the_offer_must_name_the_signed_job),
        WITH(the_offer_must_name_the_signed_target),
        WITH(no_lease_is_waited_for_longer_than_an_hour),
        WITH(an_order_that_is_no_id_goes_into_no_path),
        WITH(order_tells_which_answer_was_none),
        WITH(chain_that_is_too_long_reaches_no_file),
        WITH(certificate_is_deployed_only_where_it_is_wished_and_can_be),
        WITH(server_that_does_not_hold_the_request_is_asked_with_pauses),
        WITH(challenge_is_answered_once_and_only_by_files),
        WITH(what_is_not_ours_to_do_is_left_to_others),
        WITH(order_that_is_under_way_is_not_asked_for_again),
        WITH(validation_tells_which_answer_was_none),
        WITH(record_of_what_was_reported_is_read_with_care),
        WITH(jobs_of_the_host_half_need_an_outcome),
    };

    return cmocka_run_group_tests_name("job_hostile", tests, NULL, NULL);
}
