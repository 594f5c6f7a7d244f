/* A loop of our own, because libcurl's looks up only every second. */
#include "net/curl_wait.h"

#include "net/http_server_private.h"

enum { LOOK_MS = 100 }; /* for `cancelled` */

CURLcode curl_wait(CURLM *multi, const atomic_bool *cancelled, int64_t deadline_ms)
{
    for (;;) {
        int running = 0, queued = 0;
        if (cancelled && atomic_load(cancelled))
            return CURLE_ABORTED_BY_CALLBACK;
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        CURLMsg *message;
        while ((message = curl_multi_info_read(multi, &queued)))
            if (message->msg == CURLMSG_DONE)
                return message->data.result;
        int64_t left_ms = deadline_ms - http_now_ms();
        if (left_ms <= 0)
            return CURLE_OPERATION_TIMEDOUT;
        (void)curl_multi_poll(multi, NULL, 0, (int)(left_ms < LOOK_MS ? left_ms : LOOK_MS), NULL);
    }
}
