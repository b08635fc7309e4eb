/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/crypto/hash.h"
#include "agent/model/policy.h"
#include "deployers/deployer.h"
#include "tests/support/root_io.h"

#define BASE   "/srv/t"
#define CONFIG BASE "/conf/server.xml"

/* What the pretended manager says. */
struct manager {
    int status; /* 0: nobody there */
    const char *body;
    enum clm_code code;
    unsigned asked;
};

struct fixture {
    struct manager manager;
    char root[PATH_MAX];
    struct root_io io;
    struct clm_policy policy;
    struct clm_unit unit;
    struct clm_service service;
    struct clm_target *target;
    struct clm_bundle bundle;
    struct clm_plan plan;
    struct clm_err err;
};

static const struct root_io_owner owners[] = {
    {"/proc/70", 998, 997, 0}, {"/etc/clmbot/tomcat", 0, 0, 0600}, {NULL, 0, 0, 0}};

/* root_io has no place for a manager: it lies beside it in the fixture. */
static struct manager *manager_now(void *ctx)
{
    void *fixture = (char *)ctx - offsetof(struct fixture, io);

    return &((struct fixture *)fixture)->manager;
}

static enum clm_code answer(void *ctx, const struct clm_http_request *request,
                            struct clm_http_response *out, struct clm_err *err)
{
    struct manager *manager = manager_now(ctx);

    manager->asked++;
    assert_string_equal(request->url, "http://127.0.0.1:8080/manager/text/serverinfo");
    assert_string_equal(request->method, "GET");
    assert_string_equal(request->headers[0],
                        "Authorization: Basic Y2xtYm90OnNlY3JldA=="); /* clmbot:secret */
    assert_null(request->headers[1]);
    if (manager->code != CLM_OK) {
        return clm_err_set(err, manager->code, "127.0.0.1 port 8080: no");
    }
    out->status = manager->status;
    out->body = CLM_BUF_INIT(request->response_max);
    return clm_buf_add_str(&out->body, manager->body, err);
}

static int set_up(void **state)
{
    static const char cmdline[] =
        "/usr/bin/java\0-Dcatalina.base=" BASE "\0org.apache.catalina.startup.Bootstrap\0start";
    struct fixture *f = calloc(1, sizeof(*f));
    struct clm_endpoint *endpoint;
    struct clm_listener *listener;

    root_io_temp(f->root);
    root_io_init(&f->io, f->root);
    f->io.owners = owners;
    assert_ptr_equal(f->io.io.ctx, &f->io);
    f->io.io.policy = &f->policy;
    f->io.io.http = answer;
    f->manager = (struct manager){.status = 200, .body = "OK - Server info\n"};
    root_io_write(f->root, "/proc/70/cmdline", cmdline, sizeof(cmdline));
    f->bundle = (struct clm_bundle)CLM_BUNDLE_INIT;
    f->unit = (struct clm_unit){.name = "tomcat.service", .state = CLM_UNIT_ACTIVE, .main_pid = 70};
    f->service = (struct clm_service){.kind = "tomcat",
                                      .version = "10.1.60",
                                      .running = true,
                                      .pid = 70,
                                      .start_ticks = 500,
                                      .exe = "/home/app/jdk/bin/java",
                                      .config_path = CONFIG};
    f->target = clm_service_add_target(&f->service);
    f->target->manageable = true;
    strcpy(f->target->id, "tomcat:8443");
    strcpy(f->target->store_type, "pem");
    strcpy(f->target->cert_path, "/t/a.pem");
    strcpy(f->target->key_path, "/t/a.key");
    strcpy(f->target->configured_at, CONFIG ":2");
    endpoint = clm_target_add_endpoint(f->target);
    strcpy(endpoint->addr, "127.0.0.1");
    endpoint->port = 8443;
    listener = clm_service_add_listener(&f->service);
    strcpy(listener->addr, "127.0.0.1");
    listener->port = 8080;
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    clm_plan_done(&f->plan);
    clm_service_done(&f->service);
    clm_bundle_done(&f->bundle);
    clm_policy_done(&f->policy);
    root_io_remove(f->root);
    free(f);
    return 0;
}

/* server.xml with this element in the TLS connector, on line 2; with a plain connector. */
static void configure(struct fixture *f, const char *host_config)
{
    char text[2048];

    (void)snprintf(text, sizeof(text),
                   "<Server><Service><Connector port='8443' SSLEnabled='true'>\n"
                   "  %s\n</Connector><Connector port='8080'/>"
                   "<Engine name='Catalina' defaultHost='localhost'><Host name='localhost'/>"
                   "</Engine></Service></Server>\n",
                   host_config);
    root_io_text(f->root, CONFIG, text);
}

