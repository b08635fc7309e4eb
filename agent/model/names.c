/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/model/names.h"

#include <string.h>

#include <arpa/inet.h>

#include "agent/model/fields.h"
#include "agent/model/probe.h"

#define DNS_NAME_MAX  253 /* characters without trailing dot; RFC 1035 2.3.4, RFC 1123 2.1 */
#define DNS_LABEL_MAX 63

void clm_names_done(struct clm_names *names)
{
    if (names != NULL) {
        clm_strs_done(&names->dns);
        clm_strs_done(&names->ip);
    }
}

static bool is_address(const char *text)
{
    unsigned char raw[sizeof(struct in6_addr)];

    return inet_pton(AF_INET, text, raw) == 1 || inet_pton(AF_INET6, text, raw) == 1;
}

static bool is_label_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
}

/* What is wrong with the labels of a name in lower case without trailing dot; NULL if nothing. */
static const char *label_fault(const char *name)
{
    size_t label = 0;

    for (const char *p = name;; p++) {
        if (*p == '.' || *p == '\0') {
            if (label == 0) {
                return "has an empty label";
            }
            if (label > DNS_LABEL_MAX) {
                return "has a label of more than 63 characters";
            }
            if (p[-1] == '-' || p[-(ptrdiff_t)label] == '-') {
                return "has a label that begins or ends with '-'";
            }
            if (*p == '\0') {
                return NULL;
            }
            label = 0;
        } else if ((unsigned char)*p >= 0x80) {
            return "is not ASCII: write it in its xn-- form";
        } else if (!is_label_char(*p)) {
            return *p == '*' ? "has a '*' that is not the whole first label"
                             : "has a character that DNS names do not have";
        } else {
            label++;
        }
    }
}

enum clm_code clm_dns_normalise(const char *name, bool wildcard, char *dst, struct clm_err *err)
{
    const char *fault = NULL;
    size_t len = strlen(name);
    bool is_wild;

    dst[0] = '\0';
    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    if (len == 0) {
        return clm_err_set(err, CLM_E_INVAL, "'%s' is not a DNS name: it is empty", name);
    }
    if (len > DNS_NAME_MAX) {
        return clm_err_set(err, CLM_E_INVAL,
                           "'%.32s...' is not a DNS name: it has more than 253 characters", name);
    }
    for (size_t i = 0; i < len; i++) {
        dst[i] = (char)(name[i] >= 'A' && name[i] <= 'Z' ? name[i] - 'A' + 'a' : name[i]);
    }
    dst[len] = '\0';
    is_wild = strncmp(dst, "*.", 2) == 0;
    if (is_address(dst)) {
        fault = "is an IP address";
    } else if (is_wild && !wildcard) {
        fault = "has a wildcard";
    } else {
        fault = label_fault(is_wild ? dst + 2 : dst);
    }
    if (fault != NULL) {
        dst[0] = '\0';
        return clm_err_set(err, CLM_E_INVAL, "'%s' is not a DNS name: it %s", name, fault);
    }
    return CLM_OK;
}

enum clm_code clm_names_add_dns(struct clm_names *names, const char *name, struct clm_err *err)
{
    char normal[CLM_DNS_NAME_SIZE];
    enum clm_code code = clm_dns_normalise(name, true, normal, err);

    return code != CLM_OK ? code : clm_strs_add_once(&names->dns, normal, err);
}

enum clm_code clm_ip_normalise(const char *address, char *dst, struct clm_err *err)
{
    unsigned char raw[sizeof(struct in6_addr)];
    int family = strchr(address, ':') == NULL ? AF_INET : AF_INET6;

    if (inet_pton(family, address, raw) != 1 ||
        inet_ntop(family, raw, dst, CLM_ADDR_SIZE) == NULL) {
        dst[0] = '\0';
        return clm_err_set(err, CLM_E_INVAL, "'%.100s' is not an IP address", address);
    }
    return CLM_OK;
}

enum clm_code clm_names_add_ip(struct clm_names *names, const char *address, struct clm_err *err)
{
    char normal[CLM_ADDR_SIZE];
    enum clm_code code = clm_ip_normalise(address, normal, err);

    return code != CLM_OK ? code : clm_strs_add_once(&names->ip, normal, err);
}

bool clm_names_covers_dns(const struct clm_names *have, const char *host)
{
    char normal[CLM_DNS_NAME_SIZE];
    const char *parent;

    if (clm_dns_normalise(host, false, normal, NULL) != CLM_OK) {
        return false;
    }
    parent = strchr(normal, '.');
    for (size_t i = 0; i < have->dns.n; i++) {
        const char *entry = have->dns.v[i];

        if (strcmp(entry, normal) == 0) {
            return true;
        }
        if (parent != NULL && entry[0] == '*' && strcmp(entry + 1, parent) == 0) {
            return true;
        }
    }
    return false;
}

static bool has_dns(const struct clm_names *have, const char *name)
{
    return name[0] == '*' ? clm_strs_has(&have->dns, name) : clm_names_covers_dns(have, name);
}

