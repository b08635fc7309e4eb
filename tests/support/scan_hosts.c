/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/scan_hosts.h"

#include <stdio.h>
#include <stdlib.h>

#include "tests/support/host_tree.h"
#include "tests/unit/model/json_text.h"

#define JAVA "|-cp|bootstrap.jar|org.apache.catalina.startup.Bootstrap|start"
#define DISK "20 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw\n"

static const struct root_io_program programs[] = {
    {"/usr/sbin/nginx -V", 0,
     "nginx version: nginx/1.22.1\nconfigure arguments: "
     "--prefix=/usr/share/nginx --conf-path=/etc/nginx/nginx.conf\n"},
    {"/usr/sbin/apache2 -v", 0, "Server version: Apache/2.4.57 (Debian)\n"},
    {"/usr/sbin/httpd -v", 0, "Server version: Apache/2.4.57 (Red Hat Enterprise Linux)\n"},
    {NULL, 0, NULL},
};

static const struct clm_unit units[] = {
    {.name = "server.service", .state = CLM_UNIT_ACTIVE, .main_pid = 800},
    {.name = "httpd.service", .state = CLM_UNIT_FAILED},
};

static const struct clm_listening listening[] = {
    {.addr = "0.0.0.0", .port = 443, .inode = 7, .cgroup = 1},
};

static const char tomcat_environ[] = "PATH=/bin\0TLS_STORE=/srv/tls/shop.p12\0"
                                     "TLS_PASS=from-the-environment";

#define BLOCK(name, cert, key)                                                                     \
    "server { listen 443 ssl; listen 80; server_name " name "; ssl_certificate " cert              \
    "; ssl_certificate_key " key "; root /srv; }\n"

/* A second instance, keys with passwords, files that are declared, and managers of certificates. */
static void make_mixed(struct scan_host *self)
{
    static const char hooks[] = "{'test':['/sbin/shop','-t'],'again':['/sbin/shop','-r']}";
    static const char files[] =
        "{'shop':{'outputs':[{'path':'/www.pem','content':'fullchain'},"
        "{'path':'/www.key','content':'key','owner':'root','mode':'0600'},"
        "{'path':'/chain.pem','content':'chain'}],'check':'test','reload':'hook','hook':'again',"
        "'verify':{'address':'127.0.0.1','port':'8443','sni':'shop.example.com'}},"
        "'store':{'outputs':[{'path':'/jdk17.p12','format':'pkcs12',"
        "'password_file':'/pw'}],'reload':'none'}}";
    const char *root = self->check.root;
    struct clm_err err = {0};

    host_tree_copy("tests/fixtures/keystore", root);
    root_io_text(root, "/pw", "changeit\n");
    root_io_text(root, "/words", "wrong\nsecret\n");
    root_io_text(root, "/sbin/shop", "");
    root_io_text(root, "/etc/passwd", "root:x:0:0::/:\n");
    root_io_text(root, "/etc/group", "root:x:0:\n");
    root_io_link(root, "/link.pem", "/www.pem");
    root_io_text(root, "/a.conf",
                 "http { ssl_password_file /words;" BLOCK("a.example", "/www.pem", "/www.enc.key")
                     BLOCK("*.b.example", "/shop.pem", "/shop.key") "}");
    root_io_text(root, "/b.conf", "http {" BLOCK("a.example", "/link.pem", "/www.key") "}");
    root_io_text(root, "/etc/letsencrypt/renewal/a.conf", "");
    root_io_text(root, "/var/lib/certmonger/requests/1", "key_file=/shop.key\ncert_file=\"/x\"\n");
    root_io_text(root, "/home/bob/.acme.sh/account.conf", "");
    root_io_text(root, "/home/bob/.acme.sh/a_ecc/a.conf", "Le_RealCertPath='/www.pem'\n");
    for (int pid = 800; pid < 803; pid += 2) {
        host_tree_process(
            root,
            &(struct host_process){.pid = pid,
                                   .parent = 1,
                                   .start = (unsigned)pid,
                                   .comm = "nginx",
                                   .exe = "/usr/sbin/nginx",
                                   .cmdline = pid == 800 ? "nginx: master process nginx -c /a.conf"
                                                         : "nginx: master process nginx -c /b.conf",
                                   .unit = "server.service"});
    }
    self->policy.hooks_tree = json_read(hooks);
    self->policy.files_tree = json_read(files);
    if (clm_policy_declare(&self->policy, &err) != CLM_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        abort();
    }
    self->check.io.io.policy = &self->policy;
}

/* What runs cannot be looked into. */
static void close_it(struct scan_host *self)
{
    root_io_text(self->check.root, "/etc/nginx/nginx.conf",
                 "http {" BLOCK("a.example", "/www.pem", "/www.key")
                     BLOCK("*.b.example", "/shop.pem", "/shop.key") "}");
    root_io_text(self->check.root, "/proc/self/mountinfo", DISK);
    root_io_text(self->check.root, "/proc/800/mountinfo", DISK);
    self->check.io.is_closed = true;
    self->check.io.listening = listening;
    self->check.io.n_listening = CLM_ARRAY_LEN(listening);
}

