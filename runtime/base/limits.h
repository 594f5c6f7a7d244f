/* Every size and count that comes from outside, by name. Bytes unless the name says otherwise. What
 * a user can change says so; the rest is fixed. */
#ifndef RUNNEL_BASE_LIMITS_H
#define RUNNEL_BASE_LIMITS_H

#define KIB(n_) ((size_t)(n_) << 10)
#define MIB(n_) ((size_t)(n_) << 20)
#define GIB(n_) ((unsigned long long)(n_) << 30)

/* HTTP edge */
#define LIMIT_HTTP_BODY MIB(10)     /* limits.body in runnel.yaml */
#define LIMIT_HTTP_BODY_MAX MIB(64) /* the most that limits.body may say */
#define LIMIT_HTTP_HEADERS KIB(16)  /* request line and headers; 431 */
#define LIMIT_HTTP_HEADER_COUNT 64  /* civetweb drops what is past it; 431 */
#define LIMIT_HTTP_REQUEST_MS 30000 /* from the first byte to the last; 408 */
#define LIMIT_HTTP_IDLE_MS 5000     /* keep-alive */
#define LIMIT_HTTP_THREADS 256      /* connections served at once, per listener */
#define LIMIT_HTTP_QUERY_PARAMS 256
#define LIMIT_STREAMS 2048 /* server-sent event streams open at once */

/* JSON */
#define LIMIT_JSON_BYTES MIB(64)
#define LIMIT_JSON_DEPTH 256
#define LIMIT_JSON_NODES 2000000

/* HTTP client */
#define LIMIT_FETCH_RESPONSE MIB(32)
#define LIMIT_FETCH_HEADERS KIB(256)
#define LIMIT_FETCH_REDIRECTS 5
#define LIMIT_FETCH_TIMEOUT_MS 30000
#define LIMIT_FETCH_CONNECT_MS 10000

/* frames between processes */
#define LIMIT_FRAME_BYTES MIB(96)
#define LIMIT_FRAME_SECTIONS 16384
#define LIMIT_ASKS 16 /* of one call, open at once */

/* plugins */
#define LIMIT_PLUGIN_FILE MIB(64)
#define LIMIT_PLUGIN_MEMORY MIB(512) /* limits.plugin_memory: data segment of a plugin host */
#define LIMIT_PLUGIN_FILES 256       /* open descriptors */
#define LIMIT_PLUGIN_THREADS 64      /* calls at once in one host */
#define LIMIT_PLUGIN_CRASHES 5       /* in a row: the plugin is quarantined */
#define LIMIT_PROPS 128
#define LIMIT_PROP_TEXT KIB(64)  /* a prop's value as written in the file */
#define LIMIT_OPTIONS 1000       /* a page */
#define LIMIT_EMITS 10000        /* a source run */
#define LIMIT_EMIT_BYTES MIB(32) /* a source run, all together */
#define LIMIT_DB_BYTES MIB(1)    /* a source instance's db */
#define LIMIT_DB_KEY 256
#define LIMIT_EMIT_ID 256
#define LIMIT_SUMMARY KIB(1)
#define LIMIT_LOG_LINE KIB(64)
#define LIMIT_LOG_BYTES MIB(1)     /* a call */
#define LIMIT_EXPORT_BYTES MIB(16) /* a step */
#define LIMIT_RERUN_CONTEXT KIB(64)
#define LIMIT_RERUNS 10000
#define LIMIT_DEDUPE_IDS 10000 /* `dedupe: { remember: N }` of a source */
#define LIMIT_SOURCE_RUN_MS 30000
#define LIMIT_HOOK_MS 60000
#define LIMIT_OPTIONS_MS 30000
#define LIMIT_HOST_IDLE_MS 60000   /* a host process without calls ends; the next one starts it */
#define LIMIT_CANCEL_GRACE_MS 2000 /* between asking a host to cancel and killing it */

/* code steps */
#define LIMIT_CODE_TEXT KIB(256)          /* the code of a step */
#define LIMIT_CODE_MEMORY MIB(256)        /* settings.memory: data of a process */
#define LIMIT_CODE_MEMORY_MIN MIB(32)     /* the least that settings.memory may say */
#define LIMIT_CODE_MEMORY_MAX GIB(16)     /* the most */
#define LIMIT_CODE_NODE_OVERHEAD MIB(512) /* what node sets up beside its heap */
#define LIMIT_CODE_PROCESSES 32           /* of all languages at once, warm ones too */
#define LIMIT_CODE_FILES 1024             /* open descriptors of each */
#define LIMIT_CODE_ASK_MS 30000           /* an interpreter that is asked something */
#define LIMIT_CODE_IDLE_MS 300000         /* a warm process without a call ends */

