/* SPDX-License-Identifier: Apache-2.0 */
/* docgen - the option table as pages for people: "clmbot config doc" and "clmbot config show" */
#ifndef CLM_CONFIG_DOCGEN_H
#define CLM_CONFIG_DOCGEN_H

#include "agent/base/buf.h"
#include "agent/base/err.h"
#include "config/config.h"

#define CLM_DOC_MAX 262144u /* bytes of a page */

/* Appends the list of options in mdoc(7); docs/man/clmbot.yaml.5 holds exactly this text between
 * its two marks. Errors: NOMEM, LIMIT. */
CLM_MUST_USE enum clm_code clm_docgen_mdoc(struct clm_buf *out, struct clm_err *err);
/* The same as a table in Markdown. */
CLM_MUST_USE enum clm_code clm_docgen_markdown(struct clm_buf *out, struct clm_err *err);
/* Appends the configuration in force as YAML that could be loaded again. */
CLM_MUST_USE enum clm_code clm_config_show(const struct clm_config *config, struct clm_buf *out,
                                           struct clm_err *err);

#endif
