/* Help, man pages and shell completion out of the tables of flags and commands: kingpin's compact layout, which users of the
 * peers know.
 *
 * A help text is a small document: a line `text` is wrapped, an indented line stays as it is, blank lines part paragraphs.
 * Lines are broken where Go's doc/comment package breaks them (the sum of squares of what is left free is least, and a
 * break after punctuation costs nothing), so that the pages look alike.
 *
 * Bounds: a paragraph has at most WORDS_MAX words; what is longer is broken greedily at that point. */
#include "ctl/flag.h"

#include "base/mem.h"
#include "base/utf8.h"

#define HELP_WIDTH    80
#define COLUMN_MAX    30 /* a first column as wide as this has the second one below it */
#define WORDS_MAX     400
#define BREAK_PENALTY 64 /* of a line that does not end in punctuation */

/* ---- text ---- */

struct score {
    int64_t over, under; /* lines that are too long count first */
};

static bool score_less(struct score a, struct score b)
{
    return a.over != b.over ? a.over < b.over : a.under < b.under;
}

/* The line of words [i, j), of which `total` has the running widths with one blank each. */
static struct score line_score(const struct str *words, const size_t *total, size_t i, size_t j, size_t n, size_t max)
{
    int64_t width = (int64_t)(total[j] - 1 - total[i]), room = (int64_t)max;
    if (j == n && width <= room)
        return (struct score){ 0, 0 };
    char last = words[j - 1].p[words[j - 1].n - 1];
    int64_t penalty = last == '.' || last == ',' || last == ':' || last == ';' ? 0 : BREAK_PENALTY;
    int64_t square = (room - width) * (room - width);
    return width > room ? (struct score){ square, penalty } : (struct score){ 0, square + penalty };
}

static void wrap_words(struct buf *out, const struct str *words, size_t n, size_t indent, size_t max)
{
    size_t total[WORDS_MAX + 1] = { 0 }, from[WORDS_MAX + 1] = { 0 }, ends[WORDS_MAX + 1];
    struct score best[WORDS_MAX + 1] = { { 0, 0 } };
    ASSERT(n > 0);
    ASSERT(n <= WORDS_MAX);
    for (size_t j = 1; j <= n; j++) {
        total[j] = total[j - 1] + utf8_count(words[j - 1]) + 1;
        best[j] = (struct score){ INT64_MAX, INT64_MAX };
    }
    for (size_t j = 1; j <= n; j++)
        for (size_t i = j; i-- > 0 && (i + 1 == j || total[j] - 1 - total[i] <= max);) {
            struct score s = line_score(words, total, i, j, n, max);
            s.over += best[i].over;
            s.under += best[i].under;
            if (score_less(s, best[j])) {
                best[j] = s;
                from[j] = i;
            }
        }
    size_t lines = 0;
    for (size_t j = n; j > 0; j = from[j])
        ends[lines++] = j;
    for (size_t i = 0; lines-- > 0;) {
        buf_fill(out, ' ', indent);
        for (size_t first = i; i < ends[lines]; i++) {
            if (i > first)
                buf_byte(out, ' ');
            buf_str(out, words[i]);
        }
        buf_byte(out, '\n');
    }
}

static bool is_blank(struct str line)
{
    return str_trim(line).n == 0;
}

static bool is_code(struct str line)
{
    return line.n && (line.p[0] == ' ' || line.p[0] == '\t');
}

/* A block of indented lines: two blanks instead of what they share. */
static void write_code(struct buf *out, struct str block, size_t indent)
{
    size_t shared = SIZE_MAX;
    struct str rest = block, line;
    while (str_split(&rest, '\n', &line)) {
        size_t lead = 0;
        while (lead < line.n && (line.p[lead] == ' ' || line.p[lead] == '\t'))
            lead++;
        if (!is_blank(line) && lead < shared)
            shared = lead;
    }
    rest = block;
    while (str_split(&rest, '\n', &line)) {
        if (!is_blank(line)) {
            buf_fill(out, ' ', indent + 2);
            buf_str(out, str_from(line, shared));
        }
        buf_byte(out, '\n');
    }
}

