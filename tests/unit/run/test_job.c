/* SPDX-License-Identifier: Apache-2.0 */
/* Whole jobs between a scripted control plane and a scripted host half. */
#include "tests/unit/run/job_world.h"

/* ---- deploy ---- */

#define DEPLOYED                                                                                   \
    "{\"outcome\":\"succeeded\",\"txid\":\"t1\",\"steps\":[{\"name\":\"swap\",\"status\":\"ok\","  \
    "\"ms\":2,\"detail\":\"\"}],\"effects\":{\"version\":12},\"error\":null}"

static void deployment_is_leased_done_and_reported(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, "\"payload\":\"e30\"", NULL, ACCEPTED("deploy", "{}"), NULL, 0},
        {CLM_OP_DEPLOY, A_JOB, "{\"kind\":\"phase\",\"phase\":\"stage\"}", DEPLOYED, NULL, 0},
    };
    static const struct exchange cp[] = {
        {"POST", "/lease", "\"resume\":false", 200, NULL, "{\"fence\":7,\"attempt\":1}", NULL, NULL,
         0},
        RESULT("\"outcome\":\"succeeded\""),
    };
    struct fixture *f = *state;
    struct clm_record record;

    job_world_offer(f, "deploy");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(job_world_ops(f), "job_accept deploy status ");
    assert_non_null(strstr(f->http.body, "\"fence\":7"));
    assert_non_null(strstr(f->http.body, "\"version\":12"));
    assert_non_null(strstr(f->http.body, "\"name\":\"swap\""));
    assert_int_equal(job_world_spooled(f), 0);
    assert_false(job_world_load(f, false, &record));
    clm_record_done(&record);
    assert_true(job_world_load(f, true, &record));
    clm_record_done(&record);
}

static void events_that_did_not_arrive_go_again_with_how_far_it_is(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
        {CLM_OP_DEPLOY, NULL, "{\"kind\":\"phase\",\"phase\":\"stage\"}", DEPLOYED, NULL, 0},
    };
    static const struct exchange cp[] = {LEASE, RESULT("\"last_event_seq\":2")};
    struct fixture *f = *state;

    f->events_lost = 1;
    job_world_offer(f, "deploy");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_true(f->http.events_lost < 0);
    const char *first = strstr(f->http.events, "\"phase\":\"deploy\",\"pct\":0,\"seq\":1");
    const char *second = strstr(f->http.events, "\"phase\":\"stage\",\"pct\":25,\"seq\":2");

    assert_non_null(first);
    assert_non_null(second);
    assert_true(first < second);
}

static void refusal_by_policy_is_reported_as_rejected(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, NULL, "E_POLICY", CLM_E_PERM},
    };
    static const struct exchange cp[] = {LEASE, RESULT("\"outcome\":\"rejected\"")};
    struct fixture *f = *state;

    job_world_offer(f, "deploy");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_non_null(strstr(f->http.body, "\"code\":\"E_POLICY\""));
    assert_non_null(strstr(f->http.body, "\"message\":\"it may not be\""));
    assert_non_null(strstr(f->http.body, "\"hint\":\"allow it\""));
    assert_null(strstr(job_world_ops(f), "deploy"));
}

static void type_in_the_offer_must_be_that_of_the_signed_job(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
    };
    static const struct exchange cp[] = {LEASE, RESULT("\"outcome\":\"failed\"")};
    struct fixture *f = *state;

    job_world_offer(f, "scan");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_null(strstr(job_world_ops(f), "deploy"));
}

static void waiting_lease_puts_the_job_off(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
    };
    static const struct exchange cp[] = {
        {"POST", "/lease", NULL, 423, NULL, "{\"code\":\"waiting\"}", NULL, NULL, 90}};
    struct fixture *f = *state;
    struct clm_record record;

    job_world_offer(f, "deploy");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_LATER);
    assert_true(job_world_load(f, false, &record));
    int64_t left_s = clm_record_int(&record, "next_try_s") - clm_clock_now_s();
    assert_in_range(left_s, 88, 90);
    assert_string_equal(clm_record_text(&record, "state"), "offered");
    clm_record_done(&record);
}

