/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_xml - the TLS configuration of one Apache Tomcat, 7 to 11, as that process sees it
 *
 * Which file it is follows from the process's command line; values with ${...} are replaced as
 * Tomcat does. Old attributes of a Connector (keystoreFile, SSLCertificateFile ...) and the new
 * elements SSLHostConfig and Certificate give the same values here. Used by scanner and deployer;
 * decides nothing about certificates.
 * Source: Tomcat's "HTTP Connector" reference, sections "SSL Support"; IntrospectionUtils.
 */
#ifndef CLM_FORMATS_SERVER_XML_H
#define CLM_FORMATS_SERVER_XML_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/formats/xml.h"
#include "agent/model/io.h"
#include "agent/model/probe.h"
#include "agent/model/secret.h"
#include "agent/model/target.h"

#define CLM_TOMCAT_CONNECTORS_MAX 256
#define CLM_TOMCAT_VALUE_MAX      ((size_t)8192) /* bytes of one attribute, replaced */
#define CLM_TOMCAT_URL_SIZE       512
#define CLM_TOMCAT_DEFAULT_HOST   "_default_"
#define CLM_TOMCAT_PASSWORD       "changeit" /* Tomcat's default, which everybody knows */

/* ---- the process ---- */

/* What the command line of a Tomcat says. */
struct clm_tomcat_args {
    int32_t pid; /* 0: made up for one that does not run */
    char base[PATH_MAX];
    char home[PATH_MAX];
    char config[PATH_MAX];   /* server.xml, absolute */
    struct clm_strs defines; /* "name=value" of -D, in their order */
};

/* True if this is the command line of a Tomcat: its main class is among the arguments. */
bool clm_tomcat_is(const struct clm_strs *argv);
/*
 * clm_tomcat_args_parse() - paths from the command line of java or jsvc
 *
 * Out     out  zero-initialised; for clm_tomcat_args_done(), also after an error
 * Errors  CONFIG it names no absolute catalina.base, or server.xml is a URL; LIMIT; NOMEM
 */
CLM_MUST_USE enum clm_code clm_tomcat_args_parse(const struct clm_strs *argv, int32_t pid,
                                                 struct clm_tomcat_args *out, struct clm_err *err);
/* The same of a running process. Errors also: NOTFOUND, PERM, IO. */
CLM_MUST_USE enum clm_code clm_tomcat_args_read(const struct clm_io *io, int32_t pid,
                                                struct clm_tomcat_args *out, struct clm_err *err);
/* Of the running Tomcat with this server.xml; if there is none, as it would be with defaults.
 * Errors: LIMIT, NOMEM, IO. */
CLM_MUST_USE enum clm_code clm_tomcat_args_find(const struct clm_io *io, const char *config,
                                                struct clm_tomcat_args *out, struct clm_err *err);
void clm_tomcat_args_done(struct clm_tomcat_args *args); /* for CLM_CLEANUP */

/* ---- the configuration ---- */

/* One certificate with its key: an element Certificate, or what stands for it. */
struct clm_tomcat_pair {
    const struct clm_xml_node *node; /* that holds the attributes */
    const struct clm_xml_node *host; /* its SSLHostConfig; NULL: old attributes of the Connector */
    char host_name[CLM_DNS_NAME_SIZE]; /* lower case; "_default_" */
    char type[16];                     /* "UNDEFINED", "RSA", "EC", "DSA" ... */
    bool is_default; /* the host that answers when no other's name was asked for */
    bool is_silent;  /* no attribute names a certificate: Tomcat takes the user's keystore */
};

struct clm_tomcat_connector {
    const struct clm_xml_node *node;
    const struct clm_xml_node *service; /* parent */
    char addr[CLM_ADDR_SIZE];           /* as configured, a host name perhaps; "" all */
    uint16_t port;                      /* with portOffset; 0: it could not be told */
    bool is_http;                       /* false: AJP */
    bool is_tls;
    struct clm_tomcat_pair *pairs;
    size_t n_pairs;
    size_t n_hosts; /* different SSLHostConfigs */
};

struct clm_tomcat {
    struct clm_tomcat_args args; /* moved in by load */
    struct clm_buf text;         /* of server.xml; secret, for it may hold passwords */
    struct clm_buf properties;   /* of catalina.properties; secret */
    struct clm_buf environ;      /* of the process, if it is asked for values; secret */
    struct clm_xml xml;
    struct clm_strs notes; /* what was not understood, for a person */
    struct clm_tomcat_connector *connectors;
    size_t n_connectors;
};

/*
 * clm_tomcat_load() - reads server.xml and what its values come from
 *
 * In      args  emptied: they belong to out afterwards, also after an error
 * Out     out   zero-initialised; for clm_tomcat_done(), also after an error
 * Errors  NOTFOUND, PERM, IO, PARSE, LIMIT, UNSUPPORTED: server.xml; NOMEM
 */
CLM_MUST_USE enum clm_code clm_tomcat_load(const struct clm_io *io, struct clm_tomcat_args *args,
                                           struct clm_tomcat *out, struct clm_err *err);
void clm_tomcat_done(struct clm_tomcat *tomcat); /* for CLM_CLEANUP */

