/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the network half keeps on disk while calls of libc fail, and below a directory whose name is so
 * long that one path after the other does not fit: an error that says so, and nothing half-made is left.
 */
#include "tests/unit/run/authority.h"
#include "tests/unit/run/plane.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "agent/ipc/frame.h"
#include "agent/run/agent.h"
#include "agent/run/enroll.h"
#include "agent/run/local_api.h"
#include "agent/run/record.h"
#include "agent/run/sender.h"
#include "agent/run/spool.h"

#define BOOT  "01J9ZK5D0B2M4N6P8Q0R2S4T6V"
#define NOW_S 1795225945

struct world {
    struct home home;
    struct plane plane;
    struct clm_agent agent;     /* in open_agent() only */
    struct clm_buf enrolled[4]; /* the files of an identity, which cost keys to make */
};

static void issue_answer(void *arg, const struct clm_http_request *request, struct clm_buf *out);

/* ---- acts ---- */

static enum clm_code identity_dir(const struct world *w, char *dir, struct clm_err *err)
{
    return clm_net_path(&w->home.config, dir, err, "identity");
}

static enum clm_code open_api(struct world *w, struct clm_api **out, struct clm_err *err)
{
    CLM_CLEANUP(clm_strs_done) struct clm_strs urls = {0};
    const struct clm_api_opts opts = {
        .urls = &urls, .boot_id = BOOT, .http = plane_http, .http_ctx = &w->plane};

    enum clm_code code = clm_strs_add(&urls, "https://cp.example", err);
    return code == CLM_OK ? clm_api_new(&opts, out, err) : code;
}

static const struct plane_row renewing[] = {
    {"POST", "/renew", 200, "MAKE", 0},
    {"POST", "/recover", 401, "{\"code\":\"nonce-required\",\"nonce\":\"9JbU0v3mR1oQ7Yk2\"}", 1},
    {"POST", "/recover", 200, "MAKE", 0},
};

/* Of an agent that is enrolled: the next identity, and one more by the device key. */
static enum clm_code renew(void *arg, struct clm_err *err)
{
    struct world *w = arg;
    CLM_CLEANUP(clm_identity_done) struct clm_identity identity = {0};
    CLM_CLEANUP(clm_identity_done) struct clm_identity next = {0};
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = NULL;
    struct clm_api_response answer = {0};
    char dir[PATH_MAX];

    w->plane = (struct plane){
        .rows = renewing, .n = CLM_ARRAY_LEN(renewing), .make = issue_answer, .arg = w};
    enum clm_code code = identity_dir(w, dir, err);
    if (code == CLM_OK) {
        code = clm_identity_load(dir, &identity, err);
    }
    if (code == CLM_OK) {
        code = open_api(w, &api, err);
    }
    if (code == CLM_OK) {
        code = clm_identity_renew(dir, api, &identity, BOOT, "half-life", err);
    }
    if (code == CLM_OK) {
        code = clm_identity_load(dir, &next, err);
    }
    if (code == CLM_OK) {
        code = clm_identity_recover(dir, api, &next, &answer, err);
    }
    clm_api_response_done(&answer);
    return code;
}

/* A change that was broken off is finished by whoever loads the identity. */
static enum clm_code finish_change(void *arg, struct clm_err *err)
{
    struct world *w = arg;
    CLM_CLEANUP(clm_identity_done) struct clm_identity identity = {0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf ca = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    char dir[PATH_MAX];

    enum clm_code code = identity_dir(w, dir, err);
    if (code == CLM_OK) {
        code = clm_identity_load(dir, &identity, err);
    }
    return code == CLM_OK ? clm_identity_read_ca(dir, &ca, err) : code;
}

static enum clm_code put(const char *dir, int class_no, const char *job_id, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    const struct clm_spool_message message = {.class_no = class_no,
                                              .job_id = job_id,
                                              .method = "POST",
                                              .path = "/agent/v1/x",
                                              .body = body};

    clm_json_set_int(body, "number", class_no);
    return clm_spool_put(dir, &message, err);
}

static enum clm_code end_next(const char *dir, enum clm_spool_verdict verdict, struct clm_err *err)
{
    struct clm_spool_entry entry = {.class_no = 0};
    int64_t wait_s = -1;