/* files of a run */
#define LIMIT_FILES MIB(512)       /* limits.files: of one run, all together */
#define LIMIT_FILES_MAX GIB(64)    /* the most that limits.files may say */
#define LIMIT_FILE_READ MIB(32)    /* rn_dir_read() */
#define LIMIT_FOLDER_ENTRIES 10000 /* files and folders of one run */
#define LIMIT_FOLDER_DEPTH 32

/* expressions */
#define LIMIT_EXPRESSION_TEXT KIB(64)
#define LIMIT_EXPRESSION_MS 1000
#define LIMIT_EXPRESSION_MEMORY MIB(64)

/* workflow files and project */
#define LIMIT_YAML_BYTES MIB(4)
#define LIMIT_YAML_DEPTH 64
#define LIMIT_YAML_NODES 200000
#define LIMIT_STEPS 1000
#define LIMIT_STEP_MS 30000 /* settings.timeout, and `timeout` of a step */
#define LIMIT_STEP_MS_MAX 3600000
#define LIMIT_ATTEMPTS_MAX 100
#define LIMIT_DELAY_MS (366ll * 86400000) /* a delay, a suspend's timeout, a pause */
#define LIMIT_ITEMS 100000                /* of a for_each */
#define LIMIT_CALL_DEPTH 20               /* workflows that call workflows */

/* triggers */
#define LIMIT_SCHEDULE_EVERY_MS (366ll * 86400000) /* the longest interval */
#define LIMIT_SCHEDULE_MISSED 1000                 /* firings that on_missed: all makes good */
#define LIMIT_SCHEDULE_OWED 100                    /* firings that wait under overlap: queue */
#define LIMIT_SCHEDULE_LATE_MS 60000               /* up to this late a firing is not missed */
#define LIMIT_TIMER_RUNS 16                        /* runs of timed sources at once */
#define LIMIT_RESPOND_WAIT_MS 30000                /* a sender waits for the workflow's answer */
#define LIMIT_RESPOND_WAITERS 192                  /* senders that wait; more: 503 */
#define LIMIT_MULTIPART_PARTS 256
#define LIMIT_SIGNATURE_SECRETS 8 /* `secret` may be a list, for a change of secrets */

/* data stores (data_store props) */
#define LIMIT_DATA_NAME 64           /* of a store; a record's key: LIMIT_DB_KEY */
#define LIMIT_DATA_VALUE MIB(1)      /* JSON */
#define LIMIT_DATA_KEYS 100000       /* of a store */
#define LIMIT_DATA_BYTES MIB(256)    /* of a store: keys and values */
#define LIMIT_DATA_STORES 256        /* of a project */
#define LIMIT_DATA_PAGE 1000         /* keys or items of one answer */
#define LIMIT_DATA_PAGE_BYTES MIB(4) /* no further record is added past them */
#define LIMIT_DATA_TTL_MS (3660ll * 86400000)

/* what runs send ($.send) */
#define LIMIT_SENDS 10000           /* of a run */
#define LIMIT_SEND_BYTES MIB(16)    /* of a run, all together, as JSON */
#define LIMIT_SEND_MS 5000          /* one try, redirects and all */
#define LIMIT_SEND_ANSWER MIB(1)    /* more of an answer is not read */
#define LIMIT_SEND_TRIES 5          /* unreachable, 408, 429, 5xx */
#define LIMIT_SEND_PAUSE_MS 3600000 /* the longest pause that a Retry-After brings about */
#define LIMIT_SEND_THREADS 16       /* deliveries at once */
#define LIMIT_SEND_PER_HOST 4  /* of these to one host, so that a slow one leaves room for others */
#define LIMIT_SEND_HOPS 16     /* workflows that start each other by what they emit */
#define LIMIT_SEND_CHANNEL 128 /* the name of a channel */
#define LIMIT_SSE_KEPT 100     /* messages of a workflow that a new stream begins with */
#define LIMIT_SSE_MESSAGE KIB(64) /* the payload of one, as JSON */
#define LIMIT_SSE_PUBLIC 256      /* streams open at once on the ingest listener */

/* store */
#define LIMIT_STORE_BYTES GIB(4)               /* limits.store */
#define LIMIT_HISTORY_BYTES GIB(1)             /* limits.history.bytes */
#define LIMIT_HISTORY_AGE_MS (30ll * 86400000) /* limits.history.age */
#define LIMIT_STORE_BATCH 512                  /* operations in one commit */
#define LIMIT_CHANGES 65536                    /* changes that a stream can resume from */
#define LIMIT_STORE_PENDING 20000              /* operations waiting; more: 503 */
#define LIMIT_ACTIVE_RUNS 1000                 /* runs in memory at once; the others wait on disk */

#endif