static enum clm_code make(struct fixture *f)
{
    const struct clm_deployer_ops *ops = clm_deployer_find("tomcat");

    assert_non_null(ops);
    clm_plan_done(&f->plan);
    f->plan = (struct clm_plan){.target = ""};
    f->err = (struct clm_err){.code = CLM_OK};
    return ops->plan(&f->io.io, &f->service, f->target, &f->bundle, &f->plan, &f->err);
}

static size_t describe_put(const struct clm_step *s, char *dst, size_t size)
{
    int n = snprintf(dst, size, "put %s %s %s", s->path, clm_file_format_name(s->format),
                     clm_content_name(s->content));

    if (clm_format_is_keystore(s->format)) {
        n += snprintf(dst + n, size - (size_t)n, " '%s' %s", s->alias, s->store_password);
    }
    if (s->key_password[0] != '\0') {
        n += snprintf(dst + n, size - (size_t)n, " key %s", s->key_password);
    }
    if (s->may_create) {
        n += snprintf(dst + n, size - (size_t)n, " %04o %u:%u", s->mode, s->uid, s->gid);
    }
    for (size_t i = 0; i < s->n_edits; i++) {
        n += snprintf(dst + n, size - (size_t)n, " %llu+%llu[%s]",
                      (unsigned long long)s->edits[i].offset, (unsigned long long)s->edits[i].len,
                      s->edits[i].text);
    }
    return (size_t)n;
}

static void assert_plan(struct fixture *f, const char *want)
{
    char text[8192] = "";

    if (make(f) != CLM_OK) {
        fail_msg("%s", f->err.msg);
    }
    for (size_t i = 0; i < f->plan.n_steps; i++) {
        const struct clm_step *s = &f->plan.steps[i];
        size_t len = strlen(text);

        if (clm_step_check(s, &f->err) != CLM_OK) {
            fail_msg("step %zu: %s", i, f->err.msg);
        }
        if (s->kind == CLM_STEP_FILE_PUT) {
            (void)describe_put(s, text + len, sizeof(text) - len);
        } else if (s->kind == CLM_STEP_RELOAD) {
            (void)snprintf(text + len, sizeof(text) - len, "reload %s %s%s%s",
                           clm_reload_name(s->how), s->unit, s->url, s->password);
        } else if (s->kind == CLM_STEP_VERIFY) {
            (void)snprintf(text + len, sizeof(text) - len, "verify %zu in %u", s->n_endpoints,
                           s->deadline_ms);
        } else {
            strcat(text, "?");
        }
        strcat(text, "\n");
    }
    assert_string_equal(text, want);
    assert_string_equal(f->plan.target, "tomcat:8443");
    assert_string_equal(f->plan.deployer, "tomcat");
}

static void deploy_manager(struct fixture *f)
{
    root_io_text(f->root, BASE "/conf/Catalina/localhost/manager.xml", "<Context/>");
    root_io_text(f->root, "/etc/clmbot/tomcat", "secret\n");
    strcpy(f->policy.tomcat_manager.user, "clmbot");
    strcpy(f->policy.tomcat_manager.password_file, "/etc/clmbot/tomcat");
}

static void allow_restart(struct fixture *f)
{
    strcpy(f->service.unit, "tomcat.service");
    f->io.units = &f->unit;
    f->io.n_units = 1;
    f->io.has_systemd = true;
    assert_int_equal(clm_strs_add(&f->policy.restart, "tomcat*", NULL), CLM_OK);
}

#define PEM                                                                                        \
    "<SSLHostConfig hostName='a.b'><Certificate certificateFile='/t/a.pem'/></SSLHostConfig>"
#define PUT_PAIR  "put /t/a.key pem key\nput /t/a.pem pem fullchain\n"
#define RELOAD_OF "reload manager http://127.0.0.1:8080/manager/text/sslReload?tlsHostName="
#define PASSWORD  "file:/etc/clmbot/tomcat\n"

static void nobody_may_restart_it_so_it_waits(void **state)
{
    struct fixture *f = *state;

    configure(f, PEM);
    assert_plan(f, PUT_PAIR "reload none \nverify 1 in 30000\n");
}

