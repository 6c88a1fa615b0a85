/* Parsing is a sum of number-and-unit pieces, as upstream's library does it; a bare number needs a unit unless it is 0. */
#include "config/sizes.h"

#include "base/num.h"

struct unit {
    struct str name;
    int64_t bytes;
};
static const struct unit units[] = {
    { STR_INIT("EiB"), INT64_C(1) << 60 },
    { STR_INIT("PiB"), INT64_C(1) << 50 },
    { STR_INIT("TiB"), INT64_C(1) << 40 },
    { STR_INIT("GiB"), INT64_C(1) << 30 },
    { STR_INIT("MiB"), INT64_C(1) << 20 },
    { STR_INIT("KiB"), INT64_C(1) << 10 },
    { STR_INIT("B"), 1 },
    { STR_INIT("EB"), INT64_C(1) << 60 },
    { STR_INIT("PB"), INT64_C(1) << 50 },
    { STR_INIT("TB"), INT64_C(1) << 40 },
    { STR_INIT("GB"), INT64_C(1) << 30 },
    { STR_INIT("MB"), INT64_C(1) << 20 },
    { STR_INIT("KB"), INT64_C(1) << 10 },
};
#define UNITS_PRINTED 7 /* the first of them, largest first */

static bool is_number_byte(char c)
{
    return ascii_is_digit(c) || c == '.';
}

/* One number and its unit. */
static bool cut_piece(struct str all, struct str *rest, double *sum, struct err *err)
{
    size_t n = 0, u;
    while (n < rest->n && is_number_byte(rest->p[n]))
        n++;
    for (u = n; u < rest->n && !is_number_byte(rest->p[u]);)
        u++;
    struct str number = str_sub(*rest, 0, n), name = str_sub(*rest, n, u - n);
    double value;
    *rest = str_from(*rest, u);
    if (!num_parse_f64(number, &value, NULL))
        return err_set(err, ERR_INVALID, "units: invalid %.*s", STR_ARG(all));
    if (name.n == 0)
        return err_set(err, ERR_INVALID, "units: missing unit in %.*s", STR_ARG(all));
    for (size_t i = 0; i < ARRAY_LEN(units); i++)
        if (str_eq(units[i].name, name)) {
            *sum += value * (double)units[i].bytes;
            return true;
        }
    return err_set(err, ERR_INVALID, "units: unknown unit %.*s in %.*s", STR_ARG(name), STR_ARG(all));
}

bool size_parse(struct str text, int64_t *bytes, struct err *err)
{
    struct str rest = text;
    double sum = 0;
    bool negative = text.n && text.p[0] == '-';
    if (text.n && (text.p[0] == '-' || text.p[0] == '+'))
        rest = str_from(rest, 1);
    if (str_eq(rest, STR("0"))) {
        *bytes = 0;
        return true;
    }
    if (rest.n == 0)
        return err_set(err, ERR_INVALID, "units: invalid %.*s", STR_ARG(text));
    while (rest.n)
        if (!cut_piece(text, &rest, &sum, err))
            return false;
    if (sum >= 9223372036854775808.0)
        return err_set(err, ERR_INVALID, "units: overflow parsing unit");
    *bytes = negative ? -(int64_t)sum : (int64_t)sum;
    return true;
}

void size_write(struct buf *out, int64_t bytes)
{
    uint64_t rest = bytes < 0 ? (uint64_t)0 - (uint64_t)bytes : (uint64_t)bytes;
    if (bytes < 0)
        buf_byte(out, '-');
    if (rest == 0)
        buf_c(out, "0B");
    for (size_t i = 0; i < UNITS_PRINTED && rest; i++) {
        uint64_t unit = (uint64_t)units[i].bytes, n = rest / unit;
        if (n == 0)
            continue;
        buf_u64(out, n);
        buf_str(out, units[i].name);
        rest -= n * unit;
    }
}

static bool size_read(struct binding *b, struct str text, void *out, struct err *err)
{
    (void)b;
    return size_parse(text, out, err);
}

static void size_emit(struct yaml_emitter *e, const void *value)
{
    struct buf b = { 0 };
    size_write(&b, *(const int64_t *)value);
    yaml_emit_str(e, buf_view(&b));
    buf_deinit(&b);
}

static bool size_is_zero(const void *value)
{
    return *(const int64_t *)value == 0;
}

static bool opt_size_read(struct binding *b, struct str text, void *out, struct err *err)
{
    struct opt_i64 *opt = out;
    (void)b;
    opt->set = true;
    return size_parse(text, &opt->v, err);
}

static void opt_size_emit(struct yaml_emitter *e, const void *value)
{
    size_emit(e, &((const struct opt_i64 *)value)->v);
}

static bool opt_size_is_zero(const void *value)
{
    return !((const struct opt_i64 *)value)->set;
}

const struct bind_scalar size_scalar = {
    .size = sizeof(int64_t),
    .parse = size_read,
    .emit = size_emit,
    .is_zero = size_is_zero,
};
const struct bind_scalar opt_size_scalar = {
    .size = sizeof(struct opt_i64),
    .parse = opt_size_read,
    .emit = opt_size_emit,
    .is_zero = opt_size_is_zero,
};