static void write_prose(struct buf *out, struct str block, size_t indent, size_t width)
{
    struct str words[WORDS_MAX];
    size_t n = 0;
    for (size_t at = 0; at < block.n;) {
        size_t start = at;
        while (at < block.n && !ascii_is_space(block.p[at]))
            at++;
        if (at > start)
            words[n++] = str_sub(block, start, at - start);
        at++;
        if (n == WORDS_MAX) {
            wrap_words(out, words, n, indent, width);
            n = 0;
        }
    }
    if (n)
        wrap_words(out, words, n, indent, width);
}

static size_t line_end(struct str text, size_t at)
{
    size_t n = str_find_byte(str_from(text, at), '\n');
    return n == STR_NPOS ? text.n : at + n;
}

/* The document, each line indented, wrapped to `width` columns after the indent. */
static void write_text(struct buf *out, struct str text, size_t indent, size_t width)
{
    bool first = true;
    for (size_t at = 0; at < text.n;) {
        size_t end = line_end(text, at);
        struct str line = str_sub(text, at, end - at);
        if (is_blank(line)) {
            at = end + 1;
            continue;
        }
        bool code = is_code(line);
        size_t start = at, block_end = end;
        for (size_t next = end + 1; next < text.n;) {
            size_t next_end = line_end(text, next);
            struct str more = str_sub(text, next, next_end - next);
            if (!is_blank(more) && is_code(more) != code)
                break;
            if (is_blank(more) && !code)
                break;
            if (!is_blank(more))
                block_end = next_end;
            next = next_end + 1;
        }
        if (!first)
            buf_byte(out, '\n');
        first = false;
        struct str block = str_sub(text, start, block_end - start);
        if (code)
            write_code(out, block, indent);
        else
            write_prose(out, block, indent, width);
        at = block_end + 1;
    }
}

/* ---- two columns ---- */

struct rows {
    struct buf cells; /* left NUL right NUL … */
    size_t widest;
};

static void row_add(struct rows *r, struct str left, struct str right)
{
    buf_str(&r->cells, left);
    buf_byte(&r->cells, 0);
    buf_str(&r->cells, right);
    buf_byte(&r->cells, 0);
    if (left.n < COLUMN_MAX && left.n > r->widest)
        r->widest = left.n;
}

static void rows_write(struct rows *r, struct buf *out, size_t indent)
{
    struct str rest = buf_view(&r->cells), left, right;
    size_t column = indent + r->widest + 2;
    struct buf text = { 0 };
    while (rest.n && str_split(&rest, 0, &left) && str_split(&rest, 0, &right)) {
        buf_reset(&text);
        write_text(&text, right, column, HELP_WIDTH - column);
        buf_fill(out, ' ', indent);
        buf_str(out, left);
        buf_fill(out, ' ', left.n < r->widest ? r->widest - left.n + 2 : 2);
        struct str body = buf_view(&text);
        if (left.n >= COLUMN_MAX)
            buf_byte(out, '\n');
        else if (body.n)
            body = str_from(body, column);
        buf_str(out, body.n ? body : STR("\n"));
    }
    buf_deinit(&text);
    buf_deinit(&r->cells);
    *r = (struct rows){ .widest = 0 };
}

/* ---- flags and arguments in words ---- */

static void write_placeholder(struct buf *b, const struct flag *f)
{
    if (f->placeholder) {
        buf_c(b, f->placeholder);
    } else if (f->fallback) {
        bool quoted = f->kind == FLAG_STR || f->kind == FLAG_EXISTING_FILE;
        buf_printf(b, quoted ? "\"%s\"" : "%s", f->fallback);
    } else {
        for (const char *c = f->name; *c; c++)
            buf_byte(b, ascii_upper(*c));
    }
}

