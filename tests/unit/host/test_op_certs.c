/* SPDX-License-Identifier: Apache-2.0 */
/* The inventory of certificate files, as its pages come to whoever asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/ipc/frame.h"
#include "tests/unit/host/deploy_world.h"

#define FILES_MANY 70 /* more than a page holds */

/* What came, as events. */
struct told {
    size_t pages;
    size_t files;
    size_t progress;
    size_t bytes_max;      /* of one event */
    size_t refused_page;   /* this one cannot be sent; 0: none */
    struct clm_json *last; /* the last file told */
};

static enum clm_code on_event(void *arg, const struct clm_json *event, struct clm_err *err)
{
    struct told *told = arg;
    struct clm_buf text = CLM_BUF_INIT(CLM_JSON_TEXT_MAX);

    if (strcmp(clm_json_text(clm_json_get(event, "kind")), "progress") == 0) {
        told->progress++;
        return CLM_OK;
    }
    if (++told->pages == told->refused_page) {
        return clm_err_set(err, CLM_E_NET, "nobody listens");
    }
    assert_int_equal(clm_json_print(event, false, &text, NULL), CLM_OK);
    told->bytes_max = text.len > told->bytes_max ? text.len : told->bytes_max;
    clm_buf_done(&text);
    told->files += clm_json_len(clm_json_get(event, "files"));
    for (const struct clm_json *at = clm_json_first(clm_json_get(event, "files")); at != NULL;
         at = clm_json_next(at)) {
        clm_json_free(told->last);
        told->last = clm_json_new_object();
        clm_json_set_copy(told->last, "file", at);
    }
    return CLM_OK;
}

static int setup(void **state)
{
    struct deploy_world *w = deploy_world_new();
    struct clm_config *config = &w->host->config;

    (void)snprintf(config->scan.files.mode, sizeof(config->scan.files.mode), "all");
    config->scan.files.depth = 4;
    config->scan.files.files_max = 1000;
    config->scan.files.time_max_s = 60;
    config->deploy.expiring_days = 21;
    assert_int_equal(clm_strs_add(&config->scan.files.roots, w->dir, NULL), CLM_OK);
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

static enum clm_code search(struct deploy_world *w, struct told *told, struct clm_json **out_reply)
{
    const struct clm_host_session session = {.is_root_peer = true, .event = on_event, .arg = told};
    CLM_CLEANUP(clm_json_free_p) struct clm_json *body = clm_json_new_object();
    const struct clm_host_question question = {CLM_OP_CERTS, body};
    struct clm_json *reply = clm_json_new_object();
    enum clm_code code;

    w->host->err = (struct clm_err){.code = CLM_OK};
    code =
        clm_host_request(w->host->host, &session, &question, reply, &w->host->fail, &w->host->err);
    clm_json_free(told->last == NULL || out_reply != NULL ? NULL : told->last);
    told->last = out_reply != NULL ? told->last : NULL;
    if (out_reply != NULL && code == CLM_OK) {
        *out_reply = reply;
    } else {
        clm_json_free(reply);
    }
    return code;
}

static int64_t count(const struct clm_json *reply, const char *key)
{
    int64_t n = -1;

    assert_int_equal(
        clm_json_int(clm_json_get(reply, "counts"), key, 0, INT64_MAX / 4096, &n, NULL), CLM_OK);
    return n;
}

static void write_file(const struct deploy_world *w, const char *name, const struct clm_buf *pem,
                       size_t times)
{
    struct clm_buf text = CLM_BUF_INIT(1048576);
    char path[300];

    for (size_t i = 0; i < times; i++) {
        assert_int_equal(clm_buf_add(&text, pem->data, pem->len, NULL), CLM_OK);
    }
    (void)snprintf(path, sizeof(path), "/%s", name);
    root_io_write(w->dir, path, text.data, text.len);
    clm_buf_done(&text);
}

static void it_can_be_switched_off(void **state)
{
    struct deploy_world *w = *state;

    (void)strcpy(w->host->config.scan.files.mode, "off");
    deploy_world_refused(w, CLM_OP_CERTS, "{}", "E_STATE", "scan.files.mode is 'off'");
}

static void every_file_is_told_in_pages_with_progress(void **state)
{
    struct deploy_world *w = *state;
    struct told told = {.pages = 0};
    struct clm_json *reply = NULL;

    for (int i = 0; i < FILES_MANY; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "more/%d.pem", i);
        write_file(w, name, &w->old_leaf.full_pem, 1);
    }
    w->server.now_ms = 10000;
    assert_int_equal(search(w, &told, &reply), CLM_OK);
    assert_true(told.pages > 1);
    assert_int_equal(told.files, FILES_MANY + 2);
    assert_int_equal(told.progress, 1); /* the clock stands still */
    assert_int_equal(count(reply, "found"), FILES_MANY + 2);
    clm_json_free(reply);
    clm_json_free(told.last);
}

