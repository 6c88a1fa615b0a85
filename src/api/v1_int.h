/* What v1's files share. */
#ifndef TOCSIN_API_V1_INT_H
#define TOCSIN_API_V1_INT_H

#include "api/v1.h"

bool v1_error(struct api_v1_job *j, int status, const char *type, const char *fmt, ...) PRINTF_LIKE(4, 5); /* false */
bool v1_bad(struct api_v1_job *j, const char *fmt, ...) PRINTF_LIKE(2, 3);
bool v1_storage_error(struct api_v1_job *j, const struct err *err);
/* {"status":"success","data":<json>,...}; small answers. */
void v1_answer(struct api_v1_job *j, struct str data_json, const struct str_list *warnings);
/* A result, pulled; takes it. */
void v1_answer_result(struct api_v1_job *j, struct promql_result *r);
/* Lists of texts or label sets, pulled; in the arena of the request. */
void v1_answer_strs(struct api_v1_job *j, struct strs list, bool truncated);
void v1_answer_series(struct api_v1_job *j, struct labels *v, size_t n, bool truncated, struct arena *take);
void v1_write_time(struct buf *out, int64_t ms);

#endif