static void job_that_has_ended_elsewhere_is_dropped(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
    };
    static const char *const problems[] = {"job-terminal", "expired", "job-unknown"};

    for (size_t i = 0; i < N(problems); i++) {
        struct fixture *f = *state;
        struct clm_record record;
        char body[64];
        const struct exchange cp[] = {{"POST", "/lease", NULL, 409, NULL, body, NULL, NULL, 0}};

        (void)snprintf(body, sizeof(body), "{\"code\":\"%s\"}", problems[i]);
        job_world_offer(f, "deploy");
        job_world_host(f, host, N(host));
        assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
        assert_false(job_world_load(f, false, &record));
        clm_record_done(&record);
        assert_null(strstr(job_world_ops(f), "deploy"));
        assert_int_equal(job_world_spooled(f), 0);
    }
}

static void lease_whose_answer_was_lost_is_resumed(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
        {CLM_OP_DEPLOY, NULL, NULL, DEPLOYED, NULL, 0},
    };
    static const struct exchange cp[] = {
        {"POST", "/lease", "\"resume\":false", 409, NULL, "{\"code\":\"conflict\"}", NULL, NULL, 0},
        {"POST", "/lease", "\"resume\":true", 200, NULL, "{\"fence\":8,\"attempt\":1}", NULL, NULL,
         0},
        RESULT("\"fence\":8")};
    struct fixture *f = *state;

    job_world_offer(f, "deploy");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
}

static void result_waits_on_disk_while_the_control_plane_is_away(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
        {CLM_OP_DEPLOY, NULL, NULL, DEPLOYED, NULL, 0},
    };
    static const struct exchange cp[] = {LEASE,
                                         {"POST", "/result", NULL, 0, NULL, NULL, NULL, NULL, 0}};
    struct fixture *f = *state;
    struct clm_record record;

    job_world_offer(f, "deploy");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_int_equal(job_world_spooled(f), 1);
    assert_true(job_world_load(f, false, &record));
    assert_string_equal(clm_record_text(&record, "state"), "done");
    clm_record_done(&record);
}

static void host_half_that_dies_is_asked_again_later(void **state)
{
    static const struct host_row dies[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
        {CLM_OP_DEPLOY, NULL, NULL, "", NULL, 0},
    };
    static const struct host_row knows[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL,
         "{\"job_id\":\"" A_JOB "\",\"type\":\"deploy\",\"target\":\"nginx:www.a.example\","
         "\"timeout_s\":900,\"max_attempts\":3,\"spec\":{},\"state\":\"done\",\"result\":" DEPLOYED
         "}",
         NULL, 0},
    };
    static const struct exchange first[] = {LEASE};
    static const struct exchange second[] = {{"POST", "/lease", "\"resume\":true", 200, NULL,
                                              "{\"fence\":9,\"attempt\":1}", NULL, NULL, 0},
                                             RESULT("\"outcome\":\"succeeded\"")};
    struct fixture *f = *state;
    struct clm_record record;

    job_world_offer(f, "deploy");
    job_world_host(f, dies, N(dies));
    assert_int_equal(job_world_run(f, first, N(first)), CLM_JOB_EXIT_LATER);
    assert_true(job_world_load(f, false, &record));
    assert_string_equal(clm_record_text(&record, "state"), "running");
    assert_int_equal(clm_record_int(&record, "tries"), 1);
    clm_record_done(&record);
    job_world_host(f, knows, N(knows));
    assert_int_equal(job_world_run(f, second, N(second)), CLM_JOB_EXIT_OK);
    assert_string_equal(job_world_ops(f), "job_accept deploy job_accept status ");
    assert_non_null(strstr(f->http.body, "\"version\":12"));
}

