/* SPDX-License-Identifier: Apache-2.0 */
/* Whole jobs between a scripted control plane and a scripted host half. */
#include "tests/unit/run/world.h"

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/base/clock.h"
#include "agent/ipc/server.h"
#include "agent/run/job.h"
#include "agent/run/job_child.h"
#include "agent/run/record.h"
#include "agent/run/spool.h"

#define ORDER_ID "ord_01J9ZN5Q7W9E1R3T5Y7V9J1K3M"
#define CERT_ID  "crt_01J9ZN5Q7W9E1R3T5Y7V9J1K3M"

/* ---- the host half ---- */

struct host_row {
    enum clm_op op;
    const char *body_has; /* may be NULL */
    const char *event;    /* sent before; may be NULL. "stop": SIGTERM to the client instead */
    const char *reply;    /* NULL: a fail; "": hang up */
    const char *problem;
    enum clm_code code;
};

struct fixture {
    struct home home;
    struct script http;
    struct peer {
        int status;
        const char *body;
        enum clm_code code;
    } web; /* the web server on this host */
    pid_t host;
    struct clm_link *link;
    struct clm_api *api;
    int stop_fd;
    char ops[4096]; /* what the host half was asked, in order */
};

static void note_op(const char *path, enum clm_op op, const char *body)
{
    FILE *file = fopen(path, "a");

    if (file == NULL || fprintf(file, "%s ", clm_op_name(op)) < 0 || fclose(file) != 0) {
        _exit(9);
    }
    if (strstr(body, "PRIVATE") != NULL) {
        _exit(8);
    }
}

static void serve_row(struct clm_conn *conn, const struct host_row *row)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *event = NULL;
    struct clm_err why = {0};
    struct clm_fail fail;

    if (row->event != NULL && strcmp(row->event, "stop") == 0) {
        if (kill(getppid(), SIGTERM) != 0) {
            _exit(3);
        }
    } else if (row->event != NULL) {
        if (clm_json_parse(row->event, strlen(row->event), CLM_JSON_TEXT_MAX, &event, NULL) !=
            CLM_OK) {
            _exit(7);
        }
        clm_ignore(clm_conn_event(conn, event, NULL));
    }
    if (row->reply == NULL) {
        (void)clm_err_set(&why, row->code, "it may not be");
        clm_fail_from_err(&fail, row->problem, &why, "allow it");
        clm_ignore(clm_conn_fail(conn, &fail, NULL));
        return;
    }
    if (row->reply[0] == '\0') {
        _exit(0);
    }
    if (clm_json_parse(row->reply, strlen(row->reply), CLM_JSON_TEXT_MAX, &obj, NULL) != CLM_OK) {
        _exit(6);
    }
    clm_ignore(clm_conn_reply(conn, obj, NULL));
}

static _Noreturn void be_host(int fd, const struct host_row *rows, size_t n, const char *log)
{
    struct clm_server *server = NULL;
    struct clm_conn *conn = NULL;
    enum clm_op op = CLM_OP_NONE;

    if (clm_server_from_fd_take(fd, &server, NULL) != CLM_OK ||
        clm_server_accept(server, 1000, &conn, NULL) != CLM_OK) {
        _exit(5);
    }
    for (;;) {
        CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;
        struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);
        const struct host_row *row = NULL;

        if (clm_conn_receive(conn, 20000, &op, &body, NULL) != CLM_OK || op == CLM_OP_NONE) {
            _exit(0);
        }
        if (clm_json_print(body, false, &text, NULL) != CLM_OK) {
            _exit(4);
        }
        note_op(log, op, clm_buf_str(&text));
        for (size_t i = 0; i < n && row == NULL; i++) {
            bool fits = rows[i].op == op && (rows[i].body_has == NULL ||
                                             strstr(clm_buf_str(&text), rows[i].body_has) != NULL);
            row = fits ? &rows[i] : NULL;
        }
        clm_buf_done(&text);
        static const struct host_row nothing = {.reply = "{}"};
        serve_row(conn, row == NULL ? &nothing : row);
    }
}

/* ---- the web server ---- */

static enum clm_code web_answer(void *ctx, const struct clm_http_request *request,
                                struct clm_http_response *out, struct clm_err *err)
{
    const struct peer *p = ctx;

    *out = (struct clm_http_response){.status = p->status};
    if (p->code != CLM_OK) {
        return clm_err_set(err, p->code, "connection refused");
    }
    out->body.max = request->response_max;
    return clm_buf_add_str(&out->body, p->body, err);
}

static void no_sleep(int64_t ms)
{
    (void)ms;
}

/* ---- running ---- */

static int setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    home_open(&f.home);
    f.stop_fd = -1;
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    clm_link_free(f->link);
    if (f->host > 0) {
        (void)kill(f->host, SIGKILL);
        (void)waitpid(f->host, NULL, 0);
    }
    clm_api_free(f->api);
    home_close(&f->home);
    return 0;
}