static void flag_shape(struct buf *b, const struct flag *f, bool letters)
{
    if (f->letter)
        buf_printf(b, "-%c, ", f->letter);
    else if (letters)
        buf_c(b, "    ");
    buf_printf(b, f->kind == FLAG_BOOL ? "--[no-]%s" : "--%s", f->name);
    if (f->kind == FLAG_BOOL)
        return;
    buf_byte(b, '=');
    write_placeholder(b, f);
    if (f->kind == FLAG_STRS)
        buf_c(b, " ...");
}

static void arg_shape(struct buf *b, const struct command_arg *a)
{
    buf_printf(b, a->required ? "<%s>%s" : "[<%s>%s]", a->name, a->repeated ? "..." : "");
}

/* " --needed=X [<flags>] [<args>...]": what follows a command's name. The program's own --help is a flag too. */
static void summary(struct buf *out, const struct command *c, bool program)
{
    size_t needed = 0;
    for (size_t i = 0; i < c->flags_count; i++) {
        const struct flag *f = &c->flags[i];
        if (!f->required)
            continue;
        needed++;
        buf_printf(out, f->kind == FLAG_BOOL ? " --[no-]%s" : " --%s=", f->name);
        if (f->kind != FLAG_BOOL)
            write_placeholder(out, f);
    }
    if (program || c->flags_count > needed)
        buf_c(out, " [<flags>]");
    for (size_t i = 0; i < c->args_count; i++) {
        buf_byte(out, ' ');
        arg_shape(out, &c->args[i]);
    }
}

static void add_flag(struct rows *r, const struct flag *f, bool letters)
{
    struct buf left = { 0 };
    flag_shape(&left, f, letters);
    row_add(r, buf_view(&left), str_c(f->help));
    buf_deinit(&left);
}

static const struct flag help_flag = {
    .name = "help", .letter = 'h', .help = "Show context-sensitive help (also try --help-long and --help-man).",
};
static const struct flag version_flag = { .name = "version", .help = "Show application version." };
static const struct command_arg help_args[] = {
    { .name = "command", .help = "Show help on command.", .repeated = true },
};
const struct command command_line_help_command = {
    .name = "help", .help = "Show help.", .args = help_args, .args_count = 1,
};

static void write_flags(const struct command_line *cl, size_t depth, struct buf *out)
{
    struct rows rows = { .widest = 0 };
    add_flag(&rows, &help_flag, true);
    for (size_t d = 0; d < depth; d++) {
        for (size_t i = 0; i < cl->path[d]->flags_count; i++)
            if (!cl->path[d]->flags[i].hidden)
                add_flag(&rows, &cl->path[d]->flags[i], true);
        if (d == 0)
            add_flag(&rows, &version_flag, true);
    }
    buf_c(out, "\nFlags:\n");
    rows_write(&rows, out, 2);
}

static void write_args(const struct command *c, struct buf *out)
{
    struct rows rows = { .widest = 0 };
    for (size_t i = 0; i < c->args_count; i++) {
        struct buf left = { 0 };
        buf_printf(&left, c->args[i].required ? "<%s>" : "[<%s>]", c->args[i].name);
        row_add(&rows, buf_view(&left), str_c(c->args[i].help));
        buf_deinit(&left);
    }
    buf_c(out, "\nArgs:\n");
    rows_write(&rows, out, 2);
}

static void list_commands(const struct command *c, struct buf *out, size_t depth)
{
    for (size_t i = 0; i < c->commands_count; i++) {
        const struct command *sub = &c->commands[i];
        if (sub->hidden)
            continue;
        buf_fill(out, ' ', 2 * depth);
        buf_printf(out, "%s%s", sub->name, sub->is_default ? "*" : "");
        summary(out, sub, false);
        buf_byte(out, '\n');
        list_commands(sub, out, depth + 1);
    }
}

static void path_name(const struct command_line *cl, struct buf *out)
{
    for (size_t d = 1; d < cl->named_depth; d++)
        buf_printf(out, "%s%s", d > 1 ? " " : "", cl->path[d]->name);
}

