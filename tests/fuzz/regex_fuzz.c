/* Any bytes as a pattern and a subject: nothing crashes, the fast paths agree with the automaton. */
#include "base/buf.h"
#include "regex/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > 4096)
        return 0;
    unsigned flags = data[0] & 7u;
    size_t cut = (size_t)data[1] % (size - 1);
    struct str text = str_of((const char *)data + 2, cut > size - 2 ? size - 2 : cut);
    struct str subject = str_of(text.p + text.n, size - 2 - text.n);
    struct err err;
    struct regex *re = regex_compile(text, flags, &err);
    if (re == NULL)
        return 0;
    struct str groups[8];
    bool match = regex_match(re, subject);
    ASSERT(match == regex_find(re, subject, 0, groups, 8));
    if (match && (flags & REGEX_ANCHORED) != 0)
        ASSERT(str_starts(subject, regex_prefix(re)));
    struct buf out = { .limit_bytes = 1024 * 1024 };
    regex_replace_all(re, subject, text, &out);
    buf_deinit(&out);
    regex_release(re);
    return 0;
}