static void two_processes_never_run_one_job(void **state)
{
    struct fixture *f = *state;
    int lock_fd = -1;

    job_world_offer(f, "deploy");
    job_world_host(f, NULL, 0);
    assert_int_equal(clm_record_lock(&f->home.config, A_JOB, &lock_fd, NULL), CLM_OK);
    assert_int_equal(job_world_run(f, NULL, 0), CLM_JOB_EXIT_LATER);
    assert_string_equal(job_world_ops(f), "");
    (void)close(lock_fd);
}

/* ---- order ---- */

#define ORDER_SPEC                                                                                 \
    "{\"certificate_id\":\"" CERT_ID "\",\"dcv\":{\"method\":\"http-01\"},\"on_issue\":"           \
    "\"deploy\"}"
#define CSR_ROW                                                                                    \
    {                                                                                              \
        CLM_OP_CSR, A_JOB, NULL,                                                                   \
            "{\"csr\":\"AAAA\",\"csr_sha256\":\"aa\",\"spki_sha256\":\"bb\",\"key_type\":\"ec-"    \
            "p256\","                                                                              \
            "\"key_ref\":\"key_1\"}",                                                              \
            NULL, 0                                                                                \
    }
#define PUT_ROW                                                                                    \
    {                                                                                              \
        CLM_OP_DCV_PUT, "\"content\":\"tok.thumb\"", NULL,                                         \
            "{\"file\":\"/var/www/x/tok\",\"created\":true,\"check\":{\"addr\":\"127.0.0.1\","     \
            "\"port\":8080,\"host\":\"www.a.example\",\"path\":\"/.well-known/acme-challenge/"     \
            "tok\"}}",                                                                             \
            NULL, 0                                                                                \
    }
#define CERT_ROW                                                                                   \
    {                                                                                              \
        CLM_OP_CERT_PUT, "BEGIN CERTIFICATE", NULL,                                                \
            "{\"sha256\":\"cc\",\"not_after\":\"2027-01-01T00:00:00Z\",\"changes\":[]}", NULL, 0   \
    }
#define CHALLENGES                                                                                 \
    "{\"order_id\":\"" ORDER_ID "\",\"challenges\":[{\"challenge_id\":\"chl_1\","                  \
    "\"method\":\"http-01\",\"domain\":\"www.a.example\","                                         \
    "\"path\":\"/.well-known/acme-challenge/tok\",\"content\":\"tok.thumb\","                      \
    "\"state\":\"pending\"}]}"
#define CSR_ANSWER                                                                                 \
    {                                                                                              \
        "POST", "/csr", "\"fence\":7", 202, NULL,                                                  \
            "{\"order_id\":\"" ORDER_ID                                                            \
            "\",\"state\":\"dcv_pending\",\"certificate_id\":\"" CERT_ID "\"}",                    \
            NULL, NULL, 0                                                                          \
    }
#define ORDER_IS(text)                                                                             \
    {                                                                                              \
        "GET", "/orders/" ORDER_ID, NULL, 200, NULL, text, NULL, NULL, 0                           \
    }

#define ORDER_AFTER(known, text)                                                                   \
    {                                                                                              \
        "GET", "/orders/" ORDER_ID "?wait=20&state=" known, NULL, 200, NULL, text, NULL, NULL, 0   \
    }