void command_line_help(const struct command_line *cl, const char *name, const char *essay, struct buf *out)
{
    size_t depth = cl->named_depth;
    const struct command *c = cl->path[depth - 1];
    struct buf path = { 0 };
    path_name(cl, &path);
    buf_printf(out, "usage: %s%s%.*s", name, path.n ? " " : "", STR_ARG(buf_view(&path)));
    summary(out, c, depth == 1);
    buf_c(out, c->commands_count ? " <command> [<args> ...]\n" : "\n");
    const char *text = depth == 1 || !c->help ? essay : c->help;
    if (*text) {
        buf_byte(out, '\n');
        write_text(out, str_c(text), 0, HELP_WIDTH);
    }
    write_flags(cl, depth, out);
    if (c->args_count)
        write_args(c, out);
    if (c->commands_count && depth == 1) {
        buf_c(out, "\nCommands:\n  help [<command>...]\n");
        list_commands(c, out, 1);
    } else if (c->commands_count) {
        buf_printf(out, "\nCommands:\n  %.*s\n", STR_ARG(buf_view(&path)));
        list_commands(c, out, depth);
    }
    buf_byte(out, '\n');
    buf_deinit(&path);
}

/* ---- --help-long: every command with its text and flags ---- */

static void write_long(const struct command *c, struct str path, struct buf *out)
{
    for (size_t i = 0; i < c->commands_count; i++) {
        const struct command *sub = &c->commands[i];
        struct buf full = { 0 };
        if (sub->hidden)
            continue;
        buf_printf(&full, "%.*s%s%s", STR_ARG(path), path.n ? " " : "", sub->name);
        if (sub->commands_count) {
            write_long(sub, buf_view(&full), out);
            buf_deinit(&full);
            continue;
        }
        buf_str(out, buf_view(&full));
        buf_deinit(&full);
        summary(out, sub, false);
        buf_byte(out, '\n');
        write_text(out, str_c(sub->help ? sub->help : ""), 4, HELP_WIDTH - 4);
        buf_byte(out, '\n');
        struct rows rows = { .widest = 0 };
        bool letters = false;
        for (size_t k = 0; k < sub->flags_count; k++)
            letters = letters || (sub->flags[k].letter && !sub->flags[k].hidden);
        for (size_t k = 0; k < sub->flags_count; k++)
            if (!sub->flags[k].hidden)
                add_flag(&rows, &sub->flags[k], letters);
        rows_write(&rows, out, 4);
        buf_byte(out, '\n');
    }
}

void command_line_help_long(const struct command_line *cl, const char *name, const char *essay, struct buf *out)
{
    const struct command *program = cl->path[0];
    buf_printf(out, "usage: %s", name);
    summary(out, program, true);
    buf_c(out, program->commands_count ? " <command> [<args> ...]\n\n" : "\n\n");
    write_text(out, str_c(essay), 0, HELP_WIDTH);
    write_flags(cl, 1, out);
    if (program->commands_count) {
        buf_c(out, "\nCommands:\nhelp [<command>...]\n    Show help.\n\n\n");
        write_long(program, STR_EMPTY, out);
    }
    buf_byte(out, '\n');
}

/* ---- --help-man: a page in man(7) ---- */

/* roff's own characters as text; a line does not begin with a control character. */
static void roff(struct buf *out, struct str text, bool at_start)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (at_start && (c == '.' || c == '\''))
            buf_c(out, "\\&");
        at_start = c == '\n';
        if (c == '\\')
            buf_c(out, "\\e");
        else if (c == '-')
            buf_c(out, "\\-");
        else
            buf_byte(out, c);
    }
}

/* Without the indent that makes it code: a tab, or up to four blanks. */
static struct str from_code(struct str line)
{
    size_t n = line.p[0] == '\t';
    while (line.p[0] == ' ' && n < 4 && n < line.n && line.p[n] == ' ')
        n++;
    return str_from(line, n);
}

