/* The reader of command lines. One pass over the tokens: a flag is looked up in the tables of all commands on the path so
 * far, innermost first; a word is a subcommand if the current command has subcommands, else the next argument. Where the
 * word is no subcommand and one is marked default, the default is entered and the word becomes its argument.
 *
 * Bounds: @FILE is read up to ARGS_FILE_MAX and does not nest. */
#include "ctl/flag.h"

#include "base/mem.h"
#include "base/num.h"
#include "model/duration.h"

#include <errno.h>
#include <stdio.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define ARGS_FILE_MAX (1024 * 1024)

struct tokens {
    const struct str *v;
    size_t n, at;
    bool flags_over; /* -- was seen */
};

struct parse {
    struct command_line *cl;
    struct tokens tokens;
    size_t args_seen; /* of the leaf */
    bool asks_help;   /* the word `help` was the command: further words name commands, all else is skipped */
    struct err *err;
};

static void list_add(struct arena *a, struct str_list *list, struct str s)
{
    struct str *grown = arena_alloc_array(a, list->n + 1, sizeof *grown);
    if (list->n)
        memcpy(grown, list->v, list->n * sizeof *grown);
    grown[list->n++] = s;
    list->v = grown;
}

static const struct command *current(const struct command_line *cl)
{
    return cl->path[cl->depth - 1];
}

static bool set_number(const struct flag *f, struct str value, char *field, struct err *err)
{
    struct err cause = { 0 };
    switch (f->kind) {
    case FLAG_I64:
        if (num_parse_i64(value, 0, (int64_t *)(void *)field))
            return true;
        return err_set(err, ERR_INVALID, "strconv.ParseInt: parsing \"%.*s\": invalid syntax", STR_ARG(value));
    case FLAG_F64:
        if (num_parse_f64(value, (double *)(void *)field, NULL))
            return true;
        return err_set(err, ERR_INVALID, "strconv.ParseFloat: parsing \"%.*s\": invalid syntax", STR_ARG(value));
    case FLAG_GO_DURATION:
        return go_duration_parse(value, (int64_t *)(void *)field, err);
    case FLAG_PROM_DURATION:
        if (duration_parse(value, (int64_t *)(void *)field, &cause))
            return true;
        *err = cause;
        return false;
    case FLAG_BOOL:
    case FLAG_STR:
    case FLAG_STRS:
    case FLAG_ENUM:
    case FLAG_EXISTING_FILE:
        break;
    }
    ASSERT(!"a flag kind without a reader");
    return false;
}

static bool choice_known(const char *choices, struct str value)
{
    struct str rest = str_c(choices), one;
    while (str_split(&rest, ',', &one))
        if (str_eq(one, value))
            return true;
    return false;
}

static bool set_value(struct command_line *cl, const struct flag *f, struct str value, struct err *err)
{
    char *field = (char *)cl->values + f->offset;
    struct stat st;
    switch (f->kind) {
    case FLAG_BOOL:
        if (!str_eq(value, STR("true")) && !str_eq(value, STR("false")))
            return err_set(err, ERR_INVALID, "strconv.ParseBool: parsing \"%.*s\": invalid syntax", STR_ARG(value));
        *(bool *)(void *)field = str_eq(value, STR("true"));
        return true;
    case FLAG_STR:
        *(struct str *)(void *)field = value;
        return true;
    case FLAG_STRS:
        list_add(cl->arena, (struct str_list *)(void *)field, value);
        return true;
    case FLAG_ENUM:
        if (!choice_known(f->choices, value))
            return err_set(err, ERR_INVALID, "enum value must be one of %s, got '%.*s'", f->choices, STR_ARG(value));
        *(struct str *)(void *)field = value;
        return true;
    case FLAG_EXISTING_FILE:
        if (stat(arena_cstr(cl->arena, value), &st) != 0)
            return err_set(err, ERR_NOT_FOUND, "path '%.*s' does not exist", STR_ARG(value));
        if (S_ISDIR(st.st_mode))
            return err_set(err, ERR_INVALID, "'%.*s' is a directory", STR_ARG(value));
        *(struct str *)(void *)field = value;
        return true;
    case FLAG_I64:
    case FLAG_F64:
    case FLAG_GO_DURATION:
    case FLAG_PROM_DURATION:
        return set_number(f, value, field, err);
    }
    return false;
}

static const struct flag *find_flag(const struct command_line *cl, struct str name, char letter)
{
    for (size_t d = cl->depth; d-- > 0;) {
        const struct command *c = cl->path[d];
        for (size_t i = 0; i < c->flags_count; i++) {
            const struct flag *f = &c->flags[i];
            if (letter ? f->letter == letter : str_eq(str_c(f->name), name))
                return f;
        }
    }
    return NULL;
}

static bool note_given(struct parse *p, const struct flag *f)
{
    if (f->kind != FLAG_STRS && command_line_given(p->cl, str_c(f->name)))
        return err_set(p->err, ERR_INVALID, "flag '%s' cannot be repeated", f->name);
    list_add(p->cl->arena, &p->cl->given, str_c(f->name));
    return true;
}

