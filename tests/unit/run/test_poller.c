/* SPDX-License-Identifier: Apache-2.0 */
/* The poller from both sides: what its child answers, and what is made of answers that are none. */
#include "tests/unit/run/wire.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "agent/run/poller.h"
#include "tests/unit/ipc/peer.h"

#define BOOT "01J9ZK5D0B2M4N6P8Q0R2S4T6V"

static struct home home;

enum clm_code __wrap_clm_http_fetch_unverified(const char *url, const char *proxy,
                                               uint32_t timeout_ms, struct clm_http_response *out,
                                               struct clm_err *err);
enum clm_code __wrap_clm_http_fetch_unverified(const char *url, const char *proxy,
                                               uint32_t timeout_ms, struct clm_http_response *out,
                                               struct clm_err *err)
{
    (void)url;
    (void)proxy;
    (void)timeout_ms;
    (void)out;
    return clm_err_set(err, CLM_E_BUG, "a poller asks for no CA");
}

void __wrap_clm_clock_sleep_ms(int64_t ms);
void __wrap_clm_clock_sleep_ms(int64_t ms)
{
    (void)ms;
}

static int setup(void **state)
{
    char dir[PATH_MAX];

    (void)state;
    home_open(&home);
    assert_int_equal(clm_net_path(&home.config, dir, NULL, "identity"), CLM_OK);
    become_agent(dir, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    home_close(&home);
    return 0;
}

/* Lets the child go: it ends by itself when its socket does. */
static void let_go(struct clm_poller *poller)
{
    int status = -1;

    clm_fs_close_p(&poller->fd);
    assert_int_equal(waitpid(poller->pid, &status, 0), poller->pid);
    assert_int_equal(status, 0);
    *poller = (struct clm_poller){.fd = -1};
}

static void ask(struct clm_poller *poller, struct clm_poll_outcome *out)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();

    assert_int_equal(clm_poller_ask(poller, body, 0, NULL), CLM_OK);
    assert_true(poller->is_busy);
    assert_int_equal(clm_poller_take(poller, out, NULL), CLM_OK);
    assert_false(poller->is_busy);
}

/* ---- the child ---- */

static void answers_of_the_control_plane_come_whole(void **state)
{
    static char longest[200000];
    const struct plane_row rows[] = {
        {"POST", "/poll?wait=0", 200, "{\"cursor\":7}", 1},
        {"POST", "/poll?wait=0", 204, NULL, 1},
        {"POST", "/poll?wait=0", 403, "{\"code\":\"agent-disabled\",\"title\":\"by an operator\"}",
         1},
        {"POST", "/poll?wait=0", 0, NULL, 1},
        {"POST", "/poll?wait=0", 200, longest, 0},
    };
    struct clm_poller poller;
    struct clm_poll_outcome out;

    (void)state;
    (void)snprintf(longest, sizeof(longest), "{\"x\":\"%0*d\"}", 150000, 1);
    wire_set(rows, CLM_ARRAY_LEN(rows));
    assert_int_equal(clm_poller_start(&home.config, BOOT, &poller, NULL), CLM_OK);
    ask(&poller, &out);
    assert_int_equal(out.code, CLM_OK);
    assert_int_equal(out.status, 200);
    int64_t cursor = 0;
    assert_int_equal(clm_json_int(clm_json_get(out.body, "body"), "cursor", 0, 9, &cursor, NULL),
                     CLM_OK);
    assert_int_equal(cursor, 7);
    clm_poll_outcome_done(&out);
    ask(&poller, &out);
    assert_int_equal(out.status, 204);
    assert_null(clm_json_get(out.body, "body"));
    clm_poll_outcome_done(&out);
    ask(&poller, &out);
    assert_int_equal(out.code, CLM_E_REMOTE);
    assert_int_equal(out.status, 403);
    assert_string_equal(out.problem, "agent-disabled");
    clm_poll_outcome_done(&out);
    ask(&poller, &out);
    assert_int_equal(out.code, CLM_E_NET);
    assert_non_null(strstr(out.message, "connection refused"));
    clm_poll_outcome_done(&out);
    ask(&poller, &out); /* more than one frame holds */
    const char *x = clm_json_text(clm_json_get(clm_json_get(out.body, "body"), "x"));
    assert_int_equal(x == NULL ? 0 : strlen(x), 150000);
    clm_poll_outcome_done(&out);
    let_go(&poller);
}

