/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ca_script - an ACME CA at https://ca.example/, and web servers that serve challenges
 *
 * Answers every clm_http_do() of a test that is linked with -Wl,--wrap=clm_http_do. Left alone, the
 * CA proves and issues whatever it is asked; a test puts other answers in front.
 */
#ifndef CLM_TESTS_UNIT_CONTROLPLANE_CA_SCRIPT_H
#define CLM_TESTS_UNIT_CONTROLPLANE_CA_SCRIPT_H

#include <stdbool.h>

#include "agent/base/err.h"
#include "controlplane/pki.h"

#define CA_BASE  "https://ca.example"
#define CA_TOKEN "evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"

struct ca_answer {
    const char *url; /* "/path" at the CA, or how another URL begins; NULL: the end of the list */
    int status;
    const char *body;
    unsigned retry_after_s;
    enum clm_code fails; /* instead of an answer */
    unsigned times;      /* then the usual answer; 0: always this one */
};

struct ca_script {
    const struct clm_cp_pki *pki;    /* issues */
    const struct ca_answer *answers; /* NULL: none but the usual */
    unsigned asked[16];              /* of each answer */
    unsigned accounts;               /* requests for an account */
    char profile[64];                /* asked for in the last order; "" */
    bool is_proved;                  /* all names, from an order before */
    bool is_ready;                   /* somebody told it to look */
    bool is_issued;
    char served[2048]; /* by every web server: contents of challenges, one a line */
    struct clm_buf chain;
};

/* One at a time; it must stay until ca_script_stop(). */
void ca_script_start(struct ca_script *script, const struct clm_cp_pki *pki);
void ca_script_stop(struct ca_script *script);

#endif
