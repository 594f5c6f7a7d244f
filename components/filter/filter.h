/* What the files of the filter plugin share. */
#ifndef FILTER_FILTER_H
#define FILTER_FILTER_H

#include <runnel/component.h>

/* Whether the props' condition holds. RN_ECONFIG, RN_EINVAL with a text. */
int32_t filter_check(struct rn_run *run, bool *ret);

extern const struct rn_component filter_continue_based_on_condition, filter_exit_based_on_condition,
    filter_exit_based_on_custom_condition;

#endif