static void roff_document(struct buf *out, struct str text)
{
    bool literal = false, blank = false;
    struct str rest = text, line;
    while (rest.n && str_split(&rest, '\n', &line)) {
        if (is_blank(line)) {
            blank = true;
            continue;
        }
        bool code = is_code(line);
        if (literal && !code)
            buf_c(out, ".fi\n.RE\n");
        if (blank)
            buf_c(out, literal && code ? "\n" : ".PP\n");
        if (code && !literal)
            buf_c(out, ".RS 4\n.nf\n");
        literal = code;
        blank = false;
        roff(out, code ? from_code(line) : line, true);
        buf_byte(out, '\n');
    }
    if (literal)
        buf_c(out, ".fi\n.RE\n");
}

static void man_flag(struct buf *out, const struct flag *f)
{
    struct buf shape = { 0 };
    flag_shape(&shape, f, false);
    buf_c(out, ".TP\n\\fB");
    roff(out, buf_view(&shape), false);
    buf_c(out, "\\fR\n");
    roff_document(out, str_c(f->help));
    buf_deinit(&shape);
}

static void man_commands(struct buf *out, const struct command *c, struct str path)
{
    for (size_t i = 0; i < c->commands_count; i++) {
        const struct command *sub = &c->commands[i];
        if (sub->hidden)
            continue;
        struct buf head = { 0 }, full = { 0 };
        buf_printf(&full, "%.*s%s%s", STR_ARG(path), path.n ? " " : "", sub->name);
        if (sub->commands_count) {
            man_commands(out, sub, buf_view(&full));
        } else {
            buf_str(&head, buf_view(&full));
            summary(&head, sub, false);
            buf_c(out, ".SS \"");
            for (size_t k = 0; k < head.n; k++)
                if (head.p[k] != '"')
                    roff(out, str_of(&head.p[k], 1), false);
            buf_c(out, "\"\n");
            roff_document(out, str_c(sub->help ? sub->help : ""));
            for (size_t k = 0; k < sub->flags_count; k++)
                if (!sub->flags[k].hidden)
                    man_flag(out, &sub->flags[k]);
        }
        buf_deinit(&head);
        buf_deinit(&full);
    }
}

void command_line_man(const struct command_line *cl, const char *name, const char *essay, struct buf *out)
{
    const struct command *program = cl->path[0];
    size_t sentence = str_find(str_c(essay), STR(".\n"));
    struct str what = sentence == STR_NPOS ? str_trim(str_c(essay)) : str_sub(str_c(essay), 0, sentence);
    struct buf shape = { 0 };
    if (what.n && what.p[what.n - 1] == '.')
        what.n--;
    buf_printf(out, ".TH %s 1 \"\" \"%s %s\" \"User Commands\"\n.SH NAME\n%s \\- ", name, name, TOCSIN_VERSION, name);
    roff(out, what, false);
    buf_printf(out, "\n.SH SYNOPSIS\n\\fB%s\\fR", name);
    summary(&shape, program, true);
    buf_c(&shape, program->commands_count ? " <command> [<args> ...]\n" : "\n");
    roff(out, buf_view(&shape), false);
    buf_deinit(&shape);
    buf_c(out, ".SH DESCRIPTION\n");
    roff_document(out, str_c(essay));
    buf_c(out, ".SH OPTIONS\n");
    man_flag(out, &help_flag);
    for (size_t i = 0; i < program->flags_count; i++)
        if (!program->flags[i].hidden)
            man_flag(out, &program->flags[i]);
    man_flag(out, &version_flag);
    if (program->commands_count) {
        buf_c(out, ".SH COMMANDS\n");
        man_commands(out, program, STR_EMPTY);
    }
}

/* ---- completion ---- */

static void offer_flags(const struct command *c, struct buf *out)
{
    for (size_t i = 0; i < c->flags_count; i++)
        if (!c->flags[i].hidden)
            buf_printf(out, "--%s\n", c->flags[i].name);
}

