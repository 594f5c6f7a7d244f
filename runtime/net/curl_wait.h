/* Waiting for one transfer of libcurl: what the HTTP client and SMTP share. Private to the room. */
#ifndef RUNNEL_NET_CURL_WAIT_H
#define RUNNEL_NET_CURL_WAIT_H

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdint.h>

/* Until the only transfer of `multi` ends, with its result; CURLE_ABORTED_BY_CALLBACK when
 * `cancelled` (may be NULL) is set, CURLE_OPERATION_TIMEDOUT at `deadline_ms` (of http_now_ms()). */
CURLcode curl_wait(CURLM *multi, const atomic_bool *cancelled, int64_t deadline_ms);

#endif