static void nobody_to_tell_ends_the_search(void **state)
{
    struct deploy_world *w = *state;
    struct told told = {.refused_page = 1};

    assert_int_equal(search(w, &told, NULL), CLM_E_NET); /* the last page */
    for (int i = 0; i < FILES_MANY; i++) {
        char name[32];

        (void)snprintf(name, sizeof(name), "more/%d.pem", i);
        write_file(w, name, &w->old_leaf.full_pem, 1);
    }
    told = (struct told){.refused_page = 1};
    assert_int_equal(search(w, &told, NULL), CLM_E_NET); /* one before it */
    assert_int_equal(told.files, 0);
}

static void only_what_is_in_use_if_that_is_asked_for(void **state)
{
    struct deploy_world *w = *state;
    struct told told = {.pages = 0};
    struct clm_json *reply = NULL;

    write_file(w, "unused.pem", &w->old_leaf.full_pem, 1);
    (void)strcpy(w->host->config.scan.files.mode, "in_use");
    assert_int_equal(search(w, &told, &reply), CLM_OK);
    assert_int_equal(told.files, 2);
    clm_json_free(reply);
    clm_json_free(told.last);
}

/* No event may be longer than a frame, whatever is in one file or points to it. */
static void what_would_not_fit_a_frame_is_cut_and_counted(void **state)
{
    struct deploy_world *w = *state;
    struct told told = {.pages = 0};
    struct clm_json *reply = NULL;
    char text[64 + 200 * 160] = "events {}\nhttp {\n";
    char full[PATH_MAX + 300];
    int64_t more = 0;

    assert_int_equal(unlink((snprintf(full, sizeof(full), "%s/www.key", w->dir), full)), 0);
    for (int i = 0; i < 150; i++) {
        char link[64 + PATH_MAX];
        size_t len = strlen(text);

        (void)snprintf(link, sizeof(link),
                       "%s/a-name-that-is-rather-long-and-has-a-quote-\"-and-a-number-%d", w->dir,
                       i);
        assert_int_equal(symlink("www.pem", link), 0);
        (void)snprintf(text + len, sizeof(text) - len,
                       "server { listen 443 ssl; server_name a-name-that-is-rather-long-too-%d"
                       ".example.com; ssl_certificate %.40s/www.pem; }\n",
                       i, w->dir);
    }
    (void)strcat(text, "}\n");
    root_io_text(w->host->tree, "/etc/nginx/nginx.conf", text);
    write_file(w, "www.pem", &w->old_leaf.full_pem, 100);
    assert_int_equal(search(w, &told, &reply), CLM_OK);
    assert_int_equal(told.files, 1);
    assert_true(told.bytes_max < CLM_FRAME_BODY_MAX);
    const struct clm_json *file = clm_json_get(told.last, "file");
    assert_int_equal(clm_json_int(file, "more", 1, 1000, &more, NULL), CLM_OK);
    assert_true(clm_json_len(clm_json_get(file, "links")) < 150);
    assert_true(clm_json_len(clm_json_get(file, "used_by")) < 150);
    clm_json_free(reply);
    clm_json_free(told.last);
}