/* A raw attribute value with ${name} and ${name:-default} replaced; what has no value stays as it
 * is. out is emptied first. Errors: LIMIT, NOMEM. */
CLM_MUST_USE enum clm_code clm_tomcat_expand(const struct clm_tomcat *tomcat, const char *raw,
                                             struct clm_buf *out, struct clm_err *err);

/* True if the pair's element says nothing of a certificate but its type, and could: an edit can
 * name files there. The user's default keystore may exist all the same. */
bool clm_tomcat_pair_is_bare(const struct clm_tomcat_pair *pair);

enum clm_tomcat_attr {
    CLM_TOMCAT_CERT_FILE,
    CLM_TOMCAT_KEY_FILE,
    CLM_TOMCAT_CHAIN_FILE,
    CLM_TOMCAT_STORE_FILE,
    CLM_TOMCAT_STORE_TYPE,
    CLM_TOMCAT_STORE_PROVIDER,
    CLM_TOMCAT_STORE_PASSWORD,
    CLM_TOMCAT_STORE_PASSWORD_FILE,
    CLM_TOMCAT_ALIAS,
    CLM_TOMCAT_KEY_PASSWORD,
    CLM_TOMCAT_KEY_PASSWORD_FILE,
    CLM_TOMCAT__COUNT
};

/* The attribute as it stands in the pair's element, in the words of its time; NULL if absent. */
const struct clm_xml_attr *clm_tomcat_attr(const struct clm_tomcat_pair *pair,
                                           enum clm_tomcat_attr what);
/* Its replaced value, "" if absent. Errors: LIMIT, NOMEM. */
CLM_MUST_USE enum clm_code clm_tomcat_value(const struct clm_tomcat *tomcat,
                                            const struct clm_tomcat_pair *pair,
                                            enum clm_tomcat_attr what, struct clm_buf *out,
                                            struct clm_err *err);
/*
 * clm_tomcat_path() - a file attribute as an absolute path
 *
 * Out     dst  PATH_MAX bytes; "" if the attribute is absent
 * Errors  UNSUPPORTED no file of this host: "classpath:", "http:", a value that stayed open; LIMIT
 */
CLM_MUST_USE enum clm_code clm_tomcat_path(const struct clm_tomcat *tomcat,
                                           const struct clm_tomcat_pair *pair,
                                           enum clm_tomcat_attr what, char *dst,
                                           struct clm_err *err);
/* The keystore that Tomcat takes when none is named: .keystore of the user that the process runs
 * as. Errors: NOTFOUND the user's home is not known; LIMIT; NOMEM. */
CLM_MUST_USE enum clm_code clm_tomcat_default_store(const struct clm_io *io,
                                                    const struct clm_tomcat *tomcat, char *dst,
                                                    struct clm_err *err);

/* ---- passwords ---- */

enum clm_tomcat_secret {
    CLM_TOMCAT_OF_STORE,
    CLM_TOMCAT_OF_KEY
};

/* The reference (agent/model/secret.h) to the pair's password, never the password. A key without
 * one of its own gives "". dst: CLM_SECRET_REF_SIZE bytes. Errors: LIMIT. */
CLM_MUST_USE enum clm_code clm_tomcat_secret_ref(const struct clm_tomcat *tomcat,
                                                 const struct clm_tomcat_connector *connector,
                                                 const struct clm_tomcat_pair *pair,
                                                 enum clm_tomcat_secret which, char *dst,
                                                 struct clm_err *err);
/* The password itself, into a secret buffer. Errors: NOTFOUND there is none; IO, PERM, LIMIT. */
CLM_MUST_USE enum clm_code clm_tomcat_password(const struct clm_io *io,
                                               const struct clm_tomcat *tomcat,
                                               const struct clm_tomcat_pair *pair,
                                               enum clm_tomcat_secret which, struct clm_buf *out,
                                               struct clm_err *err);
/* Appends the password behind what follows "conf:" of a reference. Errors: NOTFOUND it is not there any
 * more; PARSE; those of clm_tomcat_load(). */
CLM_MUST_USE enum clm_code clm_tomcat_secret_find(const struct clm_io *io, const char *text,
                                                  struct clm_buf *out, struct clm_err *err);

/* ---- Tomcat's manager ---- */

/* What a manager would be asked for. */
struct clm_tomcat_wish {
    const struct clm_service *process;  /* whose listeners count: credentials go to nobody else */
    const struct clm_xml_node *service; /* of the certificate's connector; the manager's, too */
    const char *host_name;              /* of the SSLHostConfig */
};

/*
 * clm_tomcat_manager_url() - where the manager can be asked to read this host's files again
 *
 * Out     dst  "http://127.0.0.1:8080/manager/text/sslReload?tlsHostName=..."; "" there is no way
 * Errors  LIMIT, NOMEM
 */
CLM_MUST_USE enum clm_code clm_tomcat_manager_url(const struct clm_io *io,
                                                  const struct clm_tomcat *tomcat,
                                                  const struct clm_tomcat_wish *wish,
                                                  char dst[CLM_TOMCAT_URL_SIZE],
                                                  struct clm_err *err);

#endif
