/* Functions that are not used here, each with what to use instead. Included last by base headers'
 * users through mem.h. */
#ifndef RUNNEL_BASE_BANNED_H
#define RUNNEL_BASE_BANNED_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#pragma GCC poison strcpy  /* struct buf, snprintf */
#pragma GCC poison strcat  /* struct buf */
#pragma GCC poison strncpy /* struct buf, memcpy */
#pragma GCC poison sprintf /* snprintf, buf_addf */
#pragma GCC poison strtok  /* str_cut */
#pragma GCC poison atoi    /* num_parse_i64 */
#pragma GCC poison strtol  /* num_parse_i64 */
#pragma GCC poison gmtime  /* gmtime_r, clock_format */
#pragma GCC poison localtime

#endif