static void the_manager_reads_files_again(void **state)
{
    struct fixture *f = *state;

    configure(f, PEM);
    deploy_manager(f);
    allow_restart(f);
    assert_plan(f, PUT_PAIR RELOAD_OF "a.b" PASSWORD "verify 1 in 30000\n");
}

static void the_manager_needs_credentials_and_a_version_that_can(void **state)
{
    struct fixture *f = *state;

    configure(f, PEM);
    deploy_manager(f);
    strcpy(f->service.version, "7.0.109");
    assert_plan(f, PUT_PAIR "reload none \nverify 1 in 30000\n");
    strcpy(f->service.version, "8.5.3");
    assert_plan(f, PUT_PAIR RELOAD_OF "a.b" PASSWORD "verify 1 in 30000\n");
    f->policy.tomcat_manager.user[0] = '\0';
    assert_plan(f, PUT_PAIR "reload none \nverify 1 in 30000\n");
    f->io.io.policy = NULL;
    assert_plan(f, PUT_PAIR "reload none \nverify 1 in 30000\n");
}

static void a_manager_that_is_not_there_is_not_used(void **state)
{
    struct fixture *f = *state;

    configure(f, PEM);
    deploy_manager(f);
    f->manager.status = 404;
    assert_plan(f, PUT_PAIR "reload none \nverify 1 in 30000\n");
    f->manager = (struct manager){.status = 200, .body = "<html>FAIL - no"};
    assert_plan(f, PUT_PAIR "reload none \nverify 1 in 30000\n");
    f->manager = (struct manager){.code = CLM_E_NET};
    assert_plan(f, PUT_PAIR "reload none \nverify 1 in 30000\n");
    assert_int_equal(f->manager.asked, 1);
    f->service.listeners[0].port = 8079; /* somebody else listens where the manager would */
    assert_plan(f, PUT_PAIR "reload none \nverify 1 in 30000\n");
    assert_int_equal(f->manager.asked, 1);
}

static void wrong_credentials_refuse_the_plan(void **state)
{
    struct fixture *f = *state;

    configure(f, PEM);
    deploy_manager(f);
    f->manager = (struct manager){.status = 401, .body = ""};
    assert_int_equal(make(f), CLM_E_CONFIG);
    assert_non_null(strstr(f->err.msg, "policy.tomcat_manager"));
    assert_null(strstr(f->err.msg, "secret"));
    f->manager.status = 403;
    assert_int_equal(make(f), CLM_E_CONFIG);
    f->manager = (struct manager){.code = CLM_E_TIMEOUT};
    assert_int_equal(make(f), CLM_E_TIMEOUT);
    strcpy(f->policy.tomcat_manager.password_file, "/etc/clmbot/none");
    assert_int_equal(make(f), CLM_E_NOTFOUND);
}

static void a_restart_takes_longer_and_needs_leave(void **state)
{
    struct fixture *f = *state;

    configure(f, PEM);
    allow_restart(f);
    assert_plan(f, PUT_PAIR "reload restart tomcat.service\nverify 1 in 120000\n");
    f->unit.main_pid = 71; /* somebody else's main process */
    assert_plan(f, PUT_PAIR "reload none \nverify 1 in 30000\n");
    f->unit.main_pid = 70;
    clm_strs_done(&f->policy.restart);
    assert_plan(f, PUT_PAIR "reload none \nverify 1 in 30000\n");
}

static void one_entry_of_a_keystore_is_put(void **state)
{
    static const char *const types[] = {"pkcs12", "jks", "jceks"};
    struct fixture *f = *state;

    configure(f, "<SSLHostConfig><Certificate certificateKeystoreFile='/t/s'/></SSLHostConfig>");
    strcpy(f->target->cert_path, "/t/s");
    f->target->key_path[0] = '\0';
    strcpy(f->target->alias, "Www");
    strcpy(f->target->store_password, "known:changeit");
    strcpy(f->target->key_password, "conf:x");
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        char want[256];

        strcpy(f->target->store_type, types[i]);
        (void)snprintf(want, sizeof(want),
                       "put /t/s %s key_fullchain 'Www' known:changeit key conf:x\nreload none \n"
                       "verify 1 in 30000\n",
                       types[i]);
        assert_plan(f, want);
        assert_false(f->plan.steps[0].may_create);
    }
    strcpy(f->target->store_type, "bks");
    assert_int_equal(make(f), CLM_E_UNSUPPORTED);
}

