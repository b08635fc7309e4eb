/* SPDX-License-Identifier: Apache-2.0 */
#include "agent/main/pick.h"

#include "agent/base/clock.h"

const char *clm_pick_node(const struct clm_json *node, const char *fallback)
{
    const char *text = clm_json_text(node);

    return text != NULL && *text != '\0' ? text : fallback;
}

const char *clm_pick_text(const struct clm_json *obj, const char *key, const char *fallback)
{
    return clm_pick_node(clm_json_get(obj, key), fallback);
}

bool clm_pick_true(const struct clm_json *obj, const char *key)
{
    bool value = false;

    return clm_json_bool(obj, key, &value, NULL) == CLM_OK && value;
}

int64_t clm_pick_int(const struct clm_json *obj, const char *key)
{
    int64_t value = 0;

    clm_ignore(clm_json_int_or(obj, key, 0, CLM_JSON_INT_MAX, &value, NULL));
    return value;
}

int64_t clm_pick_time(const struct clm_json *obj, const char *key)
{
    const char *text = clm_json_text(clm_json_get(obj, key));
    int64_t at_s = 0;

    if (text != NULL) {
        clm_ignore(clm_time_parse(text, &at_s, NULL));
    }
    return at_s;
}
