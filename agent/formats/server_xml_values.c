/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values of server.xml: ${name} replaced, paths made absolute, passwords found.
 *
 * Tomcat copies catalina.properties over the system properties at its start, so those win over -D.
 */
#include <stdio.h>
#include <string.h>

#include "agent/formats/conf_files.h"
#include "agent/formats/properties.h"
#include "agent/formats/server_xml.h"

#define ROUNDS_MAX        20 /* replaced values may hold ${...} again; IntrospectionUtils */
#define PASSWD_MAX        ((size_t)1024 * 1024)
#define PASSWORD_FILE_MAX ((size_t)8192)

static enum clm_code from_defines(const struct clm_strs *defines, const char *name,
                                  struct clm_buf *out, bool *found, struct clm_err *err)
{
    size_t len = strlen(name);

    for (size_t i = defines->n; i > 0; i--) {
        const char *text = defines->v[i - 1];

        if (strncmp(text, name, len) == 0 && (text[len] == '=' || text[len] == '\0')) {
            *found = true;
            return clm_buf_add_str(out, text + len + (text[len] == '='), err);
        }
    }
    return CLM_OK;
}

/* /proc/PID/environ: "NAME=value" with a NUL behind each. */
static enum clm_code from_environ(const struct clm_buf *environ, const char *name,
                                  struct clm_buf *out, bool *found, struct clm_err *err)
{
    size_t len = strlen(name);

    for (size_t at = 0; at < environ->len;) {
        const char *text = (const char *)environ->data + at;
        size_t n = strnlen(text, environ->len - at);

        if (n > len && memcmp(text, name, len) == 0 && text[len] == '=') {
            *found = true;
            return clm_buf_add(out, text + len + 1, n - len - 1, err);
        }
        at += n + 1;
    }
    return CLM_OK;
}

static enum clm_code property(const struct clm_tomcat *tomcat, const char *name,
                              struct clm_buf *out, bool *found, struct clm_err *err)
{
    const struct {
        const char *name;
        const char *value;
    } known[] = {{"catalina.base", tomcat->args.base}, {"catalina.home", tomcat->args.home}};
    enum clm_code code;

    *found = false;
    clm_buf_reset(out);
    code = from_environ(&tomcat->environ, name, out, found, err);
    if (code == CLM_OK && !*found) {
        code = clm_properties_find(tomcat->properties.data, tomcat->properties.len, name, out,
                                   found, err);
    }
    if (code == CLM_OK && !*found) {
        code = from_defines(&tomcat->args.defines, name, out, found, err);
    }
    for (size_t i = 0; i < CLM_ARRAY_LEN(known) && code == CLM_OK && !*found; i++) {
        if (strcmp(name, known[i].name) == 0) {
            *found = true;
            code = clm_buf_add_str(out, known[i].value, err);
        }
    }
    return code;
}

