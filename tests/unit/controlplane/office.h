/* SPDX-License-Identifier: Apache-2.0 */
/* office - a control plane's worker at work: a database on disk, a CA made of answers, an order */
#ifndef CLM_TESTS_UNIT_CONTROLPLANE_OFFICE_H
#define CLM_TESTS_UNIT_CONTROLPLANE_OFFICE_H

#include "controlplane/orders.h"
#include "tests/unit/controlplane/ca_script.h"
#include "tests/unit/controlplane/plane.h"

struct office {
    struct plane plane;
    struct ca_script ca;
    struct clm_cp_hub *hub;
    unsigned certs; /* made until now */
};

/* Connectors: "none" and "proved" are built in, "acme" is the CA of ca_script. Asserts. */
void office_open(struct office *office);
void office_close(struct office *office);

/* What is asked for in an order; all but connector may be NULL. */
struct office_order {
    const char *connector;
    const char *names; /* of the certificate, JSON; a.example */
    const char *email; /* in the request, besides a.example */
    const char *uri;
};
/* A new one for a new certificate, due at once. */
void office_order(struct office *office, const struct office_order *in, char id[CLM_ID_SIZE]);
void office_load(struct office *office, const char *id, struct clm_cp_order *out);
/* SQL about the order ?1. */
void office_sql(struct office *office, const char *sql, const char *id);

/* Starts a worker, lets it look for work once, and stops it. */
enum clm_code office_turn(struct office *office, struct clm_err *err);
/* An order that waits for its time is due; what is to be served is; and a turn. */
void office_advance(struct office *office, const char *id);
/* Until the order is over. Fails unless it ends in that state. */
void office_finish(struct office *office, const char *id, const char *state);

#endif
