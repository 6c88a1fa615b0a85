/* The function table: one row per function, for both flavours and for the engine itself. */
#ifndef TOCSIN_TEMPLATE_FUNC_INT_H
#define TOCSIN_TEMPLATE_FUNC_INT_H

#include "template/template.h"
#include "template/value.h"

enum func_flavour {
    FUNC_ALERTMANAGER = TEMPLATE_ALERTMANAGER,
    FUNC_PROMETHEUS = TEMPLATE_PROMETHEUS,
    FUNC_GO = 4,       /* Go's own */
    FUNC_ESCAPER = 8,  /* put in by the HTML engine; users cannot name them */
};

enum func_special { FUNC_PLAIN, FUNC_AND, FUNC_OR, FUNC_CALL };

typedef bool func_call(struct tval_call *c, const struct tval *args, size_t args_count, struct tval *out,
                       struct err *err);
struct func {
    struct str name;
    unsigned flavours;
    const char *params; /* letters of struct tval_method */
    func_call *call;
    enum func_special special;
};

/* The row that a name means to users of these flavours; NULL if none. */
const struct func *func_find(unsigned flavours, struct str name);
/* An escaper of the HTML engine; the name must exist. */
const struct func *func_escaper(struct str name);

/* Helpers for rows. Results live in the call's arena. */
struct str call_str(struct tval_call *c, const struct buf *b);
/* A cause; always false. */
bool call_fail(struct err *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* A scratch buffer bounded by what the rendering may still use; call_result makes the string, or fails if it overflowed,
 * and ends it. call_buf_end gives the memory back for the next one (buf_deinit is right, too). */
void call_buf(struct tval_call *c, struct buf *b);
void call_buf_end(struct tval_call *c, struct buf *b);
MUST_CHECK bool call_result(struct tval_call *c, struct buf *b, struct tval *out, struct err *err);
const struct template_run *call_run(const struct tval_call *c);
const struct template_hooks *call_hooks(const struct tval_call *c); /* never NULL */

struct regex;
/* A compiled expression, cached by the renderer; NULL with err if it is bad. Valid as long as the rendering. */
struct regex *call_regex(struct tval_call *c, struct str text, struct err *err);
func_call func_join; /* also the method of string lists */

/* The rows, by file. */
extern const struct func func_rows_go[], func_rows_text[], func_rows_data[], func_rows_time[], func_rows_number[],
    func_rows_prometheus[], func_rows_html[];
extern const size_t func_rows_go_count, func_rows_text_count, func_rows_data_count, func_rows_time_count,
    func_rows_number_count, func_rows_prometheus_count, func_rows_html_count;

/* printf and friends (printf.c). args follow Go's rules for %!v(...) diagnostics. */
void format_printf(struct buf *out, struct str format, const struct tval *args, size_t n);
void format_print(struct buf *out, const struct tval *args, size_t n); /* fmt.Sprint of printable values */
void format_println(struct buf *out, const struct tval *args, size_t n);

/* What the functions html, js and urlquery do; the HTML engine uses them too. */
void escape_html(struct buf *out, struct str s);
void escape_js(struct buf *out, struct str s);
void escape_query(struct buf *out, struct str s);

#endif
