/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run/job_world.h"

/* ---- the host half ---- */

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

int job_world_setup(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    home_open(&f.home);
    f.stop_fd = -1;
    *state = &f;
    return 0;
}

int job_world_teardown(void **state)
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

void job_world_end_host(struct fixture *f)
{
    clm_link_free(f->link);
    f->link = NULL;
    if (f->host > 0) {
        assert_int_equal(waitpid(f->host, NULL, 0), f->host);
        f->host = 0;
    }
}

void job_world_host(struct fixture *f, const struct host_row *rows, size_t n)
{
    char log[128];
    int pair[2];

    job_world_end_host(f);
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

void job_world_offer(struct fixture *f, const char *type)
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

int job_world_run(struct fixture *f, const struct exchange *list, size_t n)
{
    clm_api_free(f->api);
    f->http =
        (struct script){.list = list, .n = n, .takes_events = true, .events_lost = f->events_lost};
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

const char *job_world_ops(struct fixture *f)
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
bool job_world_load(struct fixture *f, bool finished, struct clm_record *out)
{
    enum clm_code code = finished ? clm_record_load_finished(&f->home.config, A_JOB, out, NULL)
                                  : clm_record_load(&f->home.config, A_JOB, out, NULL);

    return code == CLM_OK;
}

size_t job_world_spooled(struct fixture *f)
{
    struct clm_spool_stats stats;
    char path[PATH_MAX];

    spool_path(&f->home, path);
    clm_spool_stats(path, 1, &stats);
    return stats.n;
}
