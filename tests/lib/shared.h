/* What every conformance runner needs: the folder of shared cases, files and JSON lines in it, counting, and the closing
 * line. A runner reads
 *
 *     int main(void)
 *     {
 *         if (!shared_begin("matchers"))
 *             return shared_finish();
 *         shared_jsonl("conformance/alertmanager/matchers.jsonl", run_case, NULL);
 *         return shared_finish();
 *     }
 *
 * and in each case calls exactly one of shared_pass(), shared_fail(), shared_skip().
 *
 * Integers that do not fit into 63 bits (hashes) are strings of digits, as jansson has no room for them.
 *
 * The folder is $TOCSIN_SHARED, else ../shared (programs run with the repository's root as working directory). If it is
 * not there, shared_begin() says `SKIP <name>: ../shared not there`, counts one skip and returns false. */
#ifndef TOCSIN_TESTS_LIB_SHARED_H
#define TOCSIN_TESTS_LIB_SHARED_H

#include "base/buf.h"
#include "base/str.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

bool shared_begin(const char *name);
int shared_finish(void); /* prints `N passed, N failed, N skipped`; 1 if any failed, else 0: main's result */

/* For tests outside runners: is the folder there? */
bool shared_is_there(void);

/* Path under the folder, in a static buffer that the next call overwrites. */
const char *shared_path(const char *relative);
/* The file's bytes, appended. A file that is missing is a failed case; returns false. */
bool shared_read(const char *relative, struct buf *out);
/* The parsed file (json_decref it) or NULL, which has been counted as a failed case. */
json_t *shared_json(const char *relative);
/* Calls `run` for each line that is not empty, with its number from 1. Lines that are no JSON are failed cases. */
typedef void shared_case(const json_t *value, size_t line, void *arg);
void shared_jsonl(const char *relative, shared_case *run, void *arg);
/* Calls `visit` for the names in a folder, sorted, without . and .. */
void shared_list(const char *relative, void (*visit)(const char *relative_path, void *arg), void *arg);

void shared_pass(void);
/* Prints `FAIL <what>: ...` and counts. */
void shared_fail(const char *what, const char *fmt, ...) PRINTF_LIKE(2, 3);
void shared_skip(const char *what, const char *why);
/* Passes if equal, else fails with both texts, quoted. */
bool shared_check_str(const char *what, struct str got, struct str want);

/* Members of a case. Absent or of another type: the fallback. */
struct str shared_get_str(const json_t *object, const char *key); /* may hold NUL; p == NULL if absent */
int64_t shared_get_int(const json_t *object, const char *key, int64_t fallback);
bool shared_get_bool(const json_t *object, const char *key, bool fallback);
/* Text of hex digits as bytes, appended. False if it is none. */
bool shared_unhex(struct str hex, struct buf *out);

#endif
