/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/run/world.h"

#include "agent/run/selfcheck.h"

struct peer {
    enum clm_code code;
    int status;
    const char *body;
    const char *location;
    char url[512];
    char connect_to[128];
};

static enum clm_code answer(void *ctx, const struct clm_http_request *request,
                            struct clm_http_response *out, struct clm_err *err)
{
    struct peer *p = ctx;

    (void)snprintf(p->url, sizeof(p->url), "%s", request->url);
    (void)snprintf(p->connect_to, sizeof(p->connect_to), "%s", request->connect_to);
    *out = (struct clm_http_response){.status = p->status};
    if (p->code != CLM_OK) {
        return clm_err_set(err, p->code, "connection refused");
    }
    (void)snprintf(out->location, sizeof(out->location), "%s",
                   p->location == NULL ? "" : p->location);
    out->body.max = request->response_max;
    return clm_buf_add_str(&out->body, p->body == NULL ? "" : p->body, err);
}

static const struct clm_selfcheck check = {
    .addr = "127.0.0.1",
    .port = 8080,
    .host = "www.a.example",
    .path = "/.well-known/acme-challenge/tok",
    .content = "tok.thumb",
    .file = "/var/www/.well-known/acme-challenge/tok",
};

static void asks_the_address_for_the_name(void **state)
{
    struct peer p = {.status = 200, .body = "tok.thumb"};
    struct clm_selfcheck six = check;
    struct clm_selfcheck_result out;

    (void)state;
    clm_selfcheck(answer, &p, &check, &out);
    assert_true(out.ok);
    assert_int_equal(out.status, 200);
    assert_string_equal(p.url, "http://www.a.example/.well-known/acme-challenge/tok");
    assert_string_equal(p.connect_to, "127.0.0.1:8080");
    assert_string_equal(out.via, "http://127.0.0.1:8080");
    six.addr = "::1";
    clm_selfcheck(answer, &p, &six, &out);
    assert_string_equal(p.connect_to, "[::1]:8080");
}

static void white_space_at_the_end_does_not_count(void **state)
{
    static const struct {
        const char *body;
        bool ok;
    } rows[] = {
        {"tok.thumb", true},   {"tok.thumb\n", true},  {"tok.thumb\r\n \t", true},
        {" tok.thumb", false}, {"tok.thumb2", false},  {"tok.thum", false},
        {"", false},           {"tok\n.thumb", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer p = {.status = 200, .body = rows[i].body};
        struct clm_selfcheck_result out;

        clm_selfcheck(answer, &p, &check, &out);
        if (out.ok != rows[i].ok) {
            fail_msg("row %zu", i);
        }
    }
}

static void each_failure_says_what_to_do(void **state)
{
    static const struct {
        struct peer peer;
        const char *message;
        const char *hint;
        bool may_retry;
    } rows[] = {
        {{.status = 404}, "answers 404", "/var/www/.well-known/acme-challenge/tok", false},
        {{.status = 403}, "refuses", "be able to read '/var/www", false},
        {{.status = 401}, "status 401", "allow everybody", false},
        {{.status = 200, .body = "<html>"}, "other content", "another server", false},
        {{.status = 301, .location = "https://www.a.example/"},
         "redirects",
         "redirect of 'www.a.example' to HTTPS",
         false},
        {{.status = 302, .location = "/login"}, "'/login'", "exempt /.well-known/", false},
        {{.status = 503}, "status 503", "error log", true},
        {{.status = 400}, "status 400", "error log", false},
        {{.code = CLM_E_NET}, "connection refused", "open port 80 in the firewall", true},
        {{.code = CLM_E_TIMEOUT}, "did not answer", "hangs", true},
        {{.code = CLM_E_LIMIT}, "a page of more than", "another application", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct peer p = rows[i].peer;
        struct clm_selfcheck_result out;

        clm_selfcheck(answer, &p, &check, &out);
        if (out.ok || strstr(out.message, rows[i].message) == NULL ||
            strstr(out.hint, rows[i].hint) == NULL || out.may_retry != rows[i].may_retry) {
            fail_msg("row %zu: %s | %s | %d", i, out.message, out.hint, out.may_retry);
        }
        assert_null(strchr(out.message, '\n'));
    }
}

static void overlong_path_is_refused(void **state)
{
    static char path[2000];
    struct peer p = {.status = 200, .body = "tok.thumb"};
    struct clm_selfcheck c = check;
    struct clm_selfcheck_result out;

    (void)state;
    memset(path, 'x', sizeof(path) - 1);
    c.path = path;
    clm_selfcheck(answer, &p, &c, &out);
    assert_false(out.ok);
    assert_string_equal(p.url, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(asks_the_address_for_the_name),
        cmocka_unit_test(white_space_at_the_end_does_not_count),
        cmocka_unit_test(each_failure_says_what_to_do),
        cmocka_unit_test(overlong_path_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