static void start_host(struct fixture *f, const struct host_row *rows, size_t n)
{
    char log[128];
    int pair[2];

    clm_link_free(f->link);
    f->link = NULL;
    if (f->host > 0) {
        assert_int_equal(waitpid(f->host, NULL, 0), f->host);
    }
    (void)snprintf(log, sizeof(log), "%s/ops", f->home.dir);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    f->host = fork();
    assert_true(f->host >= 0);
    if (f->host == 0) {
        (void)close(pair[0]);
        be_host(pair[1], rows, n, log);
    }
    (void)close(pair[1]);
    assert_int_equal(clm_link_from_fd_take(pair[0], &f->link, NULL), CLM_OK);
}

static void offer(struct fixture *f, const char *type)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    struct clm_record record;

    clm_json_set_str(obj, "job_id", A_JOB);
    clm_json_set_str(obj, "type", type);
    clm_json_set_str(obj, "target", "nginx:www.a.example");
    clm_json_set_str(clm_json_set_object(obj, "jws"), "payload", "e30");
    assert_int_equal(clm_record_from_offer(obj, &record, NULL), CLM_OK);
    assert_int_equal(clm_record_save(&f->home.config, &record, NULL), CLM_OK);
    clm_record_done(&record);
}

static int run(struct fixture *f, const struct exchange *list, size_t n)
{
    clm_api_free(f->api);
    f->http = (struct script){.list = list, .n = n, .takes_events = true};
    f->api = script_api(&f->http);
    const struct clm_job_world world = {.config = &f->home.config,
                                        .api = f->api,
                                        .link = f->link,
                                        .fetch = web_answer,
                                        .fetch_ctx = &f->web,
                                        .stop_fd = f->stop_fd,
                                        .boot_id = "01J9ZK5D0B2M4N6P8Q0R2S4T6V",
                                        .sleep_ms = no_sleep};
    int status = clm_job_run(&world, A_JOB);
    assert_null(strstr(f->http.body, "PRIVATE"));
    return status;
}

static const char *ops(struct fixture *f)
{
    char path[128];
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_INIT(sizeof(f->ops) - 1);

    (void)snprintf(path, sizeof(path), "%s/ops", f->home.dir);
    if (clm_fs_read(path, sizeof(f->ops) - 1, &text, NULL) != CLM_OK) {
        return "";
    }
    (void)snprintf(f->ops, sizeof(f->ops), "%s", clm_buf_str(&text));
    return f->ops;
}

/* The record wherever it is; false: there is none. */
static bool load(struct fixture *f, bool finished, struct clm_record *out)
{
    enum clm_code code = finished ? clm_record_load_finished(&f->home.config, A_JOB, out, NULL)
                                  : clm_record_load(&f->home.config, A_JOB, out, NULL);

    return code == CLM_OK;
}

static size_t spooled(struct fixture *f)
{
    struct clm_spool_stats stats;
    char path[PATH_MAX];

    spool_path(&f->home, path);
    clm_spool_stats(path, 1, &stats);
    return stats.n;
}

#define ACCEPTED(type, spec)                                                                       \
    "{\"job_id\":\"" A_JOB "\",\"type\":\"" type "\",\"target\":\"nginx:www.a.example\","          \
    "\"target_seq\":1,\"timeout_s\":900,\"max_attempts\":3,\"spec\":" spec                         \
    ",\"state\":\"accepted\"}"
#define LEASE                                                                                      \
    {                                                                                              \
        "POST", "/lease", NULL, 200, NULL, "{\"fence\":7,\"attempt\":1,\"state\":\"leased\"}",     \
            NULL, NULL, 0                                                                          \
    }
#define RESULT(has)                                                                                \
    {                                                                                              \
        "POST", "/result", has, 200, NULL, "{\"state\":\"x\"}", NULL, NULL, 0                      \
    }
#define N(list) (sizeof(list) / sizeof((list)[0]))

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

    offer(f, "deploy");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(ops(f), "job_accept deploy status ");
    assert_non_null(strstr(f->http.body, "\"fence\":7"));
    assert_non_null(strstr(f->http.body, "\"version\":12"));
    assert_non_null(strstr(f->http.body, "\"name\":\"swap\""));
    assert_int_equal(spooled(f), 0);
    assert_false(load(f, false, &record));
    clm_record_done(&record);
    assert_true(load(f, true, &record));
    clm_record_done(&record);
}

static void refusal_by_policy_is_reported_as_rejected(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, NULL, "E_POLICY", CLM_E_PERM},
    };
    static const struct exchange cp[] = {LEASE, RESULT("\"outcome\":\"rejected\"")};
    struct fixture *f = *state;

    offer(f, "deploy");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_non_null(strstr(f->http.body, "\"code\":\"E_POLICY\""));
    assert_non_null(strstr(f->http.body, "\"message\":\"it may not be\""));
    assert_non_null(strstr(f->http.body, "\"hint\":\"allow it\""));
    assert_null(strstr(ops(f), "deploy"));
}