static bool next_value(struct parse *p, const char *shown, struct str *value)
{
    struct tokens *t = &p->tokens;
    if (t->at >= t->n || (t->v[t->at].n > 1 && t->v[t->at].p[0] == '-' && !t->flags_over))
        return err_set(p->err, ERR_INVALID, "expected argument for flag '%s'", shown);
    *value = t->v[t->at++];
    return true;
}

static bool built_in(struct parse *p, struct str name)
{
    struct command_line *cl = p->cl;
    bool *what = str_eq(name, STR("help"))        ? &cl->help
                 : str_eq(name, STR("help-long")) ? &cl->help_long
                 : str_eq(name, STR("help-man"))  ? &cl->help_man
                 : str_eq(name, STR("version"))   ? &cl->version
                                                  : NULL;
    if (what)
        *what = true;
    return what != NULL;
}

static const struct command *default_of(const struct command *c)
{
    for (size_t i = 0; i < c->commands_count; i++)
        if (c->commands[i].is_default)
            return &c->commands[i];
    return NULL;
}

static void enter(struct parse *p, const struct command *c)
{
    ASSERT(p->cl->depth < COMMAND_DEPTH_MAX);
    p->cl->path[p->cl->depth++] = c;
    p->args_seen = 0;
}

/* A flag that the commands so far do not have may be one of the command that is implied here: then that one is entered. */
static const struct flag *find_flag_entering(struct parse *p, struct str name, char letter)
{
    const struct flag *f = find_flag(p->cl, name, letter);
    const struct command *implied = default_of(current(p->cl));
    if (f || !implied || p->asks_help)
        return f;
    for (size_t i = 0; i < implied->flags_count && !f; i++) {
        const struct flag *one = &implied->flags[i];
        if (letter ? one->letter == letter : str_eq(str_c(one->name), name))
            f = one;
    }
    if (f)
        enter(p, implied);
    return f;
}

static bool parse_long(struct parse *p, struct str token)
{
    struct str body = str_from(token, 2), name = body, value = STR_EMPTY;
    size_t eq = str_find_byte(body, '=');
    if (eq != STR_NPOS) {
        name = str_sub(body, 0, eq);
        value = str_from(body, eq + 1);
    }
    const struct flag *f = find_flag_entering(p, name, 0);
    bool negated = false;
    if (!f && str_starts(name, STR("no-"))) {
        f = find_flag_entering(p, str_from(name, 3), 0);
        negated = f && f->kind == FLAG_BOOL;
        if (!negated)
            f = NULL;
    }
    if (!f)
        return built_in(p, name) || err_set(p->err, ERR_INVALID, "unknown long flag '--%.*s'", STR_ARG(name));
    if (!note_given(p, f))
        return false;
    if (f->kind == FLAG_BOOL) {
        if (eq == STR_NPOS)
            value = negated ? STR("false") : STR("true");
        return set_value(p->cl, f, value, p->err);
    }
    char shown[80];
    snprintf(shown, sizeof shown, "--%.*s", STR_ARG(name));
    if (eq == STR_NPOS && !next_value(p, shown, &value))
        return false;
    return set_value(p->cl, f, value, p->err);
}

static bool parse_letters(struct parse *p, struct str token)
{
    for (size_t i = 1; i < token.n; i++) {
        char letter = token.p[i];
        const struct flag *f = find_flag_entering(p, STR_EMPTY, letter);
        if (!f) {
            if (letter == 'h') {
                p->cl->help = true;
                continue;
            }
            return err_set(p->err, ERR_INVALID, "unknown short flag '-%c'", letter);
        }
        if (!note_given(p, f))
            return false;
        if (f->kind == FLAG_BOOL) {
            if (!set_value(p->cl, f, STR("true"), p->err))
                return false;
            continue;
        }
        struct str value = str_from(token, i + 1);
        char shown[3] = { '-', letter, 0 };
        if (value.n == 0 && !next_value(p, shown, &value))
            return false;
        return set_value(p->cl, f, value, p->err);
    }
    return true;
}

static void enter_named(struct parse *p, const struct command *c)
{
    enter(p, c);
    p->cl->named_depth = p->cl->depth;
}

static const struct command *child_named(const struct command *c, struct str word)
{
    for (size_t i = 0; i < c->commands_count; i++)
        if (str_eq(str_c(c->commands[i].name), word))
            return &c->commands[i];
    return NULL;
}

/* A word after `help`. */
static bool parse_help_word(struct parse *p, struct str word)
{
    const struct command *c = current(p->cl), *named = child_named(c, word);
    if (named)
        enter_named(p, named);
    else if (p->cl->depth == 1 && str_eq(word, STR("help")))
        enter_named(p, &command_line_help_command);
    else if (c->commands_count)
        return err_set(p->err, ERR_INVALID, "expected command but got \"%.*s\"", STR_ARG(word));
    return true;
}

