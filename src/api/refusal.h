/* What upstream's API framework (go-openapi) refuses before a handler sees it: {"code":N,"message":"..."}, no newline. */
#ifndef TOCSIN_API_REFUSAL_H
#define TOCSIN_API_REFUSAL_H

#include "base/str.h"

#include <stdbool.h>

struct api_refusal {
    int status; /* 0: none */
    int code;
    struct str message;
};

/* Always false, so that `return api_refuse(...)` reads well. The message must live as long as the request. */
static inline bool api_refuse(struct api_refusal *r, int status, int code, struct str message)
{
    *r = (struct api_refusal){ status, code, message };
    return false;
}

#endif
