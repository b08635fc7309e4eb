/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hostlink - a local command's way to the host half
 *
 * Through its socket if there is one, else (root) by starting one for this command. Handshakes that
 * the host half asks for are made here.
 */
#ifndef CLM_MAIN_HOSTLINK_H
#define CLM_MAIN_HOSTLINK_H

#include <stdbool.h>

#include "agent/base/err.h"
#include "agent/base/json.h"
#include "agent/ipc/link.h"
#include "agent/ipc/ops.h"
#include "config/config.h"

struct clm_hostlink_ask {
    enum clm_op op;
    const struct clm_json *body; /* NULL: {} */
    bool progress; /* steps are shown on stderr as they happen, if that is a terminal */
    void (*on_event)(void *arg, const struct clm_json *event); /* in place of that; may be NULL */
    void *arg;
    const char *lost_hint; /* what to do if it was asked and its answer was lost; may be NULL */
};

/*
 * clm_hostlink_call() - one request, from connecting to the reply
 *
 * Out     out_reply the caller's
 *         fail      what the host half said, if it refused; code CLM_OK if it said nothing. Its hint
 *                   is worth showing in either case
 * Errors  PERM not root and no socket we may use; CONFLICT; IO the host half was lost; those of the
 *         operation
 */
CLM_MUST_USE enum clm_code clm_hostlink_call(const struct clm_config *config,
                                             const struct clm_hostlink_ask *ask,
                                             struct clm_json **out_reply, struct clm_fail *fail,
                                             struct clm_err *err);

#endif
