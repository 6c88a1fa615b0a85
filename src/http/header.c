/* Header texts: canonical names, tokens, Accept, media types. */
#include "http/header.h"

#include "base/num.h"

/* RFC 9110's tchar. */
static bool is_token_byte(char c)
{
    return ascii_is_alnum(c) || (c && strchr("!#$%&'*+-.^_`|~", c));
}

static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!is_token_byte(s.p[i]))
            return false;
    return s.n > 0;
}

bool http_header_name_valid(struct str name)
{
    return is_token(name);
}

bool http_header_value_valid(struct str value)
{
    for (size_t i = 0; i < value.n; i++)
        if (((unsigned char)value.p[i] < ' ' && value.p[i] != '\t') || value.p[i] == 0x7f)
            return false;
    return true;
}

void http_header_canonical(struct buf *b, struct str name)
{
    if (!is_token(name)) {
        buf_str(b, name);
        return;
    }
    bool upper = true;
    for (size_t i = 0; i < name.n; i++) {
        buf_byte(b, upper ? ascii_upper(name.p[i]) : ascii_lower(name.p[i]));
        upper = name.p[i] == '-';
    }
}

/* Cuts at the first `sep` outside quotes; false when *rest is exhausted. */
static bool split_quoted(struct str *rest, char sep, struct str *head)
{
    if (!rest->p)
        return false;
    bool quoted = false;
    for (size_t i = 0; i < rest->n; i++) {
        char c = rest->p[i];
        if (quoted && c == '\\') {
            i++;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (c == sep && !quoted) {
            *head = str_sub(*rest, 0, i);
            *rest = str_from(*rest, i + 1);
            return true;
        }
    }
    *head = *rest;
    *rest = (struct str){ 0 };
    return true;
}

bool http_token_list_has(struct str list, struct str token)
{
    struct str item, name;
    while (split_quoted(&list, ',', &item)) {
        split_quoted(&item, ';', &name);
        if (str_eq_nocase(str_trim(name), token))
            return true;
    }
    return false;
}

/* "q=0.8" among the parameters of a range; 1000 if absent, 0 if it makes no sense. */
static unsigned quality(struct str params)
{
    struct str p;
    while (params.p && split_quoted(&params, ';', &p)) {
        p = str_trim(p);
        if (p.n < 2 || ascii_lower(p.p[0]) != 'q' || p.p[1] != '=')
            continue;
        double v;
        if (!num_parse_f64(str_trim(str_from(p, 2)), &v, NULL) || !(v >= 0 && v <= 1))
            return 0;
        return (unsigned)(v * 1000 + 0.5);
    }
    return 1000;
}

/* 3: the type itself, 2: its family, 1: anything, 0: no match. */
static unsigned specificity(struct str range, struct str type)
{
    if (str_eq_nocase(range, type))
        return 3;
    if (str_eq(range, STR("*/*")) || str_eq(range, STR("*")))
        return 1;
    size_t slash = str_find_byte(type, '/');
    return slash != STR_NPOS && str_ends(range, STR("/*")) && range.n == slash + 2 &&
                   str_eq_nocase(str_sub(range, 0, slash), str_sub(type, 0, slash))
               ? 2
               : 0;
}

unsigned http_accept_quality(struct str accept, struct str type)
{
    if (str_trim(accept).n == 0)
        return 1000;
    unsigned best = 0, best_quality = 0;
    struct str item, range;
    while (split_quoted(&accept, ',', &item)) {
        split_quoted(&item, ';', &range);
        unsigned s = specificity(str_trim(range), type);
        if (s > best) {
            best = s;
            best_quality = quality(item);
        }
    }
    return best_quality;
}

int http_accept_choose(struct str accept, const struct str *offers, size_t offers_count)
{
    int best = -1;
    unsigned best_quality = 0;
    for (size_t i = 0; i < offers_count; i++) {
        unsigned q = http_accept_quality(accept, offers[i]);
        if (q > best_quality) {
            best = (int)i;
            best_quality = q;
        }
    }
    return best;
}

unsigned http_accept_encoding_quality(struct str accept_encoding, struct str coding)
{
    unsigned any = 0;
    struct str item, name;
    while (split_quoted(&accept_encoding, ',', &item)) {
        split_quoted(&item, ';', &name);
        name = str_trim(name);
        if (str_eq_nocase(name, coding))
            return quality(item);
        if (str_eq(name, STR("*")))
            any = quality(item);
    }
    return any;
}

static struct str lower(struct arena *a, struct str s)
{
    char *p = arena_alloc(a, s.n + 1);
    for (size_t i = 0; i < s.n; i++)
        p[i] = ascii_lower(s.p[i]);
    return str_of(p, s.n);
}

static struct str unquote(struct arena *a, struct str s)
{
    if (s.n < 2 || s.p[0] != '"')
        return s;
    char *p = arena_alloc(a, s.n);
    size_t n = 0;
    for (size_t i = 1; i + 1 < s.n; i++) {
        if (s.p[i] == '\\' && i + 2 < s.n)
            i++;
        p[n++] = s.p[i];
    }
    return str_of(p, n);
}

static bool quoted_or_token(struct str s)
{
    return is_token(s) || (s.n >= 2 && s.p[0] == '"' && s.p[s.n - 1] == '"');
}

bool http_media_type_parse(struct arena *a, struct str s, struct http_media_type *m, struct err *err)
{
    struct str rest = s, head, param;
    split_quoted(&rest, ';', &head);
    head = str_trim(head);
    size_t slash = str_find_byte(head, '/');
    *m = (struct http_media_type){ 0 };
    if (head.n == 0)
        return err_set(err, ERR_INVALID, "mime: no media type");
    if (slash == STR_NPOS ? !is_token(head) : !is_token(str_sub(head, 0, slash)))
        return err_set(err, ERR_INVALID, "mime: expected slash after first token");
    if (slash != STR_NPOS && slash + 1 == head.n)
        return err_set(err, ERR_INVALID, "mime: expected token after slash");
    if (slash != STR_NPOS && !is_token(str_from(head, slash + 1)))
        return err_set(err, ERR_INVALID, "mime: unexpected content after media subtype");
    m->type = lower(a, head);
    while (rest.p && split_quoted(&rest, ';', &param)) {
        param = str_trim(param);
        if (param.n == 0)
            continue;
        size_t eq = str_find_byte(param, '=');
        struct str name = str_trim(str_sub(param, 0, eq == STR_NPOS ? param.n : eq));
        struct str value = eq == STR_NPOS ? STR_EMPTY : str_trim(str_from(param, eq + 1));
        if (eq == STR_NPOS || !is_token(name) || !quoted_or_token(value))
            return err_set(err, ERR_INVALID, "mime: invalid media parameter");
        name = lower(a, name);
        if (http_media_param(m, name).p)
            return err_set(err, ERR_INVALID, "mime: duplicate parameter name");
        if (m->params_count == HTTP_MEDIA_PARAMS_MAX)
            return err_set(err, ERR_LIMIT, "mime: more than %d parameters", HTTP_MEDIA_PARAMS_MAX);
        m->params[m->params_count++] = (struct http_header){ name, unquote(a, value) };
    }
    return true;
}

struct str http_media_param(const struct http_media_type *m, struct str name)
{
    for (size_t i = 0; i < m->params_count; i++)
        if (str_eq_nocase(m->params[i].name, name))
            return m->params[i].value;
    return (struct str){ 0 };
}
