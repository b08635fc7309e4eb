/* SPDX-License-Identifier: Apache-2.0 */
#include "scanners/endpoints.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOOPBACK_TRIES 32   /* 127.0.0.1 to 127.0.0.32 */
#define REMARK_SIZE    1024 /* bytes of one sentence */
#define TWINS_MAX      10000
#define ID_NAME_MAX    190 /* bytes: leaves room for "#rsa#10000" within 200 (protocol.md 6.4) */

bool clm_addr_is_wildcard(const char *addr)
{
    return strcmp(addr, "0.0.0.0") == 0 || strcmp(addr, "::") == 0;
}

void clm_socket_key(const char *addr, uint16_t port, char *dst)
{
    (void)snprintf(dst, CLM_SOCKET_KEY_SIZE, "%s %u", addr, port);
}

enum clm_code clm_probe_addr(const char *bound, uint16_t port, const struct clm_strs *taken,
                             char *dst, struct clm_err *err)
{
    char key[CLM_SOCKET_KEY_SIZE];

    if (!clm_addr_is_wildcard(bound)) {
        return clm_str_copy(dst, CLM_ADDR_SIZE, bound, err);
    }
    if (strcmp(bound, "::") == 0) {
        clm_socket_key("::1", port, key);
        if (!clm_strs_has(taken, key)) {
            return clm_str_copy(dst, CLM_ADDR_SIZE, "::1", err);
        }
    }
    for (int i = 1; i <= LOOPBACK_TRIES && strcmp(bound, "0.0.0.0") == 0; i++) {
        (void)snprintf(dst, CLM_ADDR_SIZE, "127.0.0.%d", i);
        clm_socket_key(dst, port, key);
        if (!clm_strs_has(taken, key)) {
            return CLM_OK;
        }
    }
    return clm_err_set(err, CLM_E_NOTFOUND, "no loopback address leads to '%s' port %u", bound,
                       port);
}

void clm_probe_sni(const char *name, char *dst)
{
    char plain[CLM_DNS_NAME_SIZE];
    struct in_addr v4;

    dst[0] = '\0';
    if (inet_pton(AF_INET, name, &v4) == 1 ||
        clm_dns_normalise(name, true, plain, NULL) != CLM_OK || strcmp(plain, "_") == 0) {
        return;
    }
    if (!clm_str_starts(plain, "*.")) {
        (void)snprintf(dst, CLM_DNS_NAME_SIZE, "%s", plain);
    } else if (clm_str_fmt(dst, CLM_DNS_NAME_SIZE, NULL, CLM_PROBE_LABEL "%s", plain + 1) !=
               CLM_OK) {
        dst[0] = '\0';
    }
}

enum clm_code clm_target_want_endpoint(struct clm_target *target, const char *addr, uint16_t port,
                                       const char *sni, struct clm_err *err)
{
    struct clm_endpoint *endpoint;

    for (size_t i = 0; i < target->n_endpoints; i++) {
        endpoint = &target->endpoints[i];
        if (endpoint->port == port && strcmp(endpoint->addr, addr) == 0 &&
            strcmp(endpoint->sni, sni) == 0) {
            return CLM_OK;
        }
    }
    if (target->n_endpoints >= CLM_ENDPOINTS_MAX) {
        return CLM_OK;
    }
    endpoint = clm_target_add_endpoint(target);
    if (endpoint == NULL) {
        return clm_err_set(err, CLM_E_NOMEM, "endpoint");
    }
    endpoint->port = port;
    (void)snprintf(endpoint->addr, sizeof(endpoint->addr), "%s", addr);
    (void)snprintf(endpoint->sni, sizeof(endpoint->sni), "%s", sni);
    return CLM_OK;
}

enum clm_code clm_remark(struct clm_strs *list, struct clm_err *err, const char *fmt, ...)
{
    char text[REMARK_SIZE];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return clm_strs_add_once(list, text, err);
}

enum clm_code clm_target_refuse(struct clm_target *target, struct clm_err *err, const char *fmt,
                                ...)
{
    char text[REMARK_SIZE];
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    target->manageable = false;
    return clm_strs_add_once(&target->reasons, text, err);
}

enum clm_code clm_target_fault(struct clm_target *target, const struct clm_err *why,
                               struct clm_err *err, const char *fmt, ...)
{
    char text[REMARK_SIZE];
    va_list ap;

    if (why->code == CLM_E_NOMEM) {
        return clm_err_set(err, CLM_E_NOMEM, "%s", why->msg);
    }
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    return clm_target_refuse(target, err, "%s", text);
}

static bool id_is_taken(const struct clm_service *service, const struct clm_target *target)
{
    for (size_t i = 0; i < service->n_targets; i++) {
        if (&service->targets[i] != target && strcmp(service->targets[i].id, target->id) == 0) {
            return true;
        }
    }
    return false;
}

static enum clm_code name_with(const struct clm_service *service, struct clm_target *target,
                               const char *const words[3], struct clm_err *err)
{
    char plain[CLM_DNS_NAME_SIZE];

    if (clm_dns_normalise(words[1], true, plain, NULL) != CLM_OK || strcmp(plain, "_") == 0 ||
        strlen(plain) > ID_NAME_MAX) {
        (void)snprintf(plain, sizeof(plain), "default");
    }
    for (int i = 1; i <= TWINS_MAX; i++) {
        char twin[16] = "";
        enum clm_code code;

        if (i > 1) {
            (void)snprintf(twin, sizeof(twin), "#%d", i);
        }
        code = clm_str_fmt(target->id, sizeof(target->id), err, "%s:%s%s%s", words[0], plain,
                           words[2], twin);
        if (code != CLM_OK || !id_is_taken(service, target)) {
            return code;
        }
    }
    return clm_err_set(err, CLM_E_LIMIT, "more than %d targets are called '%s'", TWINS_MAX, plain);
}

enum clm_code clm_target_name(const struct clm_service *service, struct clm_target *target,
                              const char *kind, const char *name, struct clm_err *err)
{
    return name_with(service, target, (const char *const[]){kind, name, ""}, err);
}

enum clm_code clm_target_name_kind(const struct clm_service *service, struct clm_target *target,
                                   const char *kind, const char *name, struct clm_err *err)
{
    char suffix[sizeof(target->key_kind) + 1];

    (void)snprintf(suffix, sizeof(suffix), "#%s", target->key_kind);
    return name_with(service, target, (const char *const[]){kind, name, suffix}, err);
}

enum clm_code clm_target_add_name(struct clm_target *target, const char *name, struct clm_err *err)
{
    char plain[CLM_DNS_NAME_SIZE];
    uint8_t addr[16];
    enum clm_code code = CLM_OK;

    if (inet_pton(AF_INET, name, addr) == 1 || inet_pton(AF_INET6, name, addr) == 1) {
        code = clm_names_add_ip(&target->names, name, NULL);
    } else if (clm_dns_normalise(name, true, plain, NULL) == CLM_OK && strcmp(plain, "_") != 0) {
        code = clm_names_add_dns(&target->names, name, NULL);
    }
    return code == CLM_E_NOMEM ? clm_err_set(err, code, "name") : CLM_OK;
}

struct clm_target *clm_service_target(const struct clm_service *service, const char *cert_path,
                                      const char *key_path)
{
    for (size_t i = 0; i < service->n_targets; i++) {
        struct clm_target *target = &service->targets[i];

        if (strcmp(target->cert_path, cert_path) == 0 && strcmp(target->key_path, key_path) == 0) {
            return target;
        }
    }
    return NULL;
}