static const struct flag *flag_on_path(const struct command *const *path, size_t depth, struct str token)
{
    for (size_t d = depth; d-- > 0;)
        for (size_t i = 0; i < path[d]->flags_count; i++) {
            const struct flag *f = &path[d]->flags[i];
            bool is_long = str_starts(token, STR("--")) && str_eq(str_from(token, 2), str_c(f->name));
            if (is_long || (f->letter && token.n == 2 && token.p[0] == '-' && token.p[1] == f->letter))
                return f;
        }
    return NULL;
}

static const struct command *subcommand(const struct command *c, struct str word)
{
    for (size_t i = 0; i < c->commands_count; i++)
        if (str_eq(str_c(c->commands[i].name), word))
            return &c->commands[i];
    return NULL;
}

static const struct command *default_child(const struct command *c)
{
    for (size_t i = 0; i < c->commands_count; i++)
        if (c->commands[i].is_default)
            return &c->commands[i];
    return NULL;
}

void command_line_complete(const struct command *program, int argc, char **argv, struct buf *out)
{
    const struct command *path[COMMAND_DEPTH_MAX + 1] = { program };
    size_t depth = 1;
    struct str last = argc > 0 ? str_c(argv[argc - 1]) : STR_EMPTY;
    struct str before = argc > 1 ? str_c(argv[argc - 2]) : STR_EMPTY;
    for (int i = 0; i < argc; i++) {
        const struct command *sub = subcommand(path[depth - 1], str_c(argv[i]));
        if (sub && depth < COMMAND_DEPTH_MAX)
            path[depth++] = sub;
    }
    const struct flag *open = flag_on_path(path, depth, before);
    if (open && open->kind != FLAG_BOOL && !str_starts(last, STR("-"))) {
        struct str rest = str_c(open->choices ? open->choices : ""), one;
        while (rest.n && str_split(&rest, ',', &one))
            buf_printf(out, "%.*s\n", STR_ARG(one));
        return;
    }
    if (str_starts(last, STR("-"))) {
        const struct command *implied = default_child(path[depth - 1]);
        if (implied)
            offer_flags(implied, out);
        for (size_t d = depth; d-- > 0;)
            offer_flags(path[d], out);
        buf_c(out, "--help\n--version\n");
        return;
    }
    const struct command *c = path[depth - 1];
    if (depth == 1 && c->commands_count)
        buf_c(out, "help\n");
    for (size_t i = 0; i < c->commands_count; i++)
        if (!c->commands[i].hidden)
            buf_printf(out, "%s\n", c->commands[i].name);
}

/* What bash and zsh evaluate, with % for the program's name. Where nothing is offered, files are completed. */
static const char bash_script[] =
    "_%_bash_autocomplete() {\n"
    "    local cur opts\n"
    "    COMPREPLY=()\n"
    "    cur=\"${COMP_WORDS[COMP_CWORD]}\"\n"
    "    opts=$( ${COMP_WORDS[0]} --completion-bash \"${COMP_WORDS[@]:1:$COMP_CWORD}\" )\n"
    "    COMPREPLY=( $(compgen -W \"${opts}\" -- \"${cur}\") )\n"
    "    return 0\n"
    "}\n"
    "complete -o default -F _%_bash_autocomplete %\n";

/* Works both ways: sourced by a start-up file, and as a file _NAME in a folder of fpath. */
static const char zsh_script[] =
    "#compdef %\n"
    "_%() {\n"
    "    local -a offers\n"
    "    offers=(${(f)\"$(${words[1]} --completion-bash \"${(@)words[2,CURRENT]}\")\"})\n"
    "    compadd -- $offers || _files\n"
    "}\n"
    "if [ \"${funcstack[1]}\" = _% ]; then\n"
    "    _%\n"
    "else\n"
    "    autoload -U compinit && compinit\n"
    "    compdef _% %\n"
    "fi\n";

void command_line_completion_script(const char *name, bool zsh, struct buf *out)
{
    struct str rest = str_c(zsh ? zsh_script : bash_script), piece;
    str_split(&rest, '%', &piece);
    buf_str(out, piece);
    while (str_split(&rest, '%', &piece)) {
        buf_c(out, name);
        buf_str(out, piece);
    }
}
