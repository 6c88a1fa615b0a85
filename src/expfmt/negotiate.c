/* Which format a client gets (prometheus/common expfmt.Negotiate). The header is cut at commas, each range at
 * semicolons; the ranges are looked at by falling q, and the first that names a format we write wins. An escaping
 * named by a range that is passed over still counts, as it does upstream. */
#include "expfmt/write.h"

#include "base/num.h"

enum { RANGES_MAX = 32 };
enum escaping { ESCAPING_UNDERSCORES, ESCAPING_UTF8, ESCAPING_DOTS, ESCAPING_VALUES, ESCAPINGS };

static const struct str escaping_names[ESCAPINGS] = {
    [ESCAPING_UNDERSCORES] = STR_INIT("underscores"),
    [ESCAPING_UTF8] = STR_INIT("allow-utf-8"),
    [ESCAPING_DOTS] = STR_INIT("dots"),
    [ESCAPING_VALUES] = STR_INIT("values"),
};

#define CONTENT_TYPES(head)                                                                        \
    {                                                                                              \
        [ESCAPING_UNDERSCORES] = STR_INIT(head "; charset=utf-8; escaping=underscores"),           \
        [ESCAPING_UTF8] = STR_INIT(head "; charset=utf-8; escaping=allow-utf-8"),                  \
        [ESCAPING_DOTS] = STR_INIT(head "; charset=utf-8; escaping=dots"),                         \
        [ESCAPING_VALUES] = STR_INIT(head "; charset=utf-8; escaping=values"),                     \
    }

static const struct format_row {
    struct str type, version;
    struct str content_types[ESCAPINGS];
} formats[] = {
    [EXPFMT_TEXT_0_0_4] = { STR_INIT("text/plain"), STR_INIT("0.0.4"), CONTENT_TYPES("text/plain; version=0.0.4") },
    [EXPFMT_TEXT_1_0_0] = { STR_INIT("text/plain"), STR_INIT("1.0.0"), CONTENT_TYPES("text/plain; version=1.0.0") },
    [EXPFMT_OPENMETRICS_0_0_1] = { STR_INIT("application/openmetrics-text"), STR_INIT("0.0.1"),
                                   CONTENT_TYPES("application/openmetrics-text; version=0.0.1") },
    [EXPFMT_OPENMETRICS_1_0_0] = { STR_INIT("application/openmetrics-text"), STR_INIT("1.0.0"),
                                   CONTENT_TYPES("application/openmetrics-text; version=1.0.0") },
};

struct range {
    struct str type, version, escaping;
    double q;
};

static struct range read_range(struct str text)
{
    struct range r = { .version = STR_EMPTY, .escaping = STR_EMPTY, .q = 1 };
    struct str part;
    (void)str_split(&text, ';', &part);
    r.type = str_trim(part);
    while (str_split(&text, ';', &part)) {
        struct str name, value = part;
        (void)str_split(&value, '=', &name);
        name = str_trim(name);
        value = str_trim_set(str_trim(value), STR("\""));
        if (str_eq_nocase(name, STR("version")))
            r.version = value;
        else if (str_eq_nocase(name, STR("escaping")))
            r.escaping = value;
        else if (str_eq_nocase(name, STR("q")) && !num_parse_f64(value, &r.q, NULL))
            r.q = 1;
    }
    return r;
}

/* By falling q, equal ones in the header's order. */
static size_t read_ranges(struct str accept, struct range v[RANGES_MAX])
{
    struct str part;
    size_t n = 0;
    while (n < RANGES_MAX && str_split(&accept, ',', &part)) {
        struct range r = read_range(part);
        size_t at = n++;
        for (; at > 0 && v[at - 1].q < r.q; at--)
            v[at] = v[at - 1];
        v[at] = r;
    }
    return n;
}

static bool fits(const struct range *r, enum expfmt_format format)
{
    /* Without a version: the oldest one of the type, which stands first in the table. */
    bool oldest = format == EXPFMT_TEXT_0_0_4 || format == EXPFMT_OPENMETRICS_0_0_1;
    return str_eq_nocase(r->type, formats[format].type) &&
           (str_eq(r->version, formats[format].version) || (r->version.n == 0 && oldest));
}

/* Among the first formats_count formats of the table. */
static struct expfmt_choice choose(struct str accept, size_t formats_count)
{
    struct range ranges[RANGES_MAX];
    size_t n = read_ranges(accept, ranges);
    enum escaping escaping = ESCAPING_UNDERSCORES;
    for (size_t i = 0; i < n; i++) {
        for (size_t e = 0; e < ESCAPINGS; e++)
            if (str_eq(ranges[i].escaping, escaping_names[e]))
                escaping = (enum escaping)e;
        for (size_t f = 0; f < formats_count; f++)
            if (fits(&ranges[i], (enum expfmt_format)f))
                return (struct expfmt_choice){ (enum expfmt_format)f, formats[f].content_types[escaping] };
    }
    return (struct expfmt_choice){ EXPFMT_TEXT_0_0_4, formats[EXPFMT_TEXT_0_0_4].content_types[escaping] };
}

struct expfmt_choice expfmt_negotiate(struct str accept)
{
    return choose(accept, EXPFMT_OPENMETRICS_0_0_1);
}

struct expfmt_choice expfmt_negotiate_openmetrics(struct str accept)
{
    return choose(accept, ARRAY_LEN(formats));
}