/* name is what stands between "${" and "}", len bytes. */
static enum clm_code add_property(const struct clm_tomcat *tomcat, const char *name, size_t len,
                                  struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf key = CLM_BUF_SECRET_INIT(CLM_TOMCAT_VALUE_MAX);
    CLM_CLEANUP(clm_buf_done) struct clm_buf value = CLM_BUF_SECRET_INIT(CLM_TOMCAT_VALUE_MAX);
    const char *fallback = NULL;
    bool found = false;
    enum clm_code code = clm_buf_add(&key, name, len, err);

    if (code == CLM_OK) {
        code = property(tomcat, clm_buf_str(&key), &value, &found, err);
    }
    if (code == CLM_OK && !found && len > 1) {
        fallback = strstr(clm_buf_str(&key) + 1, ":-");
    }
    if (code == CLM_OK && fallback != NULL) {
        size_t cut = (size_t)(fallback - clm_buf_str(&key));

        key.data[cut] = '\0'; /* the default stays behind it */
        code = property(tomcat, clm_buf_str(&key), &value, &found, err);
        if (code == CLM_OK && !found) {
            found = true;
            code = clm_buf_add_str(&value, fallback + 2, err);
        }
    }
    if (code == CLM_OK && found) {
        return clm_buf_add(out, value.data, value.len, err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add_str(out, "${", err);
    }
    if (code == CLM_OK) {
        code = clm_buf_add(out, name, len, err);
    }
    return code == CLM_OK ? clm_buf_add_str(out, "}", err) : code;
}

static enum clm_code replace_once(const struct clm_tomcat *tomcat, const char *raw,
                                  struct clm_buf *out, struct clm_err *err)
{
    enum clm_code code = CLM_OK;

    while (code == CLM_OK && raw[0] != '\0') {
        size_t plain = strcspn(raw, "$");
        const char *end;

        code = clm_buf_add(out, raw, plain, err);
        raw += plain;
        if (code != CLM_OK || raw[0] == '\0') {
            return code;
        }
        end = raw[1] == '{' ? strchr(raw, '}') : NULL;
        if (end == NULL) {
            code = clm_buf_add(out, raw, 1, err);
            raw++;
        } else {
            code = add_property(tomcat, raw + 2, (size_t)(end - raw - 2), out, err);
            raw = end + 1;
        }
    }
    return code;
}

enum clm_code clm_tomcat_expand(const struct clm_tomcat *tomcat, const char *raw,
                                struct clm_buf *out, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf before = CLM_BUF_SECRET_INIT(out->max);
    enum clm_code code;

    clm_buf_reset(out);
    code = replace_once(tomcat, raw, out, err);
    for (int i = 0; i < ROUNDS_MAX && code == CLM_OK && strstr(clm_buf_str(out), "${") != NULL &&
                    strcmp(clm_buf_str(&before), clm_buf_str(out)) != 0;
         i++) {
        clm_buf_reset(&before);
        code = clm_buf_add(&before, out->data, out->len, err);
        clm_buf_reset(out);
        if (code == CLM_OK) {
            code = replace_once(tomcat, clm_buf_str(&before), out, err);
        }
    }
    return code;
}

/* Names of the attributes: of Certificate, and of a Connector of Tomcat 9 and before. */
static const struct {
    const char *now;
    const char *jsse;
    const char *apr;
} names[CLM_TOMCAT__COUNT] = {
    [CLM_TOMCAT_CERT_FILE] = {"certificateFile", NULL, "SSLCertificateFile"},
    [CLM_TOMCAT_KEY_FILE] = {"certificateKeyFile", NULL, "SSLCertificateKeyFile"},
    [CLM_TOMCAT_CHAIN_FILE] = {"certificateChainFile", NULL, "SSLCertificateChainFile"},
    [CLM_TOMCAT_STORE_FILE] = {"certificateKeystoreFile", "keystoreFile", NULL},
    [CLM_TOMCAT_STORE_TYPE] = {"certificateKeystoreType", "keystoreType", NULL},
    [CLM_TOMCAT_STORE_PROVIDER] = {"certificateKeystoreProvider", "keystoreProvider", NULL},
    [CLM_TOMCAT_STORE_PASSWORD] = {"certificateKeystorePassword", "keystorePass", NULL},
    [CLM_TOMCAT_STORE_PASSWORD_FILE] = {"certificateKeystorePasswordFile", NULL, NULL},
    [CLM_TOMCAT_ALIAS] = {"certificateKeyAlias", "keyAlias", NULL},
    [CLM_TOMCAT_KEY_PASSWORD] = {"certificateKeyPassword", "keyPass", "SSLPassword"},
    [CLM_TOMCAT_KEY_PASSWORD_FILE] = {"certificateKeyPasswordFile", NULL, NULL},
};

const struct clm_xml_attr *clm_tomcat_attr(const struct clm_tomcat_pair *pair,
                                           enum clm_tomcat_attr what)
{
    const struct clm_xml_attr *attr = NULL;

    if (pair->host != NULL) {
        return clm_xml_attr(pair->node, names[what].now);
    }
    if (names[what].jsse != NULL) {
        attr = clm_xml_attr(pair->node, names[what].jsse);
    }
    if (attr == NULL && names[what].apr != NULL) {
        attr = clm_xml_attr(pair->node, names[what].apr);
    }
    return attr;
}

enum clm_code clm_tomcat_value(const struct clm_tomcat *tomcat, const struct clm_tomcat_pair *pair,
                               enum clm_tomcat_attr what, struct clm_buf *out, struct clm_err *err)
{
    const struct clm_xml_attr *attr = clm_tomcat_attr(pair, what);

    clm_buf_reset(out);
    return attr == NULL ? CLM_OK : clm_tomcat_expand(tomcat, attr->value, out, err);
}

/* "file:/a", "file:///a" and "/a" are "/a"; a scheme that is none of ours is refused. */
static enum clm_code strip_scheme(const char **path, struct clm_err *err)
{
    size_t word =
        strspn(*path, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-.");

    if (strstr(*path, "${") != NULL) {
        return clm_err_set(err, CLM_E_UNSUPPORTED,
                           "'%.200s' has no value in catalina.properties, "
                           "on the command line or in the environment",
                           *path);
    }
    if (word < 2 || (*path)[word] != ':') {
        return CLM_OK;
    }
    if (!clm_str_starts(*path, "file:/") || strchr(*path, '%') != NULL) {
        return clm_err_set(err, CLM_E_UNSUPPORTED, "'%.200s' is no file of this host", *path);
    }
    *path += strlen("file:");
    if (clm_str_starts(*path, "//")) {
        *path += 2;
    }
    return (*path)[0] == '/' ? CLM_OK
                             : clm_err_set(err, CLM_E_UNSUPPORTED,
                                           "'file://%.200s' is a file of another host", *path);
}

static enum clm_code absolute(const struct clm_tomcat *tomcat, const char *path, char *dst,
                              struct clm_err *err)
{
    enum clm_code code = strip_scheme(&path, err);

    return code == CLM_OK ? clm_conf_path(tomcat->args.base, path, dst, PATH_MAX, err) : code;
}

enum clm_code clm_tomcat_path(const struct clm_tomcat *tomcat, const struct clm_tomcat_pair *pair,
                              enum clm_tomcat_attr what, char *dst, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf value = CLM_BUF_INIT(PATH_MAX);
    enum clm_code code = clm_tomcat_value(tomcat, pair, what, &value, err);

    dst[0] = '\0';
    return code == CLM_OK && value.len > 0 ? absolute(tomcat, clm_buf_str(&value), dst, err) : code;
}

/* Field n of a line of /etc/passwd, 0 being the first; NULL if it has fewer. */
static const char *field(const char *line, const char *end, int n)
{
    for (; n > 0 && line != NULL; n--) {
        line = memchr(line, ':', (size_t)(end - line));
        line = line == NULL ? NULL : line + 1;
    }
    return line;
}

/* The sixth field of the user's line in /etc/passwd, as the virtual machine finds it. */
static bool home_of(const char *passwd, uint32_t uid, char *dst, size_t size)
{
    char number[16];

    (void)snprintf(number, sizeof(number), "%u:", uid);
    while (passwd[0] != '\0') {
        const char *end = passwd + strcspn(passwd, "\n");
        const char *home = field(passwd, end, 5);

        if (home != NULL && clm_str_starts(field(passwd, end, 2), number)) {
            return clm_str_fmt(dst, size, NULL, "%.*s", (int)strcspn(home, ":\n"), home) == CLM_OK;
        }
        passwd = end + (end[0] == '\n');
    }
    return false;
}

static enum clm_code home_of_process(const struct clm_io *io, int32_t pid, char dst[PATH_MAX],
                                     struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf passwd = CLM_BUF_INIT(PASSWD_MAX + 1);
    struct clm_stat st = {0};
    char proc[32];
    enum clm_code code;

    (void)snprintf(proc, sizeof(proc), "/proc/%d", pid);
    code = pid <= 0 ? CLM_E_NOTFOUND : io->stat(io->ctx, proc, true, &st, NULL);
    if (code == CLM_OK) {
        code = io->read_file(io->ctx, "/etc/passwd", PASSWD_MAX, &passwd, NULL);
    }
    if (code == CLM_E_NOMEM) {
        return clm_err_set(err, code, "home directory of process %d", pid);
    }
    if (code != CLM_OK || !home_of(clm_buf_str(&passwd), st.uid, dst, PATH_MAX) || dst[0] != '/') {
        return clm_err_set(err, CLM_E_NOTFOUND,
                           "the home directory of Tomcat's user, where its default keystore lies, "
                           "is not known: name the file with certificateKeystoreFile");
    }
    return CLM_OK;
}

enum clm_code clm_tomcat_default_store(const struct clm_io *io, const struct clm_tomcat *tomcat,
                                       char *dst, struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf defined = CLM_BUF_INIT(PATH_MAX);
    char home[PATH_MAX];
    bool is_defined = false;
    enum clm_code code =
        from_defines(&tomcat->args.defines, "user.home", &defined, &is_defined, err);

    if (code == CLM_OK && !is_defined) {
        code = home_of_process(io, tomcat->args.pid, home, err);
    }
    return code == CLM_OK ? clm_conf_path(is_defined ? clm_buf_str(&defined) : home, ".keystore",
                                          dst, PATH_MAX, err)
                          : code;
}

/* ---- passwords ---- */

static const struct {
    const char *name; /* in references */
    enum clm_tomcat_attr text;
    enum clm_tomcat_attr file;
} secrets[] = {
    [CLM_TOMCAT_OF_STORE] = {"store", CLM_TOMCAT_STORE_PASSWORD, CLM_TOMCAT_STORE_PASSWORD_FILE},
    [CLM_TOMCAT_OF_KEY] = {"key", CLM_TOMCAT_KEY_PASSWORD, CLM_TOMCAT_KEY_PASSWORD_FILE},
};

enum clm_code clm_tomcat_secret_ref(const struct clm_tomcat *tomcat,
                                    const struct clm_tomcat_connector *connector,
                                    const struct clm_tomcat_pair *pair,
                                    enum clm_tomcat_secret which, char *dst, struct clm_err *err)
{
    dst[0] = '\0';
    if (clm_tomcat_attr(pair, secrets[which].text) == NULL &&
        clm_tomcat_attr(pair, secrets[which].file) == NULL) {
        return which == CLM_TOMCAT_OF_KEY ? CLM_OK
                                          : clm_str_copy(dst, CLM_SECRET_REF_SIZE,
                                                         CLM_SECRET_KNOWN CLM_TOMCAT_PASSWORD, err);
    }
    return clm_str_fmt(dst, CLM_SECRET_REF_SIZE, err, CLM_SECRET_CONF "%s|%u|%s|%s|%s",
                       tomcat->args.config, connector->port, pair->host_name, pair->type,
                       secrets[which].name);
}

/* The first line of a password file. */
static enum clm_code from_file(const struct clm_io *io, const char *path, struct clm_buf *out,
                               struct clm_err *err)
{
    CLM_CLEANUP(clm_buf_done) struct clm_buf text = CLM_BUF_SECRET_INIT(PASSWORD_FILE_MAX + 1);
    enum clm_code code = io->read_file(io->ctx, path, PASSWORD_FILE_MAX, &text, err);

    return code == CLM_OK ? clm_buf_add(out, text.data, strcspn(clm_buf_str(&text), "\r\n"), err)
                          : code;
}

enum clm_code clm_tomcat_password(const struct clm_io *io, const struct clm_tomcat *tomcat,
                                  const struct clm_tomcat_pair *pair, enum clm_tomcat_secret which,
                                  struct clm_buf *out, struct clm_err *err)
{
    char path[PATH_MAX];
    enum clm_code code;

    clm_buf_reset(out);
    if (clm_tomcat_attr(pair, secrets[which].file) != NULL) {
        code = clm_tomcat_path(tomcat, pair, secrets[which].file, path, err);
        return code == CLM_OK ? from_file(io, path, out, err) : code;
    }
    if (clm_tomcat_attr(pair, secrets[which].text) != NULL) {
        return clm_tomcat_value(tomcat, pair, secrets[which].text, out, err);
    }
    if (which == CLM_TOMCAT_OF_STORE) {
        return clm_buf_add_str(out, CLM_TOMCAT_PASSWORD, err);
    }
    return clm_err_set(err, CLM_E_NOTFOUND, "no password of a key at line %u of '%s'",
                       pair->node->line, tomcat->args.config);
}

/* Cuts the last "|word" off text; NULL if there is none. */
static char *cut_word(char *text)
{
    char *bar = strrchr(text, '|');

    if (bar == NULL) {
        return NULL;
    }
    *bar = '\0';
    return bar + 1;
}

static enum clm_code find_in(const struct clm_io *io, const struct clm_tomcat *tomcat,
                             char *const *words, struct clm_buf *out, struct clm_err *err)
{
    int64_t port = -1;

    clm_ignore(clm_str_to_int(words[0], 0, UINT16_MAX, &port, NULL));
    for (size_t c = 0; c < tomcat->n_connectors; c++) {
        const struct clm_tomcat_connector *connector = &tomcat->connectors[c];

        for (size_t p = 0; p < connector->n_pairs && connector->port == port; p++) {
            const struct clm_tomcat_pair *pair = &connector->pairs[p];

            if (strcmp(pair->host_name, words[1]) == 0 && strcmp(pair->type, words[2]) == 0) {
                return clm_tomcat_password(io, tomcat, pair,
                                           strcmp(words[3], "key") == 0 ? CLM_TOMCAT_OF_KEY
                                                                        : CLM_TOMCAT_OF_STORE,
                                           out, err);
            }
        }
    }
    return clm_err_set(err, CLM_E_NOTFOUND,
                       "'%s' has no certificate for host '%s' on port %s any more: scan again",
                       tomcat->args.config, words[1], words[0]);
}

enum clm_code clm_tomcat_secret_find(const struct clm_io *io, const char *text, struct clm_buf *out,
                                     struct clm_err *err)
{
    CLM_CLEANUP(clm_tomcat_args_done) struct clm_tomcat_args args = {.pid = 0};
    CLM_CLEANUP(clm_tomcat_done) struct clm_tomcat tomcat = {.n_connectors = 0};
    CLM_CLEANUP(clm_buf_done) struct clm_buf found = CLM_BUF_SECRET_INIT(CLM_SECRET_MAX);
    char copy[CLM_SECRET_REF_SIZE];
    char *words[4];
    enum clm_code code = clm_str_copy(copy, sizeof(copy), text, err);

    for (size_t i = 4; i > 0 && code == CLM_OK; i--) {
        words[i - 1] = cut_word(copy);
        if (words[i - 1] == NULL) {
            code = clm_err_set(err, CLM_E_PARSE, "'%.200s' names no password of a Tomcat", text);
        }
    }
    if (code == CLM_OK) {
        code = clm_tomcat_args_find(io, copy, &args, err);
    }
    if (code == CLM_OK) {
        code = clm_tomcat_load(io, &args, &tomcat, err);
    }
    if (code == CLM_OK) {
        code = find_in(io, &tomcat, words, &found, err);
    }
    return code == CLM_OK ? clm_buf_add(out, found.data, found.len, err) : code;
}
