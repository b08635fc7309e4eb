/* SPDX-License-Identifier: Apache-2.0 */
/*
 * declared - certificate files of programs that no scanner knows, as root declared them
 *
 * Section "files" of clmbot.yaml: which files there are, what goes into them, and how the program
 * behind them is told. Target id "file:NAME". docs/deployers/file.md.
 */
#ifndef CLM_MODEL_DECLARED_H
#define CLM_MODEL_DECLARED_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/base/str.h"
#include "agent/model/plan.h"
#include "agent/model/probe.h"

#define CLM_DECLARED_KIND "file" /* of services, targets and the deployer */

struct clm_declared_output {
    char path[PATH_MAX];
    char content[16]; /* clm_content_name(), without "edit"; "" in a keystore */
    char format[16];  /* clm_file_format_name() */
    char alias[512];
    char password_file[PATH_MAX];     /* of the keystore, or of an encrypted PEM key */
    char key_password_file[PATH_MAX]; /* of the keystore's entry, if it has its own */
    char owner[64];                   /* of a file that is created; names or numbers */
    char group[64];
    char mode[8]; /* octal: "0640"; "" 0600 with a key in it, else 0644 */
};

struct clm_declared {
    char name[65];
    struct clm_declared_output *outputs;
    size_t n_outputs;
    char check[65];  /* name of a hook that tests the new files before the reload; "" none */
    char reload[16]; /* "unit", "restart", "hook", "none" */
    char unit[256];  /* unit, restart */
    char hook[65];   /* hook */
    struct {
        char address[CLM_ADDR_SIZE]; /* "" there is no place to prove it at */
        uint32_t port;
        char sni[CLM_DNS_NAME_SIZE];
        uint32_t deadline_s; /* 0: deploy.deadline */
    } verify;
};

void clm_declared_done(struct clm_declared *declared);

/* The FILE_PUT step of an output, but for owner and group. Errors: CONFIG what does not go together. */
CLM_MUST_USE enum clm_code clm_declared_step(const struct clm_declared_output *output,
                                             struct clm_step *step, struct clm_err *err);

struct clm_io;
/* Sets uid and gid of the step: names are looked up in /etc/passwd and /etc/group; "" is root.
 * Errors: CONFIG no such user or group. */
CLM_MUST_USE enum clm_code clm_declared_owner(const struct clm_io *io,
                                              const struct clm_declared_output *output,
                                              struct clm_step *step, struct clm_err *err);

/*
 * clm_declared_read() - one entry of the section "files"
 *
 * In      obj  every value is a text, "outputs" a list of maps
 * Out     out  zeroed by the caller, all but name; for clm_declared_done() also after an error
 * Errors  PARSE, LIMIT, CONFIG, INVAL; the message begins with the member
 */
CLM_MUST_USE enum clm_code clm_declared_read(const struct clm_json *obj, struct clm_declared *out,
                                             struct clm_err *err);
/* A hook: a list of texts, the first an absolute path. Errors: PARSE, NOMEM. */
CLM_MUST_USE enum clm_code clm_hook_read(const struct clm_json *list, struct clm_strs *out,
                                         struct clm_err *err);

#endif