bool clm_names_is_subset(const struct clm_names *want, const struct clm_names *have,
                         const char **out_missing)
{
    const char *missing = NULL;

    for (size_t i = 0; i < want->dns.n && missing == NULL; i++) {
        missing = has_dns(have, want->dns.v[i]) ? NULL : want->dns.v[i];
    }
    for (size_t i = 0; i < want->ip.n && missing == NULL; i++) {
        missing = clm_strs_has(&have->ip, want->ip.v[i]) ? NULL : want->ip.v[i];
    }
    if (missing != NULL && out_missing != NULL) {
        *out_missing = missing;
    }
    return missing == NULL;
}

static void add_all(const struct clm_strs *list, struct clm_json *array)
{
    for (size_t i = 0; i < list->n; i++) {
        clm_json_add_str(array, list->v[i]);
    }
}

void clm_names_to_json(const struct clm_names *names, struct clm_json *obj)
{
    add_all(&names->dns, clm_json_set_array(obj, "dns"));
    add_all(&names->ip, clm_json_set_array(obj, "ip"));
}

void clm_names_to_list(const struct clm_names *names, const char *key, struct clm_json *obj)
{
    struct clm_json *array = clm_json_set_array(obj, key);

    add_all(&names->dns, array);
    add_all(&names->ip, array);
}

typedef enum clm_code (*add_fn)(struct clm_names *names, const char *text, struct clm_err *err);

enum clm_code clm_names_add(struct clm_names *names, const char *text, struct clm_err *err)
{
    return is_address(text) ? clm_names_add_ip(names, text, err)
                            : clm_names_add_dns(names, text, err);
}

static enum clm_code read_list(const struct clm_json *obj, const char *key, size_t max, add_fn add,
                               struct clm_names *out, struct clm_err *err)
{
    const struct clm_json *array = clm_json_get(obj, key);
    enum clm_code code;
    size_t i = 0;

    if (array == NULL) {
        return CLM_OK;
    }
    code = clm_json_array(obj, key, max, &array, err);
    if (code != CLM_OK) {
        return code;
    }
    for (const struct clm_json *node = clm_json_first(array); node != NULL;
         node = clm_json_next(node), i++) {
        const char *text = clm_json_text(node);

        if (text == NULL) {
            return clm_err_set(err, CLM_E_PARSE, "'%s': element %zu is no string", key, i);
        }
        code = add(out, text, err);
        if (code != CLM_OK) {
            return clm_err_wrap(err, code, "'%s': element %zu", key, i);
        }
    }
    return CLM_OK;
}

enum clm_code clm_names_from_json(const struct clm_json *obj, struct clm_names *out,
                                  struct clm_err *err)
{
    struct clm_names names = {0};
    enum clm_code code = read_list(obj, "dns", CLM_NAMES_MAX, clm_names_add_dns, &names, err);

    if (code == CLM_OK) {
        code = read_list(obj, "ip", CLM_NAMES_MAX, clm_names_add_ip, &names, err);
    }
    if (code == CLM_OK && names.dns.n + names.ip.n > CLM_NAMES_MAX) {
        code = clm_err_set(err, CLM_E_LIMIT, "%zu names, the limit is %d", names.dns.n + names.ip.n,
                           CLM_NAMES_MAX);
    }
    if (code != CLM_OK) {
        clm_names_done(&names);
        return code;
    }
    *out = names;
    return CLM_OK;
}

enum clm_code clm_names_from_list(const struct clm_json *obj, const char *key,
                                  struct clm_names *out, struct clm_err *err)
{
    struct clm_names names = {0};
    enum clm_code code = read_list(obj, key, CLM_FIELD_LIST_MAX, clm_names_add, &names, err);

    if (code != CLM_OK) {
        clm_names_done(&names);
        return code;
    }
    *out = names;
    return CLM_OK;
}

/* The rest behind a numeric address of this host; NULL if there is none. */
static const char *behind_loopback(const char *at)
{
    char addr[CLM_ADDR_SIZE];
    struct in_addr v4;
    size_t len = strspn(at, "0123456789.");

    if (clm_str_starts(at, "[::1]")) {
        return at + strlen("[::1]");
    }
    if (len == 0 || len >= sizeof(addr)) {
        return NULL;
    }
    memcpy(addr, at, len);
    addr[len] = '\0';
    return inet_pton(AF_INET, addr, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127 ? at + len : NULL;
}

enum clm_code clm_url_check_loopback(const char *url, struct clm_err *err)
{
    static const char *const schemes[] = {"http://", "https://"};
    const char *at = NULL;

    for (size_t i = 0; i < CLM_ARRAY_LEN(schemes) && at == NULL; i++) {
        at = clm_str_starts(url, schemes[i]) ? behind_loopback(url + strlen(schemes[i])) : NULL;
    }
    if (at != NULL && *at == ':') {
        char port[8];
        int64_t value;
        size_t len = strspn(at + 1, "0123456789");

        clm_ignore(clm_str_fmt(port, sizeof(port), NULL, "%.*s", len < 6 ? (int)len : 0, at + 1));
        at = clm_str_to_int(port, 1, 65535, &value, NULL) == CLM_OK ? at + 1 + len : NULL;
    }
    if (at == NULL || *at != '/' || !clm_str_is_printable(at) || strpbrk(at, " @\"") != NULL) {
        return clm_err_set(
            err, CLM_E_INVAL,
            "not of the form http://127.0.0.1:PORT/PATH, with a number of this host");
    }
    return CLM_OK;
}