static void order_goes_from_request_to_deployment(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0},
        CSR_ROW,
        PUT_ROW,
        CERT_ROW,
        {CLM_OP_DEPLOY, A_JOB, NULL, DEPLOYED, NULL, 0},
    };
    static const struct exchange cp[] = {
        LEASE,
        CSR_ANSWER,
        ORDER_IS("{\"state\":\"dcv_pending\"}"),
        {"GET", "/dcv", NULL, 200, NULL, CHALLENGES, NULL, NULL, 0},
        {"POST", "/dcv/ready", "\"written\":[\"chl_1\"]", 202, NULL, "{}", NULL, NULL, 0},
        /* it says what it knows, so that only news is waited for */
        ORDER_AFTER("dcv_pending", "{\"state\":\"validating\"}"),
        ORDER_AFTER("validating", "{\"state\":\"issued\",\"certificate_id\":\"" CERT_ID "\"}"),
        {"GET", "/certificates/" CERT_ID, NULL, 200, "application/pem-certificate-chain",
         "-----BEGIN CERTIFICATE-----", NULL, NULL, 0},
        RESULT("\"outcome\":\"succeeded\""),
    };
    struct fixture *f = *state;

    f->web = (struct peer){.status = 200, .body = "tok.thumb"};
    job_world_offer(f, "order");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(job_world_ops(f),
                        "job_accept csr dcv_put dcv_remove cert_put deploy status ");
    assert_non_null(strstr(f->http.body, "\"csr_sha256\":\"aa\""));
    assert_non_null(strstr(f->http.body, "\"key_ref\":\"key_1\""));
    assert_non_null(strstr(f->http.body, "\"order_id\":\"" ORDER_ID "\""));
    assert_non_null(strstr(f->http.body, "\"sha256\":\"cc\""));
}

static void unreachable_file_fails_with_advice_and_is_removed(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0},
        CSR_ROW,
        PUT_ROW,
    };
    static const struct exchange cp[] = {
        LEASE,
        CSR_ANSWER,
        ORDER_IS("{\"state\":\"dcv_pending\"}"),
        {"GET", "/dcv", NULL, 200, NULL, CHALLENGES, NULL, NULL, 0},
        RESULT("E_DCV_SELF_CHECK"),
    };
    struct fixture *f = *state;

    f->web = (struct peer){.status = 404, .body = ""};
    job_world_offer(f, "order");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(job_world_ops(f), "job_accept csr dcv_put dcv_remove close status ");
    assert_non_null(strstr(f->http.body, "answers 404"));
    assert_non_null(strstr(f->http.body, "/var/www/x/tok"));
    assert_non_null(strstr(f->http.body, "\"step\":\"dcv.check\""));
    assert_non_null(strstr(f->http.body, "\"retryable\":false"));
}

static void failure_that_is_tried_again_leaves_the_job_open_at_the_host(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0},
        CSR_ROW,
        PUT_ROW,
    };
    static const struct exchange cp[] = {
        LEASE,
        CSR_ANSWER,
        ORDER_IS("{\"state\":\"dcv_pending\"}"),
        {"GET", "/dcv", NULL, 200, NULL, CHALLENGES, NULL, NULL, 0},
        RESULT("\"retryable\":true"),
    };
    struct fixture *f = *state;

    f->web = (struct peer){.code = CLM_E_NET};
    job_world_offer(f, "order");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_null(strstr(job_world_ops(f), "close"));
}

static void order_refused_by_the_ca_says_why(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0},
        CSR_ROW,
    };
    static const struct exchange cp[] = {
        LEASE, CSR_ANSWER,
        ORDER_IS("{\"state\":\"failed\",\"error\":{\"code\":\"E_CA_REFUSED\",\"message\":"
                 "\"CAA forbids it\",\"retryable\":false}}"),
        RESULT("E_ORDER_FAILED")};
    struct fixture *f = *state;

    job_world_offer(f, "order");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_non_null(strstr(f->http.body, "CAA forbids it"));
    assert_string_equal(job_world_ops(f), "job_accept csr dcv_remove close status ");
}

static void state_that_is_no_word_goes_into_no_url(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0},
        CSR_ROW,
    };
    static const struct exchange cp[] = {LEASE, CSR_ANSWER, ORDER_IS("{\"state\":\"a&wait=0\"}"),
                                         RESULT("unknown value")};
    struct fixture *f = *state;

    job_world_offer(f, "order");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_int_equal(f->http.at, N(cp));
}

