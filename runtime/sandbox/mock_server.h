/* A server that answers as a test says and keeps what it was asked: what `runnel test` puts in
 * place of every host (egress_catch). Its paths are /<scheme>/<host[:port]>/<path…>.
 *
 * A mock: {"method"?: "POST", "url": "https://host/path" (with or without a query; a `*` at its end
 * stands for any rest), "status"?: 200, "headers"?: {}, "body"?: value, "times"?: N}. The first that
 * fits and is not used up answers; a request that fits none is answered with 501. [any thread] */
#ifndef RUNNEL_SANDBOX_MOCK_SERVER_H
#define RUNNEL_SANDBOX_MOCK_SERVER_H

#include "base/err.h"
#include "json/json.h"

struct mock_server;

/* `mocks`: a list, copied. */
int mock_server_start(const struct json *mocks, struct mock_server **ret, struct err *err) MUST_USE;
const char *mock_server_url(const struct mock_server *server);
/* [{method, url, headers, body, mocked}], in the order of arrival; the caller frees. */
struct json *mock_server_calls(struct mock_server *server);
void mock_server_stop(struct mock_server *server); /* NULL is fine */

#endif