static bool parse_word(struct parse *p, struct str word)
{
    if (p->asks_help)
        return parse_help_word(p, word);
    for (;;) {
        const struct command *c = current(p->cl), *named = child_named(c, word);
        if (c->commands_count == 0)
            break;
        if (named) {
            enter_named(p, named);
            return true;
        }
        if (p->cl->depth == 1 && str_eq(word, STR("help"))) {
            p->asks_help = p->cl->help = true;
            return true;
        }
        const struct command *fallback = default_of(c);
        if (!fallback)
            return err_set(p->err, ERR_INVALID, "expected command but got \"%.*s\"", STR_ARG(word));
        enter(p, fallback);
    }
    const struct command *leaf = current(p->cl);
    if (p->args_seen >= leaf->args_count)
        return err_set(p->err, ERR_INVALID, "unexpected %.*s", STR_ARG(word));
    const struct command_arg *arg = &leaf->args[p->args_seen];
    char *field = (char *)p->cl->values + arg->offset;
    if (arg->repeated) {
        list_add(p->cl->arena, (struct str_list *)(void *)field, word);
        return true;
    }
    *(struct str *)(void *)field = word;
    p->args_seen++;
    return true;
}

static bool read_args_file(struct arena *a, struct str path, struct str *text, struct err *err)
{
    int fd = open(arena_cstr(a, path), O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_errno(err, errno, "open %.*s", STR_ARG(path));
    char *bytes = arena_alloc(a, ARGS_FILE_MAX);
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, bytes + n, ARGS_FILE_MAX - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    close(fd);
    *text = str_of(bytes, n);
    return true;
}

static bool expand(struct parse *p, int argc, char **argv)
{
    struct str_list all = { 0 };
    for (int i = 1; i < argc; i++) {
        struct str token = str_c(argv[i]);
        if (token.n < 2 || token.p[0] != '@') {
            list_add(p->cl->arena, &all, token);
            continue;
        }
        struct str text, line;
        if (!read_args_file(p->cl->arena, str_from(token, 1), &text, p->err))
            return false;
        while (str_split(&text, '\n', &line))
            if (line.n && line.p[0] != '#')
                list_add(p->cl->arena, &all, line);
    }
    p->tokens = (struct tokens){ .v = all.v, .n = all.n };
    return true;
}

/* Defaults of every flag on the path that was not given; required flags are missed here. */
static bool fill_defaults(struct parse *p, bool lenient)
{
    struct command_line *cl = p->cl;
    for (size_t d = 0; d < cl->depth; d++) {
        const struct command *c = cl->path[d];
        for (size_t i = 0; i < c->flags_count; i++) {
            const struct flag *f = &c->flags[i];
            if (command_line_given(cl, str_c(f->name)))
                continue;
            struct str value;
            if (cl->source && cl->source(cl->source_arg, str_c(f->name), &value)) {
                if (!set_value(cl, f, value, p->err))
                    return false;
                continue;
            }
            if (f->required && !lenient)
                return err_set(p->err, ERR_INVALID, "required flag --%s not provided", f->name);
            if (f->fallback && f->kind != FLAG_EXISTING_FILE && !set_value(cl, f, str_c(f->fallback), p->err))
                return false;
        }
    }
    return true;
}

bool command_line_parse(struct command_line *cl, const struct command *program, int argc, char **argv,
                        struct err *err)
{
    struct parse p = { .cl = cl, .err = err };
    cl->depth = 0;
    enter_named(&p, program);
    if (!expand(&p, argc, argv))
        return false;
    while (p.tokens.at < p.tokens.n) {
        struct str token = p.tokens.v[p.tokens.at++];
        bool flag = !p.tokens.flags_over && token.n > 1 && token.p[0] == '-';
        bool ok = true;
        if (flag && str_eq(token, STR("--")))
            p.tokens.flags_over = true;
        else if (flag && token.p[1] == '-')
            ok = parse_long(&p, token);
        else if (flag)
            ok = parse_letters(&p, token);
        else
            ok = parse_word(&p, token);
        if (!ok)
            return false;
    }
    const struct command *fallback;
    while ((fallback = default_of(current(cl))) != NULL)
        enter(&p, fallback);
    cl->nothing_named = cl->depth == 1 && program->commands_count;
    bool lenient = cl->help || cl->help_long || cl->help_man || cl->version || cl->nothing_named;
    if (!lenient && current(cl)->commands_count)
        return err_set(err, ERR_INVALID, "must select a subcommand of '%s'", current(cl)->name);
    if (!fill_defaults(&p, lenient))
        return false;
    const struct command *leaf = current(cl);
    if (!lenient && p.args_seen < leaf->args_count && leaf->args[p.args_seen].required &&
        !leaf->args[p.args_seen].repeated)
        return err_set(err, ERR_INVALID, "required argument '%s' not provided", leaf->args[p.args_seen].name);
    return true;
}

bool command_line_given(const struct command_line *cl, struct str name)
{
    for (size_t i = 0; i < cl->given.n; i++)
        if (str_eq(cl->given.v[i], name))
            return true;
    return false;
}

const struct command *command_line_leaf(const struct command_line *cl)
{
    const struct command *c = current(cl);
    return c->commands_count ? NULL : c;
}