static void cancel_on_the_control_plane_ends_the_wait(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0},
        CSR_ROW,
    };
    static const struct exchange cp[] = {
        LEASE,
        CSR_ANSWER,
        {"GET", "/orders/", NULL, 200, NULL, "{\"state\":\"validating\"}", NULL, "canceling", 0},
        RESULT("\"outcome\":\"canceled\"")};
    struct fixture *f = *state;

    job_world_offer(f, "order");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(job_world_ops(f), "job_accept csr dcv_remove close status ");
}

static void stale_fence_ends_the_job_without_a_report(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0},
        CSR_ROW,
    };
    static const struct exchange cp[] = {
        LEASE, {"POST", "/csr", NULL, 409, NULL, "{\"code\":\"stale-fence\"}", NULL, NULL, 0}};
    struct fixture *f = *state;
    struct clm_record record;

    job_world_offer(f, "order");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_int_equal(job_world_spooled(f), 0);
    assert_true(job_world_load(f, true, &record));
    clm_record_done(&record);
}

static void weather_is_waited_out(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0},
        CSR_ROW,
    };
    static const struct exchange cp[] = {
        LEASE,
        {"POST", "/csr", NULL, 0, NULL, NULL, NULL, NULL, 0},
        {"POST", "/csr", NULL, 503, NULL, "{\"code\":\"draining\"}", NULL, NULL, 1},
        {"POST", "/csr", NULL, 200, "text/html", "<html>", NULL, NULL, 0},
        CSR_ANSWER,
        ORDER_IS("{\"state\":\"failed\"}"),
        RESULT("E_ORDER_FAILED")};
    struct fixture *f = *state;

    job_world_offer(f, "order");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_int_equal(f->http.at, N(cp));
}

static void stopped_job_goes_on_where_it_was(void **state)
{
    static const struct host_row stops[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0},
        {CLM_OP_CSR, NULL, "stop", "{\"csr\":\"AAAA\"}", NULL, 0},
    };
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("order", ORDER_SPEC), NULL, 0},
        CSR_ROW,
        CERT_ROW,
        {CLM_OP_DEPLOY, A_JOB, NULL, DEPLOYED, NULL, 0},
    };
    static const struct exchange first[] = {LEASE};
    static const struct exchange second[] = {
        {"POST", "/lease", "\"resume\":true", 200, NULL, "{\"fence\":7,\"attempt\":1}", NULL, NULL,
         0},
        CSR_ANSWER,
        ORDER_IS("{\"state\":\"issued\",\"certificate_id\":\"" CERT_ID "\"}"),
        {"GET", "/certificates/" CERT_ID, NULL, 200, "application/pem-certificate-chain",
         "-----BEGIN CERTIFICATE-----", NULL, NULL, 0},
        RESULT("\"outcome\":\"succeeded\"")};
    struct fixture *f = *state;
    struct clm_record record;
    sigset_t set;
    sigset_t old;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    assert_int_equal(sigprocmask(SIG_BLOCK, &set, &old), 0);
    f->stop_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    job_world_offer(f, "order");
    job_world_host(f, stops, N(stops));
    assert_int_equal(job_world_run(f, first, N(first)), CLM_JOB_EXIT_LATER);
    assert_string_equal(job_world_ops(f), "job_accept csr ");
    assert_true(job_world_load(f, false, &record));
    assert_string_equal(clm_record_text(&record, "state"), "running");
    assert_int_equal(clm_record_int(&record, "fence"), 7);
    clm_record_done(&record);
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, second, N(second)), CLM_JOB_EXIT_OK);
    (void)close(f->stop_fd);
    f->stop_fd = -1;
    assert_int_equal(sigprocmask(SIG_SETMASK, &old, NULL), 0);
}