static void host_without_an_identity_is_told_as_an_outcome(void **state)
{
    struct home empty;
    struct clm_poller poller;
    struct clm_poll_outcome out;

    (void)state;
    home_open(&empty);
    assert_int_equal(clm_poller_start(&empty.config, BOOT, &poller, NULL), CLM_OK);
    ask(&poller, &out);
    assert_int_equal(out.code, CLM_E_NOTFOUND);
    assert_int_equal(out.status, 0);
    clm_poll_outcome_done(&out);
    let_go(&poller);
    home_close(&empty);
}

static void child_refuses_a_bad_wait_and_ends_on_what_is_no_request(void **state)
{
    static const struct {
        enum clm_frame_kind kind;
        const char *text;
        bool goes_on;
    } rows[] = {
        {CLM_FRAME_REQUEST, "{\"wait_s\":-1,\"body\":{}}", true},
        {CLM_FRAME_REQUEST, "{\"wait_s\":301,\"body\":{}}", true},
        {CLM_FRAME_REQUEST, "{\"wait_s\":", false},
        {CLM_FRAME_EVENT, "{}", false},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_poller poller;
        struct clm_poll_outcome out;

        assert_int_equal(clm_poller_start(&home.config, BOOT, &poller, NULL), CLM_OK);
        put(poller.fd, rows[i].kind, rows[i].kind == CLM_FRAME_REQUEST ? CLM_OP_STATUS : 0,
            rows[i].text);
        enum clm_code code = clm_poller_take(&poller, &out, NULL);
        if ((code == CLM_OK) != rows[i].goes_on) {
            fail_msg("row %zu: %s", i, clm_code_name(code));
        }
        if (rows[i].goes_on) {
            assert_int_equal(out.code, CLM_E_LIMIT);
        }
        clm_poll_outcome_done(&out);
        let_go(&poller);
    }
}

static void stopped_child_is_gone_even_in_the_middle(void **state)
{
    struct clm_poller poller;

    (void)state;
    assert_int_equal(clm_poller_start(&home.config, BOOT, &poller, NULL), CLM_OK);
    pid_t pid = poller.pid;
    clm_poller_stop(&poller);
    assert_int_equal(poller.pid, 0);
    assert_int_equal(poller.fd, -1);
    assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
    clm_poller_stop(&poller); /* there is none: nothing happens */
}

/* ---- the main process ---- */

#define GOOD(code, more)                                                                           \
    "{\"code\":" code ",\"status\":200,\"retry_after_s\":1,\"next_poll_s\":2,\"date_s\":3,"        \
    "\"message\":\"m\",\"problem\":\"p\",\"has_next_poll\":true" more "}"

static enum clm_code take_from(const char *const *frames, size_t n, struct clm_poll_outcome *out,
                               struct clm_err *err)
{
    struct clm_poller poller = {.is_busy = true};
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    for (size_t i = 0; i < n; i++) { /* the first byte of each is the kind */
        put(pair[1], (unsigned)(frames[i][0] - '0'), 0, frames[i] + 1);
    }
    (void)close(pair[1]);
    poller.fd = pair[0];
    enum clm_code code = clm_poller_take(&poller, out, err);
    (void)close(pair[0]);
    return code;
}

