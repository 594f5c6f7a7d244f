/* Mocked steps: what `runnel test` and dry replays give instead of calling anyone. A mock is found
 * by the step's path, else by its namespace:
 *
 *   {"return": value} | {"exports": {…}} | {"error": "text" or {code, text}} | {"resume": body}
 *
 * with "exit": reason beside the first two, where the step ends the workflow; or a list of these,
 * one for each call in turn, the last one for all that follow. Thread: the loop's. */
#include "engine/run.h"

/* The mock of the step's next call; NULL: none. */
static struct json *take_mock(const struct strand *strand)
{
    struct engine *engine = strand->run->engine;
    struct json *mock = json_get_mut(engine->mocks, strand->path);
    if (!mock)
        mock = json_get_mut(engine->mocks, strand_step(strand)->namespace_);
    if (!json_is(mock, JSON_ARRAY))
        return mock ? json_copy(mock) : NULL;
    return json_count(mock) > 1 ? json_take_first(mock)
           : json_first(mock)   ? json_copy(json_first(mock))
                                : NULL;
}

bool mock_is_for(const struct strand *strand)
{
    const struct engine *engine = strand->run->engine;
    return engine->calls_nothing || json_get(engine->mocks, strand->path) ||
           json_get(engine->mocks, strand_step(strand)->namespace_);
}

static int code_of(const char *word)
{
    static const int codes[] = {RN_EFAILED, RN_ERATE, RN_ETIMEDOUT, RN_EUNAVAILABLE, RN_EUNKNOWN,
                                RN_EAUTH,   RN_EHTTP, RN_EINVAL,    RN_ECONFIG,      RN_ENOTFOUND};
    for (size_t i = 0; word && i < COUNT_OF(codes); i++)
        if (strcmp(word, err_word(codes[i])) == 0)
            return codes[i];
    return RN_EFAILED;
}

void mock_answer(const struct strand *strand, struct mock_answer *ret)
{
    struct json *mock = take_mock(strand);
    *ret = (struct mock_answer){.code = 0};
    if (!mock) {
        ret->code = RN_EFAILED;
        (void)snprintf(ret->text, sizeof(ret->text), "not called: the step has no mock");
        return;
    }
    const struct json *error = json_get(mock, "error"), *exit = json_get(mock, "exit");
    if (error) {
        const char *words = json_c(error) ? json_c(error) : json_get_c(error, "text");
        ret->code = code_of(json_get_c(error, "code"));
        (void)snprintf(ret->text, sizeof(ret->text), "%s", words ? words : "mocked failure");
    } else if (json_get(mock, "exports")) {
        ret->exports = json_take(mock, "exports");
    } else {
        ret->exports = json_new_object();
        if (json_get(mock, "return"))
            (void)json_set(ret->exports, "$return_value", json_take(mock, "return"));
    }
    ret->is_exit = exit && !error;
    ret->exit_reason = ret->is_exit && json_c(exit) ? xstrdup(json_c(exit)) : NULL;
    json_free(mock);
}

struct json *mock_resume(const struct strand *strand)
{
    if (!json_get(strand->run->engine->mocks, strand->path) &&
        !json_get(strand->run->engine->mocks, strand_step(strand)->namespace_))
        return NULL;
    struct json *mock = take_mock(strand), *data = NULL;
    if (json_get(mock, "resume")) {
        data = json_new_object();
        (void)json_set(data, "body", json_take(mock, "resume"));
    }
    json_free(mock);
    return data;
}