static void type_in_the_offer_must_be_that_of_the_signed_job(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("deploy", "{}"), NULL, 0},
    };
    static const struct exchange cp[] = {LEASE, RESULT("\"outcome\":\"failed\"")};
    struct fixture *f = *state;

    offer(f, "scan");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_null(strstr(ops(f), "deploy"));
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

    offer(f, "deploy");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_LATER);
    assert_true(load(f, false, &record));
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
        offer(f, "deploy");
        start_host(f, host, N(host));
        assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
        assert_false(load(f, false, &record));
        clm_record_done(&record);
        assert_null(strstr(ops(f), "deploy"));
        assert_int_equal(spooled(f), 0);
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

    offer(f, "deploy");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
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

    offer(f, "deploy");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_int_equal(spooled(f), 1);
    assert_true(load(f, false, &record));
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

    offer(f, "deploy");
    start_host(f, dies, N(dies));
    assert_int_equal(run(f, first, N(first)), CLM_JOB_EXIT_LATER);
    assert_true(load(f, false, &record));
    assert_string_equal(clm_record_text(&record, "state"), "running");
    assert_int_equal(clm_record_int(&record, "tries"), 1);
    clm_record_done(&record);
    start_host(f, knows, N(knows));
    assert_int_equal(run(f, second, N(second)), CLM_JOB_EXIT_OK);
    assert_string_equal(ops(f), "job_accept deploy job_accept status ");
    assert_non_null(strstr(f->http.body, "\"version\":12"));
}

static void two_processes_never_run_one_job(void **state)
{
    struct fixture *f = *state;
    int lock_fd = -1;

    offer(f, "deploy");
    start_host(f, NULL, 0);
    assert_int_equal(clm_record_lock(&f->home.config, A_JOB, &lock_fd, NULL), CLM_OK);
    assert_int_equal(run(f, NULL, 0), CLM_JOB_EXIT_LATER);
    assert_string_equal(ops(f), "");
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
        ORDER_IS("{\"state\":\"validating\"}"),
        ORDER_IS("{\"state\":\"issued\",\"certificate_id\":\"" CERT_ID "\"}"),
        {"GET", "/certificates/" CERT_ID, NULL, 200, "application/pem-certificate-chain",
         "-----BEGIN CERTIFICATE-----", NULL, NULL, 0},
        RESULT("\"outcome\":\"succeeded\""),
    };
    struct fixture *f = *state;

    f->web = (struct peer){.status = 200, .body = "tok.thumb"};
    offer(f, "order");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(ops(f), "job_accept csr dcv_put dcv_remove cert_put deploy status ");
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
    offer(f, "order");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(ops(f), "job_accept csr dcv_put dcv_remove close status ");
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
    offer(f, "order");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_null(strstr(ops(f), "close"));
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

    offer(f, "order");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_non_null(strstr(f->http.body, "CAA forbids it"));
    assert_string_equal(ops(f), "job_accept csr dcv_remove close status ");
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

    offer(f, "order");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(ops(f), "job_accept csr dcv_remove close status ");
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

    offer(f, "order");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_int_equal(spooled(f), 0);
    assert_true(load(f, true, &record));
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

    offer(f, "order");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
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
    offer(f, "order");
    start_host(f, stops, N(stops));
    assert_int_equal(run(f, first, N(first)), CLM_JOB_EXIT_LATER);
    assert_string_equal(ops(f), "job_accept csr ");
    assert_true(load(f, false, &record));
    assert_string_equal(clm_record_text(&record, "state"), "running");
    assert_int_equal(clm_record_int(&record, "fence"), 7);
    clm_record_done(&record);
    start_host(f, host, N(host));
    assert_int_equal(run(f, second, N(second)), CLM_JOB_EXIT_OK);
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
    offer(f, "get_dcv");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(ops(f), "job_accept dcv_put close status ");
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

    offer(f, "dcv_cleanup");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(ops(f), "job_accept dcv_remove close status ");
}

static void scan_spools_what_is_new(void **state)
{
    static const struct host_row host[] = {
        {CLM_OP_JOB_ACCEPT, NULL, NULL, ACCEPTED("scan", "{}"), NULL, 0},
        {CLM_OP_SCAN, NULL, NULL,
         "{\"schema\":1,\"started_at\":\"2026-11-21T01:30:00Z\",\"duration_ms\":3,"
         "\"services\":[],\"errors\":[]}",
         NULL, 0},
    };
    static const struct exchange cp[] = {LEASE, RESULT("\"changed\":true")};
    struct fixture *f = *state;
    char path[PATH_MAX];

    offer(f, "scan");
    start_host(f, host, N(host));
    assert_int_equal(run(f, cp, N(cp)), CLM_JOB_EXIT_OK);
    assert_string_equal(ops(f), "job_accept scan status close status ");
    assert_int_equal(spooled(f), 1);
    assert_int_equal(clm_net_path(&f->home.config, path, NULL, "inventory.json"), CLM_OK);
    assert_int_equal(clm_fs_exists(path), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(deployment_is_leased_done_and_reported),
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
        WITH(cancel_on_the_control_plane_ends_the_wait),
        WITH(stale_fence_ends_the_job_without_a_report),
        WITH(weather_is_waited_out),
        WITH(stopped_job_goes_on_where_it_was),
        WITH(validation_files_are_written_for_a_job_of_their_own),
        WITH(validation_files_are_removed_on_request),
        WITH(scan_spools_what_is_new),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