    enum clm_code code = clm_spool_next(dir, NOW_S, NULL, &entry, &wait_s, err);
    if (code == CLM_OK && wait_s == 0) {
        code = clm_spool_finish(dir, &entry, verdict, err);
    }
    clm_spool_entry_done(&entry);
    return code;
}

/* One message of each class, twice, on its way to each of its ends. */
static enum clm_code spool(void *arg, struct clm_err *err)
{
    static const struct {
        int class_no;
        const char *job_id;
    } messages[] = {{CLM_SPOOL_RESULT, A_JOB},
                    {CLM_SPOOL_EVENT, A_JOB},
                    {CLM_SPOOL_INVENTORY, ""},
                    {CLM_SPOOL_INVENTORY, NULL},
                    {CLM_SPOOL_EVENT, B_JOB}};
    struct world *w = arg;
    struct clm_spool_entry entry = {.class_no = 0};
    struct clm_spool_stats stats;
    int64_t wait_s = -1;
    char dir[PATH_MAX];

    enum clm_code code = clm_net_path(&w->home.config, dir, err, "spool");
    if (code == CLM_OK) {
        code = clm_spool_init(dir, err);
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(messages) && code == CLM_OK; i++) {
        code = put(dir, messages[i].class_no, messages[i].job_id, err);
    }
    if (code == CLM_OK) {
        code = clm_spool_next(dir, NOW_S, A_JOB, &entry, &wait_s, err);
    }
    if (code == CLM_OK && wait_s == 0) {
        code = clm_spool_defer(dir, &entry, NOW_S - 1, err);
    }
    clm_spool_entry_done(&entry);
    (void)clm_spool_has_room(dir);
    clm_spool_stats(dir, NOW_S, &stats);
    for (int verdict = CLM_SPOOL_DELIVERED; code == CLM_OK && verdict <= CLM_SPOOL_DEAD;
         verdict++) {
        code = end_next(dir, (enum clm_spool_verdict)verdict, err);
    }
    return code;
}

static const struct plane_row taking[] = {
    {"POST", "/agent/v1/x", 200, "{}", 2},
    {"POST", "/agent/v1/x", 409, "{\"code\":\"superseded\"}", 1},
    {"POST", "/agent/v1/x", 400, "{\"code\":\"schema\"}", 1},
    {"POST", "/agent/v1/x", 503, "{\"code\":\"draining\"}", 0},
};

/* What is in the spool goes out, but for one that the control plane does not take today. */
static enum clm_code drain(void *arg, struct clm_err *err)
{
    struct world *w = arg;
    CLM_CLEANUP(clm_api_free_p) struct clm_api *api = NULL;

    w->plane = (struct plane){.rows = taking, .n = CLM_ARRAY_LEN(taking)};
    enum clm_code code = open_api(w, &api, err);
    return code == CLM_OK ? clm_sender_drain(&w->home.config, api, NULL, err) : code;
}

#define OFFERS                                                                                     \
    "{\"cursor\":9,\"next_poll_s\":3,\"wait_max_s\":40,\"reconnect_spread_s\":120,"                \
    "\"notices\":{\"renew_identity\":true,\"inventory\":\"send\",\"update_available\":\"9.9\"},"   \
    "\"offers\":[{\"job_id\":\"" A_JOB                                                             \
    "\",\"type\":\"deploy\",\"target\":\"nginx:a\",\"target_seq\":1,\"priority\":50,"              \
    "\"attempt\":1,\"jws\":{\"payload\":\"e30\"}}]}"

static enum clm_code age(const struct clm_config *config, struct clm_err *err)
{
    struct clm_record record = {.root = NULL};
    int lock_fd = -1;

