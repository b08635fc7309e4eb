/* SPDX-License-Identifier: Apache-2.0 */
/* The host half at its socket: requests, events and handshakes of a client that behaves, or not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/host/serve.h"
#include "agent/ipc/link.h"
#include "tests/unit/host/deploy_world.h"

/* The real host half asks its client for handshakes. */
static enum clm_code ask_client(void *ctx, const struct clm_endpoint *endpoint,
                                struct clm_observation *out, struct clm_err *err)
{
    struct deploy_world *w = ctx;

    return w->host->route.probe(w->host->route.arg, endpoint, out, err);
}

struct heard {
    size_t events;
    size_t probes;
};

static void on_event(void *arg, const struct clm_json *event)
{
    struct heard *heard = arg;

    (void)event;
    heard->events++;
}

static void on_probe(void *arg, const struct clm_endpoint *endpoint, struct clm_observation *out)
{
    struct heard *heard = arg;

    (void)endpoint;
    heard->probes++;
    *out = (struct clm_observation){.result = CLM_PROBE_REFUSED, .at_ms = 1};
}

/* What a client of the child process does; returns the number of its first disappointment. */
typedef int (*client_fn)(int fd);

static int polite(int fd)
{
    struct heard heard = {0, 0};
    const struct clm_link_handlers handlers = {on_event, on_probe, &heard};
    struct clm_link *link = NULL;
    struct clm_json *body = clm_json_new_object();
    struct clm_fail fail;

    if (clm_link_from_fd_take(fd, &link, NULL) != CLM_OK) {
        return 1;
    }
    clm_link_set_handlers(link, &handlers);
    if (clm_link_call(link, CLM_OP_STATUS, NULL, NULL, NULL, NULL) != CLM_OK) {
        return 2;
    }
    if (clm_link_call(link, CLM_OP_HISTORY, body, NULL, NULL, NULL) != CLM_OK) {
        return 3;
    }
    clm_json_set_int(body, "target", 7);
    if (clm_link_call(link, CLM_OP_HISTORY, body, NULL, &fail, NULL) != CLM_E_PARSE ||
        strcmp(fail.problem, "E_INTERNAL") != 0) {
        return 4;
    }
    if (clm_link_call(link, CLM_OP_LOCAL_VERIFY, NULL, NULL, NULL, NULL) != CLM_OK ||
        heard.probes != 1) {
        return 5;
    }
    if (clm_link_call(link, CLM_OP_CERTS, NULL, NULL, NULL, NULL) != CLM_OK || heard.events == 0) {
        return 6;
    }
    clm_json_free(body);
    clm_link_free(link);
    return 0;
}

static int rude(int fd)
{
    static const char text[] = "GET / HTTP/1.1\r\n\r\n";
    char byte;

    if (send(fd, text, sizeof(text) - 1, 0) != (ssize_t)sizeof(text) - 1) {
        return 1;
    }
    /* what nobody read of the text makes the end a reset */
    return recv(fd, &byte, 1, 0) == 0 || errno == ECONNRESET ? 0 : 2;
}

/* Serves one client to its end; returns what the client said. */
static int serve(struct deploy_world *w, client_fn client)
{
    struct clm_server *server = NULL;
    struct clm_err err = {0};
    int pair[2];
    int status = -1;
    pid_t pid;

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        (void)close(pair[0]);
        _exit(client(pair[1]));
    }
    (void)close(pair[1]);
    assert_int_equal(clm_server_from_fd_take(pair[0], &server, NULL), CLM_OK);
    if (clm_host_serve(w->host->host, server, &w->host->route, &err) != CLM_OK) {
        fail_msg("%s", err.msg);
    }
    assert_null(w->host->route.probe); /* nobody is left who makes handshakes */
    clm_server_free(server);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void requests_are_answered_until_the_client_leaves(void **state)
{
    struct deploy_world *w = *state;
    struct clm_config *config = &w->host->config;

    (void)snprintf(config->scan.files.mode, sizeof(config->scan.files.mode), "in_use");
    config->scan.files.files_max = 100;
    config->scan.files.time_max_s = 60;
    w->host->io.io.probe = ask_client;
    assert_int_equal(serve(w, polite), 0);
}

static void client_that_breaks_the_rules_is_let_go(void **state)
{
    assert_int_equal(serve(*state, rude), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define IN_WORLD(test)                                                                             \
    cmocka_unit_test_setup_teardown(test, deploy_world_setup, deploy_world_teardown)
        IN_WORLD(requests_are_answered_until_the_client_leaves),
        IN_WORLD(client_that_breaks_the_rules_is_let_go),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