static void answers_that_are_none_are_errors(void **state)
{
    /* 5 PART, 6 REPLY, 2 EVENT */
    static const struct {
        const char *frames[2];
        enum clm_code code;
        const char *message;
    } rows[] = {
        {{"6" GOOD("0", "")}, CLM_OK, ""},
        {{"5{\"code\":0,\"status\":200,\"retry_after_s\":1,",
          "6\"next_poll_s\":2,\"date_s\":3,\"message\":\"\",\"problem\":\"\","
          "\"has_next_poll\":true}"},
         CLM_OK,
         ""},
        {{NULL}, CLM_E_NET, "the poller ended"},
        {{"5{"}, CLM_E_NET, "the poller ended"},
        {{"2{}"}, CLM_E_NET, "the poller ended"},
        {{"9{}"}, CLM_E_PARSE, ""},
        {{"6{"}, CLM_E_PARSE, ""},
        {{"6{}"}, CLM_E_PARSE, "code"},
        {{"6{\"code\":0,\"status\":0,\"retry_after_s\":0,\"next_poll_s\":0,\"date_s\":0}"},
         CLM_E_PARSE,
         "message"},
        {{"6{\"code\":0,\"status\":0,\"retry_after_s\":0,\"next_poll_s\":0,\"date_s\":0,"
          "\"message\":\"\"}"},
         CLM_E_PARSE,
         "problem"},
        {{"6{\"code\":0,\"status\":0,\"retry_after_s\":0,\"next_poll_s\":0,\"date_s\":0,"
          "\"message\":\"\",\"problem\":\"\"}"},
         CLM_E_PARSE,
         "has_next_poll"},
        {{"6" GOOD("99", "")}, CLM_E_PARSE, "answer of the poller"},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct clm_poll_outcome out;
        struct clm_err err = {0};
        size_t n = rows[i].frames[0] == NULL ? 0 : rows[i].frames[1] == NULL ? 1 : 2;
        enum clm_code code = take_from(rows[i].frames, n, &out, &err);

        if (code != rows[i].code || strstr(err.msg, rows[i].message) == NULL) {
            fail_msg("row %zu: %s '%s'", i, clm_code_name(code), err.msg);
        }
        clm_poll_outcome_done(&out);
    }
}

static void numbers_beyond_the_field_are_cut(void **state)
{
    static const char *const frames[] = {
        "6{\"code\":4,\"status\":503,\"retry_after_s\":9007199254740991,"
        "\"next_poll_s\":9007199254740991,\"date_s\":5,\"message\":\"busy\",\"problem\":\"x\","
        "\"has_next_poll\":false,\"body\":{\"a\":1}}"};
    struct clm_poll_outcome out;

    (void)state;
    assert_int_equal(take_from(frames, 1, &out, NULL), CLM_OK);
    assert_int_equal(out.retry_after_s, UINT32_MAX);
    assert_int_equal(out.next_poll_s, UINT32_MAX);
    assert_string_equal(out.message, "busy");
    assert_non_null(clm_json_get(clm_json_get(out.body, "body"), "a"));
    clm_poll_outcome_done(&out);
}

/* ---- while calls of libc fail ---- */

static enum clm_code poll_once(void *arg, struct clm_err *err)
{
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    struct clm_poll_outcome out = {.body = NULL};
    struct clm_poller poller;

    (void)arg;
    enum clm_code code = clm_poller_start(&home.config, BOOT, &poller, err);
    if (code == CLM_OK) {
        code = clm_poller_ask(&poller, body, 0, err);
    }
    if (code == CLM_OK) {
        code = clm_poller_take(&poller, &out, err);
    }
    clm_poll_outcome_done(&out);
    if (poller.fd >= 0) { /* it may end by itself, and leaves what it counted */
        clm_fs_close_p(&poller.fd);
        (void)usleep(2000);
    }
    clm_poller_stop(&poller);
    return code;
}

static void a_poller_in_need_is_told_and_leaves_nobody_behind(void **state)
{
    static const struct plane_row rows[] = {{"POST", "/poll?wait=0", 200, "{\"cursor\":7}", 0}};
    const struct clm_sabotage plan = {.act = poll_once,
                                      .fails_anyway = true}; /* calls of the child */

    (void)state;
    wire_set(rows, 1);
    assert_true(clm_sabotage_run(&plan, "malloc calloc realloc strdup socketpair fork dup2 waitpid "
                                        "send open64 read fstat64") > 10);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define WITH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        WITH(answers_of_the_control_plane_come_whole),
        WITH(host_without_an_identity_is_told_as_an_outcome),
        WITH(child_refuses_a_bad_wait_and_ends_on_what_is_no_request),
        WITH(stopped_child_is_gone_even_in_the_middle),
        WITH(answers_that_are_none_are_errors),
        WITH(numbers_beyond_the_field_are_cut),
        WITH(a_poller_in_need_is_told_and_leaves_nobody_behind),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