    enum clm_code code = clm_record_lock(config, A_JOB, &lock_fd, err);
    if (code == CLM_OK) {
        code = clm_record_load(config, A_JOB, &record, err);
    }
    if (code == CLM_OK) {
        clm_json_set_str(record.root, "state", "running");
        code = clm_record_save(config, &record, err);
    }
    if (code == CLM_OK) {
        code = clm_record_archive(config, &record, err);
    }
    clm_record_done(&record);
    clm_fs_close_p(&lock_fd);
    return code;
}

/* A poll that brings a job, and the job's record from there to the archive. */
static enum clm_code poll_job(void *arg, struct clm_err *err)
{
    struct world *w = arg;
    const struct clm_config *config = &w->home.config;
    const struct clm_poll_facts facts = {.boot_id = BOOT, .slots_free = 1};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *answer = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;
    CLM_CLEANUP(clm_strs_done) struct clm_strs ids = {0};
    struct clm_record record = {.root = NULL};
    struct clm_poll_state state;
    struct clm_poll_orders orders = {.n_new = 0};
    size_t leases = 0;

    enum clm_code code = clm_json_parse(OFFERS, strlen(OFFERS), CLM_JSON_TEXT_MAX, &answer, err);
    clm_poll_load(config, &state);
    if (code == CLM_OK) {
        code = clm_poll_apply(config, &state, answer, true, &orders, err);
    }
    body = clm_poll_body(config, &state, &facts, &leases);
    if (code == CLM_OK) {
        code = clm_poll_save(config, &state, err);
    }
    if (code == CLM_OK && orders.n_new == 0) {
        return CLM_OK; /* one offer that could not be kept: logged, and offered again */
    }
    if (code == CLM_OK) {
        code = age(config, err);
    }
    if (code == CLM_OK) {
        code = clm_record_list(config, true, &ids, err);
    }
    if (code == CLM_OK) {
        code = clm_record_load_finished(config, A_JOB, &record, err);
    }
    clm_record_done(&record);
    return code;
}

static enum clm_code ask(struct clm_agent *agent, const char *method, const char *job_id,
                         struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *params = clm_json_new_object();
    CLM_CLEANUP(clm_json_free_p) struct clm_json *reply = clm_json_new_object();

    clm_json_set_str(params, "job_id", job_id);
    return clm_status_answer(agent, method, params, reply, err);
}

/* An agent with an identity, a job and an inventory, and all that can be asked about it. */
static enum clm_code open_agent(void *arg, struct clm_err *err)
{
    static const char *const methods[] = {"status", "jobs", "job", "scan", "poll"};
    struct world *w = arg;

    enum clm_code code = clm_agent_open(&w->agent, &w->home.config, err);
    for (size_t i = 0; i < CLM_ARRAY_LEN(methods) && code == CLM_OK; i++) {
        code = ask(&w->agent, methods[i], A_JOB, err);
    }
    clm_agent_close(&w->agent);
    return code;
}

static enum clm_code answer(void *arg, const char *method, const struct clm_json *params,
                            struct clm_json *reply, struct clm_err *err)
{
    (void)arg;
    (void)params;
    if (strcmp(method, "status") != 0) {
        return clm_err_set(err, CLM_E_INVAL, "no method '%s'", method);
    }
    clm_json_set_str(reply, "state", "good");
    return CLM_OK;
}

/* One client, which sends its request and reads what comes; what it does itself never fails. */
static enum clm_code talk(struct clm_local_api *api, const char *path, const char *request)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    struct pollfd fds[CLM_LOCAL_CLIENTS_MAX + 1];
    char text[512];
    bool was_on = clm_sabotage_pause();
    CLM_CLEANUP(clm_fs_close_p) int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const struct clm_frame_head head = {
        .kind = CLM_FRAME_REQUEST, .op = CLM_OP_STATUS, .body_len = (uint32_t)strlen(request)};

