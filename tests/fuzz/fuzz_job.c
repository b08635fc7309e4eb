/* SPDX-License-Identifier: Apache-2.0 */
/* The payload of a job, and what it asks for. */
#include "agent/model/job.h"
#include "tests/fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct clm_job_envelope job = {.root = NULL};
    struct clm_job_spec spec;

    if (clm_job_envelope_parse((const char *)data, len, &job, NULL) == CLM_OK &&
        clm_job_spec_parse(&job, &spec, NULL) == CLM_OK) {
        clm_job_spec_done(&spec);
    }
    clm_job_envelope_done(&job);
    return 0;
}
