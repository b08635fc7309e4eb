/* SPDX-License-Identifier: Apache-2.0 */
/* Several servers of one host answer for the name: whose directory gets the validation file? */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/support/host_tree.h"
#include "tests/unit/host/host_world.h"

#define NAME  "www.example.com"
#define TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"
#define ORDER                                                                                      \
    "{\"certificate_id\":\"crt_01J9ZK3W5V7M2Q8R4T6Y0X1B3C\",\"subject\":{\"CN\":"                  \
    "\"www.example.com\"},\"sans\":{\"dns\":[\"www.example.com\"]},\"key\":{\"type\":"             \
    "\"ec-p256\"},\"dcv\":{\"method\":\"http-01\"}}"

#define REDIRECTS "return 301 https://www.example.com$request_uri;"
#define SERVERS   3

/* One nginx: which port it answers on in clear (0: it is not there), whether it has the target, what
 * it does. */
struct server {
    unsigned port;
    bool has_target;
    const char *extra; /* "" or directives of the plain server, with @ for the temporary directory;
                          NULL: there is no such server */
    const char *root;  /* directory below the temporary one */
};

struct scene {
    struct host_world *world;
    char dir[64];
};

static struct scene *scene_new(void)
{
    struct scene *scene = calloc(1, sizeof(*scene));

    (void)snprintf(scene->dir, sizeof(scene->dir), "/tmp/clm-webroot.XXXXXX");
    assert_non_null(mkdtemp(scene->dir));
    scene->world = host_world_new();
    return scene;
}

static void scene_free(struct scene *scene)
{
    root_io_remove(scene->dir);
    host_world_free(scene->world);
    free(scene);
}

/* text with @ replaced. */
static void directives(const struct scene *scene, const char *text, char dst[512])
{
    size_t at = strcspn(text, "@");

    (void)snprintf(dst, 512, "%.*s%s%s", (int)at, text, text[at] == '@' ? scene->dir : "",
                   text + at + (text[at] == '@'));
}

/* "long/directory", each of them; "" and NULL: none. */
static void make_dirs(const struct scene *scene, const char *name)
{
    for (size_t len = 0; name != NULL && name[len] != '\0';) {
        char path[256];

        len += 1 + strcspn(name + len + 1, "/");
        (void)snprintf(path, sizeof(path), "%s/%.*s", scene->dir, (int)len, name);
        (void)mkdir(path, 0755);
    }
}

static void run_server(struct scene *scene, int i, const struct server *server)
{
    const char *tree = scene->world->tree;
    const struct host_socket sockets[] = {
        {"0100007F", server->port, 100 + (unsigned)i * 2, 0},
        {"0100007F", 443 + (unsigned)i, 101 + (unsigned)i * 2, 0},
    };
    char conf[64];
    char title[128];
    char text[2048];
    char root[128];
    char extra[512];
    int len = snprintf(text, sizeof(text), "http {\n");

    (void)snprintf(conf, sizeof(conf), "/etc/nginx-%d/nginx.conf", i);
    (void)snprintf(title, sizeof(title), "nginx: master process nginx -c %s", conf);
    (void)snprintf(root, sizeof(root), "%s/%s", scene->dir, server->root);
    if (server->extra != NULL) {
        directives(scene, server->extra, extra);
        len += snprintf(text + len, sizeof(text) - (size_t)len,
                        "server { listen 127.0.0.1:%u; server_name " NAME "; root %s; %s }\n",
                        server->port, root, extra);
    }
    (void)snprintf(text + len, sizeof(text) - (size_t)len,
                   "server { listen 127.0.0.1:%d ssl; server_name %s;\n"
                   "ssl_certificate /t/%d.pem; ssl_certificate_key /t/%d.key; } }\n",
                   443 + i, server->has_target ? NAME : "other.example.com", i, i);
    root_io_text(tree, conf, text);
    root_io_text(tree, "/usr/sbin/nginx", "");
    host_tree_process(tree,
                      &(struct host_process){.pid = 800 + i,
                                             .parent = 1,
                                             .start = 500 + (unsigned)i,
                                             .comm = "nginx",
                                             .exe = "/usr/sbin/nginx",
                                             .cmdline = title,
                                             .sockets = {sockets[0].inode, sockets[1].inode}});
    host_tree_sockets(tree, 800 + i, sockets, 2);
}