#define NEW_FILES                                                                                  \
    "put /t/a.key pem key 0640 0:997\n"                                                            \
    "put /t/a.pem pem fullchain 0644 0:997\n"

static void the_first_certificate_is_named_in_server_xml(void **state)
{
    struct fixture *f = *state;
    char sha256[CLM_SHA256_HEX_SIZE];
    struct clm_buf text = CLM_BUF_INIT(65536);

    configure(f, "<SSLHostConfig />");
    deploy_manager(f); /* it does not read server.xml again */
    assert_plan(f, NEW_FILES "put " CONFIG
                             " pem edit 75+3[>\n      <Certificate certificateFile=\"/t/a.pem\" "
                             "certificateKeyFile=\"/t/a.key\"/>\n  </SSLHostConfig>]\n"
                             "reload none \nverify 1 in 30000\n");
    assert_int_equal(f->io.io.read_file(f->io.io.ctx, CONFIG, 65535, &text, NULL), CLM_OK);
    clm_sha256_hex(text.data, text.len, sha256);
    assert_string_equal(f->plan.steps[2].expect_sha256, sha256);
    clm_buf_done(&text);
    configure(f, "<SSLHostConfig><Certificate type='EC'/></SSLHostConfig>");
    allow_restart(f);
    assert_plan(f, NEW_FILES "put " CONFIG " pem edit 98+0[ certificateFile=\"/t/a.pem\" "
                             "certificateKeyFile=\"/t/a.key\"]\n"
                             "reload restart tomcat.service\nverify 1 in 120000\n");
}

static void what_must_not_be_changed_is_refused(void **state)
{
    struct fixture *f = *state;

    configure(f, PEM);
    strcpy(f->target->configured_at, CONFIG ":7");
    assert_int_equal(make(f), CLM_E_CONFLICT);
    assert_non_null(strstr(f->err.msg, CONFIG ":7"));
    strcpy(f->target->configured_at, CONFIG ":2");
    root_io_text(f->root, CONFIG, "<Server>");
    assert_int_equal(make(f), CLM_E_PARSE);
    configure(f, PEM);
    f->target->n_endpoints = 0;
    assert_int_equal(make(f), CLM_E_CONFIG);
    f->target->n_endpoints = 1;
    f->target->manageable = false;
    assert_int_equal(make(f), CLM_E_CONFIG);
    f->target->manageable = true;
    f->service.pid = 71; /* no Tomcat */
    assert_int_equal(make(f), CLM_E_NOTFOUND);
    f->service.running = false;
    assert_int_equal(make(f), CLM_E_CONFLICT);
    f->service.foreign_namespace = true;
    assert_int_equal(make(f), CLM_E_UNSUPPORTED);
}

static void a_certificate_of_the_other_kind_is_refused(void **state)
{
    struct fixture *f = *state;

    configure(f, PEM);
    strcpy(f->target->key_kind, "rsa");
    strcpy(f->bundle.leaf.key_type, "ec-p256");
    assert_int_equal(make(f), CLM_E_CONFLICT);
    strcpy(f->bundle.leaf.key_type, "rsa-2048");
    assert_int_equal(make(f), CLM_OK);
}

static void the_password_behind_a_reference_is_found(void **state)
{
    const struct clm_deployer_ops *ops = clm_deployer_find("tomcat");
    struct fixture *f = *state;
    struct clm_buf out = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);

    configure(f, "<SSLHostConfig><Certificate certificateKeystoreFile='/t/s' "
                 "certificateKeystorePassword='s3'/></SSLHostConfig>");
    assert_int_equal(ops->secret(&f->io.io, CONFIG "|8443|_default_|UNDEFINED|store", &out, NULL),
                     CLM_OK);
    assert_string_equal(clm_buf_str(&out), "s3");
    clm_buf_done(&out);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(nobody_may_restart_it_so_it_waits),
        TEST(the_manager_reads_files_again),
        TEST(the_manager_needs_credentials_and_a_version_that_can),
        TEST(a_manager_that_is_not_there_is_not_used),
        TEST(wrong_credentials_refuse_the_plan),
        TEST(a_restart_takes_longer_and_needs_leave),
        TEST(one_entry_of_a_keystore_is_put),
        TEST(the_first_certificate_is_named_in_server_xml),
        TEST(what_must_not_be_changed_is_refused),
        TEST(a_certificate_of_the_other_kind_is_refused),
        TEST(the_password_behind_a_reference_is_found),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