/* Names that JSON must escape count six times. */
static void names_of_links_are_cut_by_what_they_take_in_json(void **state)
{
    static const char odd[] = "\"\\\x01\x7f\xc3\xa4";
    struct deploy_world *w = *state;
    struct told told = {.pages = 0};
    struct clm_json *reply = NULL;
    const struct clm_json *links;
    char key[PATH_MAX + 16];

    (void)snprintf(key, sizeof(key), "%s/www.key", w->dir);
    assert_int_equal(unlink(key), 0);
    for (int i = 0; i < 12; i++) {
        char link[64 + PATH_MAX];
        size_t len = (size_t)snprintf(link, sizeof(link), "%.100s/%d", w->dir, i);

        for (int k = 0; k < 40; k++) {
            len += (size_t)snprintf(link + len, sizeof(link) - len, "%s", odd);
        }
        assert_int_equal(symlink("www.pem", link), 0);
    }
    assert_int_equal(search(w, &told, &reply), CLM_OK);
    assert_true(told.bytes_max < CLM_FRAME_BODY_MAX);
    links = clm_json_get(clm_json_get(told.last, "file"), "links");
    assert_in_range(clm_json_len(links), 1, 11);
    clm_json_free(reply);
    clm_json_free(told.last);
}

static void nothing_found_is_told_without_a_page(void **state)
{
    struct deploy_world *w = *state;
    struct clm_strs *roots = &w->host->config.scan.files.roots;
    struct told told = {.pages = 0};
    struct clm_json *reply = NULL;
    char empty[PATH_MAX];

    root_io_temp(empty);
    clm_strs_done(roots);
    assert_int_equal(clm_strs_add(roots, empty, NULL), CLM_OK);
    root_io_text(w->host->tree, "/etc/nginx/nginx.conf", "events {}\nhttp { }\n");
    assert_int_equal(search(w, &told, &reply), CLM_OK);
    assert_int_equal(told.pages, 0);
    assert_int_equal(count(reply, "found"), 0);
    clm_json_free(reply);
    root_io_remove(empty);
}

/* Files that only lie in generation 0 are not ours. */
static void deployed_targets_are_managed_and_remarks_are_told(void **state)
{
    struct deploy_world *w = *state;
    struct deploy_order order;
    struct told told = {.pages = 0};
    struct clm_json *reply = NULL;
    char *spec;

    deploy_world_order(w, "notify", true, &order);
    spec = deploy_world_spec(&order, "");
    assert_int_equal(deploy_world_job(w, "deploy", CLM_OP_DEPLOY, spec, NULL), CLM_OK);
    free(spec);
    w->host->config.scan.files.depth = 1;
    root_io_text(w->dir, "/far/too/deep/x.pem", "");
    root_io_text(w->host->tree, "/etc/letsencrypt/renewal/www.conf", "[renewalparams]\n");
    assert_int_equal(search(w, &told, &reply), CLM_OK);
    assert_int_equal(told.files, 2);
    assert_int_equal(clm_json_len(clm_json_get(reply, "remarks")), 1);
    clm_json_free(reply);
    clm_json_free(told.last);
    clm_test_leaf_done(&order.leaf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
        IN_WORLD(it_can_be_switched_off),
        IN_WORLD(every_file_is_told_in_pages_with_progress),
        IN_WORLD(nobody_to_tell_ends_the_search),
        IN_WORLD(only_what_is_in_use_if_that_is_asked_for),
        IN_WORLD(what_would_not_fit_a_frame_is_cut_and_counted),
        IN_WORLD(names_of_links_are_cut_by_what_they_take_in_json),
        IN_WORLD(nothing_found_is_told_without_a_page),
        IN_WORLD(deployed_targets_are_managed_and_remarks_are_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