/* Puts a file; dst is the name of the directory below the temporary one, or "" if it was refused. */
static void put(struct scene *scene, int64_t seq, char dst[32])
{
    struct clm_json *body = clm_json_new_object();
    struct clm_json *reply = NULL;
    char job_id[CLM_ID_SIZE];

    dst[0] = '\0';
    host_world_accept(scene->world, "order", "nginx:" NAME, seq, ORDER, job_id);
    clm_json_set_str(body, "job_id", job_id);
    clm_json_set_str(body, "order_id", "ord_01J9ZK3W5V7M2Q8R4T6Y0X1B3C");
    clm_json_set_str(body, "domain", NAME);
    clm_json_set_str(body, "path", "/.well-known/acme-challenge/" TOKEN);
    clm_json_set_str(body, "content", TOKEN ".x");
    if (host_world_ask(scene->world, CLM_OP_DCV_PUT, body, &reply) == CLM_OK) {
        const char *file = clm_json_text(clm_json_get(reply, "file"));

        assert_true(clm_str_starts(file, scene->dir));
        assert_int_equal(access(file, R_OK), 0);
        file += strlen(scene->dir) + 1;
        (void)snprintf(dst, 32, "%.*s", (int)strcspn(file, "/"), file);
    }
    clm_json_free(reply);
}

static void the_server_with_the_target_comes_first(void **state)
{
    static const struct {
        struct server servers[SERVERS];
        const char *want; /* "": refused */
        const char *says;
    } rows[] = {
        /* the one with the target, whatever the order in which they were started */
        {{{8080, true, "", "a"}, {8081, false, "", "b"}}, "a", ""},
        {{{8080, false, "", "a"}, {8081, true, "", "b"}}, "b", ""},
        /* also if the other one has port 80: where the certificate goes, the operator has said */
        {{{80, false, "", "a"}, {8081, true, "", "b"}}, "b", ""},
        /* it answers in clear nowhere, or only with a redirect: then the one that does */
        {{{80, false, "", "a"}, {8081, true, NULL, "b"}}, "a", ""},
        {{{8080, true, REDIRECTS, "a"}, {8081, false, "", "b"}}, "b", ""},
        /* nobody has the target: port 80, and between two others none can be chosen */
        {{{8080, false, "", "a"}, {80, false, "", "b"}}, "b", ""},
        {{{8080, false, "", "a"}, {8081, false, "", "b"}},
         "",
         "several running servers answer for 'www.example.com' over plain HTTP, "
         "'nginx@/etc/nginx-0/nginx.conf' and 'nginx@/etc/nginx-1/nginx.conf'"},
        /* unless it is the same directory */
        {{{8080, false, "", "a"}, {8081, false, "", "a"}}, "a", ""},
        {{{8080, true, REDIRECTS, "a"}, {8081, false, REDIRECTS, "b"}}, "", "web root of"},
        /* three of them: the first two are named */
        {{{8080, false, "", "a"}, {8081, false, "", "b"}, {8082, false, "", "c"}},
         "",
         "'nginx@/etc/nginx-0/nginx.conf' and 'nginx@/etc/nginx-1/nginx.conf'"},
        /* the challenges have a directory of their own: by its root, by an alias, with a short one */
        {{{80, true, "location ^~ /.well-known/acme-challenge/ { root @/b/; }", "a"},
          {0, false, NULL, "b"}},
         "b",
         ""},
        {{{80, true, "location ^~ /.well-known/acme-challenge/ { alias @/long/directory/for/it/; }",
           "a"},
          {0, false, NULL, "long/directory/for/it"}},
         "long",
         ""},
        {{{80, true, "location ^~ /.well-known/acme-challenge/ { alias @/b/; }", "a"},
          {8081, false, "", "b"}},
         "b",
         ""},
    };

    (void)state;
    for (size_t i = 0; i < CLM_ARRAY_LEN(rows); i++) {
        struct scene *scene = scene_new();
        char got[32];

        for (int k = 0; k < SERVERS; k++) {
            make_dirs(scene, rows[i].servers[k].root);
            if (rows[i].servers[k].port != 0) {
                run_server(scene, k, &rows[i].servers[k]);
            }
        }
        put(scene, (int64_t)i + 1, got);
        if (strcmp(got, rows[i].want) != 0 ||
            (got[0] == '\0' && strstr(scene->world->err.msg, rows[i].says) == NULL)) {
            fail_msg("case %zu: '%s': %s", i, got, scene->world->err.msg);
        }
        if (got[0] == '\0') {
            assert_non_null(strstr(scene->world->fail.hint, "declare a web root"));
        }
        scene_free(scene);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_server_with_the_target_comes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
