/* SPDX-License-Identifier: Apache-2.0 */
/*
 * endpoints - where to connect to so that a given socket of a server answers
 *
 * A socket bound to all addresses is reached over loopback, unless the server has another socket
 * for just that address and port: then the next loopback address is taken.
 */
#ifndef CLM_SCANNERS_ENDPOINTS_H
#define CLM_SCANNERS_ENDPOINTS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/str.h"
#include "agent/model/probe.h"
#include "agent/model/target.h"

#define CLM_ENDPOINTS_MAX 64 /* of one target: more handshakes prove nothing more */

/* The label put in front of "*." names: no other server block is likely to be called that. */
#define CLM_PROBE_LABEL "clmbot-probe"

bool clm_addr_is_wildcard(const char *addr); /* "0.0.0.0", "::" */

/*
 * clm_probe_addr() - the numeric address to connect to
 *
 * In      bound  address of the socket
 *         taken  "addr port" of every socket the server has, see clm_socket_key()
 * Out     dst    CLM_ADDR_SIZE bytes
 * Errors  NOTFOUND every loopback address has a socket of its own
 */
CLM_MUST_USE enum clm_code clm_probe_addr(const char *bound, uint16_t port,
                                          const struct clm_strs *taken, char *dst,
                                          struct clm_err *err);

#define CLM_SOCKET_KEY_SIZE (CLM_ADDR_SIZE + 8)
/* "addr port" into dst of CLM_SOCKET_KEY_SIZE bytes. */
void clm_socket_key(const char *addr, uint16_t port, char *dst);

/* The name a handshake should ask for so that name matches: itself, or for "*.x" a name below x.
 * dst of CLM_DNS_NAME_SIZE bytes is "" if no handshake can: a regular expression, "_", an address.
 */
void clm_probe_sni(const char *name, char *dst);

/* Adds an endpoint unless the target has it, or has CLM_ENDPOINTS_MAX. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_target_want_endpoint(struct clm_target *target, const char *addr,
                                                    uint16_t port, const char *sni,
                                                    struct clm_err *err);

/* Adds a formatted sentence to a list unless it is there. Long ones are cut. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_remark(struct clm_strs *list, struct clm_err *err, const char *fmt,
                                      ...) CLM_PRINTF(3, 4);
/* clm_remark() to the target's reasons, and it is no longer manageable. */
CLM_MUST_USE enum clm_code clm_target_refuse(struct clm_target *target, struct clm_err *err,
                                             const char *fmt, ...) CLM_PRINTF(3, 4);

/* clm_target_refuse() for what *why says; but short memory is no fault of the target, and is passed on.
 * Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_target_fault(struct clm_target *target, const struct clm_err *why,
                                            struct clm_err *err, const char *fmt, ...)
    CLM_PRINTF(4, 5);

/*
 * clm_target_name() - gives the target its identity and its place among the service's targets
 *
 * In      kind  "nginx"
 *         name  server name; anything that is no host name becomes "default"
 * Effect  target->id is "kind:name", with "#2", "#3" ... if another target of service has it
 * Errors  LIMIT
 */
CLM_MUST_USE enum clm_code clm_target_name(const struct clm_service *service,
                                           struct clm_target *target, const char *kind,
                                           const char *name, struct clm_err *err);

/* The same with "#" and the target's key_kind behind the name: "nginx:www.example.com#ec". */
CLM_MUST_USE enum clm_code clm_target_name_kind(const struct clm_service *service,
                                                struct clm_target *target, const char *kind,
                                                const char *name, struct clm_err *err);

/* Adds a server name to the target's names: host names, "*.x" and addresses; what a certificate
 * cannot hold is passed over. Errors: NOMEM. */
CLM_MUST_USE enum clm_code clm_target_add_name(struct clm_target *target, const char *name,
                                               struct clm_err *err);

/* The target of the service with these files; NULL if there is none. */
struct clm_target *clm_service_target(const struct clm_service *service, const char *cert_path,
                                      const char *key_path);

#endif