/* In a container, whose TLS directory is one of the host's. */
static void contain_it(struct scan_host *self)
{
    const char *root = self->check.root;

    root_io_text(root, "/proc/800/root/etc/nginx/nginx.conf",
                 "http {" BLOCK("in.example", "/tls/www.pem", "/tls/www.key")
                     BLOCK("out.example", "/tls/shop.pem", "/tls/shop.key") "}");
    root_io_link(root, "/proc/800/root/tls", "/srv/tls");
    root_io_text(
        root, "/proc/800/mountinfo",
        "20 1 0:50 / / rw - overlay overlay rw\n21 20 8:1 /srv/tls /srv/tls rw - ext4 d rw\n");
    root_io_text(root, "/proc/self/mountinfo", DISK);
}

static void tell_environment(struct scan_host *self)
{
    root_io_write(self->check.root, "/proc/800/environ", tomcat_environ, sizeof(tomcat_environ));
}

static const struct kind {
    const char *name;
    const char *fixture;
    const char *comm; /* NULL: no server */
    const char *exe;
    const char *cmdline;
    unsigned ports[7]; /* of the server; 0 ends */
    void (*more)(struct scan_host *self);
} kinds[SCAN_HOSTS] = {
    {"nginx",
     "debian-nginx",
     "nginx",
     "/usr/sbin/nginx",
     "nginx: master process /usr/sbin/nginx",
     {80, 443, 8443, 8883, 9443},
     NULL},
    {"closed nginx",
     "pki",
     "nginx",
     "/usr/sbin/nginx",
     "nginx: master process /usr/sbin/nginx",
     {443},
     close_it},
    {"nginx in a container",
     "pki",
     "nginx",
     "/usr/sbin/nginx",
     "nginx: master process /usr/sbin/nginx",
     {443},
     contain_it},
    {"apache of Debian",
     "debian-apache",
     "apache2",
     "/usr/sbin/apache2",
     "/usr/sbin/apache2|-k|start",
     {80, 443},
     NULL},
    {"apache of Red Hat",
     "rhel-httpd",
     "httpd",
     "/usr/sbin/httpd",
     "/usr/sbin/httpd|-DFOREGROUND|-D|LIVE",
     {80, 443},
     NULL},
    {"Tomcat 8.5",
     "tomcat-8.5",
     "java",
     "/usr/lib/jvm/bin/java",
     "java|-Dcatalina.base=/opt/tomcat|-Dcatalina.home=/opt/tomcat" JAVA,
     {8080, 8443, 8444},
     NULL},
    {"Tomcat 9",
     "tomcat-9",
     "java",
     "/usr/lib/jvm/bin/java",
     "java|-Dcatalina.base=/srv/tomcat9|-Dcatalina.home=/usr/share/tomcat9" JAVA,
     {8180, 8543},
     tell_environment},
    {"Tomcat 10",
     "tomcat-10.1",
     "java",
     "/usr/lib/jvm/bin/java",
     "java|-Dcatalina.base=/var/lib/tomcat10|-Dcatalina.home=/usr/share/tomcat10" JAVA,
     {8080, 8443},
     NULL},
    {"Tomcat 11",
     "tomcat-11",
     "java",
     "/usr/lib/jvm/bin/java",
     "java|-Dcatalina.base=/opt/tomcat11" JAVA,
     {8443},
     NULL},
    {"two of nginx and declared files", "pki", NULL, NULL, NULL, {0}, make_mixed},
};

static void start(struct scan_check *host, const struct kind *kind)
{
    struct host_process server = {.pid = 800,
                                  .parent = 1,
                                  .start = 500,
                                  .comm = kind->comm,
                                  .exe = kind->exe,
                                  .cmdline = kind->cmdline,
                                  .unit = "server.service"};
    struct host_socket sockets[8];
    size_t n = 0;

    for (; kind->ports[n] != 0; n++) {
        server.sockets[n] = 10 + (unsigned)n;
        sockets[n] = (struct host_socket){"00000000", kind->ports[n], 10 + (unsigned)n, 0};
    }
    host_tree_process(host->root, &server);
    host_tree_sockets(host->root, 800, sockets, n);
}

const char *scan_host_init(struct scan_host *self, size_t i)
{
    *self = (struct scan_host){.check = {.root = ""}};
    scan_check_init(&self->check, kinds[i].fixture);
    self->check.io.programs = programs;
    self->check.io.units = units;
    self->check.io.n_units = CLM_ARRAY_LEN(units);
    self->check.io.has_systemd = true;
    root_io_text(self->check.root, "/usr/sbin/nginx", "");
    if (kinds[i].comm != NULL) {
        start(&self->check, &kinds[i]);
    }
    host_tree_process(self->check.root, &(struct host_process){.pid = 2, .comm = "kthreadd"});
    host_tree_process(self->check.root, &(struct host_process){.pid = 3,
                                                               .parent = 1,
                                                               .start = 2,
                                                               .comm = "sshd",
                                                               .exe = "/usr/sbin/sshd (deleted)",
                                                               .cmdline = "sshd",
                                                               .sockets = {1}});
    if (kinds[i].more != NULL) {
        kinds[i].more(self);
    }
    return kinds[i].name;
}

void scan_host_done(struct scan_host *self)
{
    clm_policy_done(&self->policy);
    scan_check_done(&self->check);
}