    (void)snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/status.sock", path);
    assert_int_equal(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(clm_frame_send(fd, &head, (const uint8_t *)request, 100, NULL), CLM_OK);
    clm_sabotage_resume(was_on);
    for (int64_t turn = 0; turn < 6; turn++) {
        int64_t wait_ms = 10;
        size_t n = clm_local_api_poll(api, fds, turn, &wait_ms);

        was_on = clm_sabotage_pause();
        assert_true(poll(fds, (nfds_t)n, (int)wait_ms) >= 0);
        clm_sabotage_resume(was_on);
        clm_local_api_work(api, fds, n, turn);
    }
    was_on = clm_sabotage_pause();
    bool has_answer = recv(fd, text, sizeof(text), MSG_DONTWAIT) != 0;
    clm_sabotage_resume(was_on);
    return has_answer ? CLM_OK : CLM_E_NET;
}

static enum clm_code serve(void *arg, struct clm_err *err)
{
    static const char *const requests[] = {"{\"method\":\"status\"}", "{\"method\":\"delete\"}",
                                           "nothing"};
    struct world *w = arg;
    CLM_CLEANUP(clm_local_api_close_p) struct clm_local_api *api = NULL;

    enum clm_code code =
        clm_local_api_open(w->home.dir, getegid() == 0 ? "nogroup" : "", answer, w, &api, err);
    for (size_t i = 0; i < CLM_ARRAY_LEN(requests) && code == CLM_OK; i++) {
        (void)talk(api, w->home.dir, requests[i]); /* a client may be let go of */
    }
    return code;
}

/* ---- what there is before ---- */

/* The answer of a control plane to a request for the next identity. */
static void issue_answer(void *arg, const struct clm_http_request *request, struct clm_buf *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = NULL;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *obj = clm_json_new_object();
    CLM_CLEANUP(clm_buf_done) struct clm_buf der = CLM_BUF_INIT(CLM_CSR_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    const char *csr = NULL;

    (void)arg;
    assert_int_equal(clm_json_parse((const char *)request->body, request->body_len,
                                    CLM_JSON_TEXT_MAX, &body, NULL),
                     CLM_OK);
    csr = clm_json_text(clm_json_get(body, "csr"));
    assert_int_equal(clm_b64url_decode(csr, strlen(csr), &der, NULL), CLM_OK);
    issue_for(&der, A_AGENT, &pem);
    clm_json_set_str(obj, "agent_id", A_AGENT);
    clm_json_set_int(obj, "generation", 2);
    clm_json_set_str(obj, "certificate", clm_buf_str(&pem));
    clm_json_set_str(obj, "not_after", "2030-01-01T00:00:00Z");
    assert_int_equal(clm_json_print(obj, false, out, NULL), CLM_OK);
}

static void make_home(void *arg)
{
    struct world *w = arg;

    home_close(&w->home);
    home_open(&w->home);
}

static void make_enrolled(void *arg)
{
    static const char *const names[] = {"tls.key", "tls.pem", "agent.json", "ca.pem"};
    struct world *w = arg;
    bool is_first = w->enrolled[0].len == 0;
    char dir[PATH_MAX];
    char path[PATH_MAX];

    make_home(w);
    assert_int_equal(identity_dir(w, dir, NULL), CLM_OK);
    if (is_first) {
        become_agent(dir, 1);
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(names); i++) {
        struct clm_buf *file = &w->enrolled[i];

        assert_int_equal(clm_identity_path(dir, names[i], path, NULL), CLM_OK);
        if (is_first) {
            *file = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
            assert_int_equal(clm_fs_read(path, CLM_CHAIN_PEM_MAX, file, NULL), CLM_OK);
        } else {
            assert_int_equal(clm_fs_replace(path, file->data, file->len, 0600, NULL), CLM_OK);
        }
    }
}

/* The change to generation 2 was broken off between two of its files. */
static void make_half_changed(void *arg)
{
    struct world *w = arg;
    struct clm_identity_pending pending;
    struct clm_identity now = {0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf pem = CLM_BUF_INIT(CLM_CHAIN_PEM_MAX);
    char dir[PATH_MAX];

    make_enrolled(w);
    assert_int_equal(identity_dir(w, dir, NULL), CLM_OK);
    assert_int_equal(clm_identity_load(dir, &now, NULL), CLM_OK);
    now.generation = 2;
    assert_int_equal(clm_identity_begin(dir, "renew", "", &pending, NULL), CLM_OK);
    issue_for(&pending.csr_der, A_AGENT, &pem);
    clm_sabotage_on("rename", 3, EIO);
    enum clm_code code = clm_identity_commit(dir, &now, clm_buf_str(&pem), "THE CA", NULL);
    assert_true(clm_sabotage_off());
    assert_int_equal(code, CLM_E_IO);
    clm_identity_pending_done(&pending);
    clm_identity_done(&now);
}

static void make_spool(void *arg)
{
    struct world *w = arg;
    char dir[PATH_MAX];

    make_home(w);
    spool_path(&w->home, dir);
    assert_int_equal(clm_spool_init(dir, NULL), CLM_OK);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(put(dir, CLM_SPOOL_RESULT, i == 0 ? A_JOB : B_JOB, NULL), CLM_OK);
    }
}

static void make_busy(void *arg)
{
    static const char inventory[] = "{\"schema\":1,\"started_at\":\"2026-11-21T01:30:00Z\","
                                    "\"duration_ms\":3,\"services\":[],\"errors\":[]}";
    struct world *w = arg;
    CLM_CLEANUP(clm_json_free_p) struct clm_json *offer = clm_json_new_object();
    struct clm_record record;
    char path[PATH_MAX];

    make_enrolled(w);
    clm_json_set_str(offer, "job_id", A_JOB);
    clm_json_set_str(offer, "type", "scan");
    clm_json_set_str(offer, "target", "host");
    assert_int_equal(clm_record_from_offer(offer, &record, NULL), CLM_OK);
    assert_int_equal(clm_record_save(&w->home.config, &record, NULL), CLM_OK);
    clm_record_done(&record);
    assert_int_equal(clm_net_path(&w->home.config, path, NULL, "inventory.json"), CLM_OK);
    assert_int_equal(clm_fs_replace(path, inventory, strlen(inventory), 0600, NULL), CLM_OK);
    assert_int_equal(clm_net_path(&w->home.config, path, NULL, "host.json"), CLM_OK);
    assert_int_equal(clm_fs_replace(path, "{}", 2, 0600, NULL), CLM_OK);
}

/* ---- what there must be afterwards ---- */

/* There is a whole identity, and the next attempt succeeds. */
static void identity_is_whole(void *arg, enum clm_code code, const char *what)
{
    struct world *w = arg;
    struct clm_err err = {0};
    struct clm_identity identity;
    char dir[PATH_MAX];

    (void)code;
    assert_int_equal(identity_dir(w, dir, NULL), CLM_OK);
    if (clm_identity_load(dir, &identity, &err) != CLM_OK || !pair_fits(dir)) {
        fail_msg("%s: %s", what == NULL ? "undisturbed" : what, err.msg);
    }
    clm_identity_done(&identity);
}

/* Nothing but messages is in the spool: all of them can be taken out. */
static void spool_is_whole(void *arg, enum clm_code code, const char *what)
{
    struct world *w = arg;
    struct clm_spool_stats stats;
    char dir[PATH_MAX];

    (void)code;
    spool_path(&w->home, dir);
    for (int i = 0; i < 10; i++) {
        clm_spool_stats(dir, INT32_MAX, &stats);
        if (stats.n == 0) {
            return;
        }
        struct clm_spool_entry entry = {.class_no = 0};
        int64_t wait_s = -1;

        if (clm_spool_next(dir, INT32_MAX, NULL, &entry, &wait_s, NULL) != CLM_OK) {
            fail_msg("%s: the spool cannot be read", what == NULL ? "undisturbed" : what);
        }
        if (wait_s == 0) {
            assert_int_equal(clm_spool_finish(dir, &entry, CLM_SPOOL_DELIVERED, NULL), CLM_OK);
        }
        clm_spool_entry_done(&entry);
    }
    fail_msg("%s: what is in the spool does not end", what == NULL ? "undisturbed" : what);
}

/* ---- the tests ---- */

static const struct {
    const char *name;
    struct clm_sabotage plan;
} acts[] = {
    {"renew", {make_enrolled, renew, identity_is_whole, NULL, false}},
    {"finish", {make_half_changed, finish_change, identity_is_whole, NULL, false}},
    {"spool", {make_home, spool, spool_is_whole, NULL, false}},
    {"drain", {make_spool, drain, spool_is_whole, NULL, true}},
    {"poll", {make_home, poll_job, NULL, NULL, false}},
    {"agent", {make_busy, open_agent, NULL, NULL, false}},
    {"serve", {make_home, serve, NULL, NULL, false}},
};

static void whatever_call_fails_is_told_and_harms_nothing(void **state)
{
    for (size_t i = 0; i < CLM_ARRAY_LEN(acts); i++) {
        struct clm_sabotage plan = acts[i].plan;

        plan.arg = *state;
        print_message("%s: %zu calls failed\n", acts[i].name, clm_sabotage_run(&plan, NULL));
    }
}

/* The directory is the same, written with so many slashes that only part of what is in it has room. */
static void paths_that_do_not_fit_are_told(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(acts); i++) {
        for (size_t room = 4; room < 60; room += 4) {
            struct clm_config *config = &w->home.config;
            struct clm_err err = {0};

            acts[i].plan.before(w);
            size_t len = strlen(w->home.dir);
            size_t slashes = sizeof(config->state_dir) - 1 - room - len;

            memset(config->state_dir + len, '/', slashes);
            config->state_dir[len + slashes] = '\0';
            enum clm_code code = acts[i].plan.act(w, &err);
            config->state_dir[len] = '\0';
            if (code != CLM_OK && err.msg[0] == '\0') {
                fail_msg("%s, room for %zu: %s without a word", acts[i].name, room,
                         clm_code_name(code));
            }
            if (acts[i].plan.after != NULL) {
                acts[i].plan.after(w, code, "no room");
            }
        }
    }
}

static void message_that_another_process_sent_meanwhile_is_passed_over(void **state)
{
    struct world *w = *state;
    struct clm_spool_entry next = {.class_no = 0};
    int64_t wait_s = -1;
    char dir[PATH_MAX];

    make_spool(w); /* the first is of job A */
    spool_path(&w->home, dir);
    clm_sabotage_on("open64", 2, ENOENT); /* the directory, then the first message */
    enum clm_code code = clm_spool_next(dir, NOW_S, NULL, &next, &wait_s, NULL);
    assert_true(clm_sabotage_off());
    assert_int_equal(code, CLM_OK);
    assert_string_equal(next.job_id, B_JOB);
    clm_spool_entry_done(&next);
}

static int setup(void **state)
{
    static struct world w;

    home_open(&w.home);
    *state = &w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    for (size_t i = 0; i < CLM_ARRAY_LEN(w->enrolled); i++) {
        clm_buf_done(&w->enrolled[i]);
    }
    home_close(&w->home);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(paths_that_do_not_fit_are_told),
        WITH(message_that_another_process_sent_meanwhile_is_passed_over),
        WITH(whatever_call_fails_is_told_and_harms_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