static void validation_files_are_written_for_a_job_of_their_own(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("get_dcv", "{\"order_id\":\"" ORDER_ID "\"}"),
         NULL, 0},
        PUT_ROW,
    };
    static const struct exchange cp[] = {
        LEASE,
        {"GET", "/dcv", NULL, 200, NULL, CHALLENGES, NULL, NULL, 0},
        {"POST", "/dcv/ready", "\"ok\":true", 202, NULL, "{}", NULL, NULL, 0},
        RESULT("\"outcome\":\"succeeded\"")};
    struct fixture *f = *state;

    f->web = (struct peer){.status = 200, .body = "tok.thumb\n"};
    job_world_offer(f, "get_dcv");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(job_world_ops(f), "job_accept dcv_put close status ");
}

static void validation_files_are_removed_on_request(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("dcv_cleanup", "{\"order_id\":\"" ORDER_ID "\"}"),
         NULL, 0},
        {CLM_OP_DCV_REMOVE, ORDER_ID, NULL, "{\"removed\":2}", NULL, 0},
    };
    static const struct exchange cp[] = {LEASE, RESULT("\"removed\":2")};
    struct fixture *f = *state;

    job_world_offer(f, "dcv_cleanup");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(job_world_ops(f), "job_accept dcv_remove close status ");
}

/* A scan whose inventory is answered so; what waits in the spool after it. */
static size_t scan(struct fixture *f, int status)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("scan", "{}"), NULL, 0},
        {CLM_OP_SCAN, NULL, NULL,
         "{\"schema\":1,\"started_at\":\"2026-11-21T01:30:00Z\",\"duration_ms\":3,"
         "\"services\":[],\"errors\":[]}",
         NULL, 0},
    };
    const struct exchange cp[] = {
        LEASE,
        {"PUT", "/inventory", "deploy.retain/1", status, NULL, NULL, NULL, NULL, 0},
        {"PUT", "/inventory/files/", "\"last\":true", 204, NULL, NULL, NULL, NULL, 0},
        RESULT("\"changed\":true")};

    job_world_offer(f, "scan");
    job_world_host(f, host, N(host));
    assert_int_equal(job_world_run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(job_world_ops(f), "job_accept scan status certs close status ");
    return job_world_spooled(f);
}

static void scan_tells_what_is_new_before_its_end(void **state)
{
    struct fixture *f = *state;
    char path[PATH_MAX];

    assert_int_equal(scan(f, 204), 0);
    assert_int_equal(clm_net_path(&f->home.config, path, NULL, "inventory.json"), CLM_OK);
    assert_int_equal(clm_fs_exists(path), 1);
}

static void an_inventory_that_does_not_arrive_is_kept(void **state)
{
    assert_int_equal(scan(*state, 0), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, job_world_setup, job_world_teardown)
        WITH(deployment_is_leased_done_and_reported),
        WITH(events_that_did_not_arrive_go_again_with_how_far_it_is),
        WITH(refusal_by_policy_is_reported_as_rejected),
        WITH(type_in_the_offer_must_be_that_of_the_signed_job),
        WITH(waiting_lease_puts_the_job_off),
        WITH(job_that_has_ended_elsewhere_is_dropped),
        WITH(lease_whose_answer_was_lost_is_resumed),
        WITH(result_waits_on_disk_while_the_control_plane_is_away),
        WITH(host_half_that_dies_is_asked_again_later),
        WITH(two_processes_never_run_one_job),
        WITH(order_goes_from_request_to_deployment),
        WITH(unreachable_file_fails_with_advice_and_is_removed),
        WITH(failure_that_is_tried_again_leaves_the_job_open_at_the_host),
        WITH(order_refused_by_the_ca_says_why),
        WITH(state_that_is_no_word_goes_into_no_url),
        WITH(cancel_on_the_control_plane_ends_the_wait),
        WITH(stale_fence_ends_the_job_without_a_report),
        WITH(weather_is_waited_out),
        WITH(stopped_job_goes_on_where_it_was),
        WITH(validation_files_are_written_for_a_job_of_their_own),
        WITH(validation_files_are_removed_on_request),
        WITH(scan_tells_what_is_new_before_its_end),
        WITH(an_inventory_that_does_not_arrive_is_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
