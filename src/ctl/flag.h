/* Command lines as kingpin reads them, because the peers' users know its rules: --name=value and --name value, --no-name
 * for booleans, short flags (-o json, -ojson, -isa), flags before and after commands, `--` ends flags, @FILE expands to the
 * lines of a file, a default subcommand. Errors are worded as kingpin words them.
 *
 * Flags and commands are tables; values land in one struct of the program, at the rows' offsets. Texts point into argv or
 * the arena. Upstream: alecthomas/kingpin v2. */
#ifndef TOCSIN_CTL_FLAG_H
#define TOCSIN_CTL_FLAG_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum flag_kind {
    FLAG_BOOL,          /* bool */
    FLAG_STR,           /* struct str */
    FLAG_STRS,          /* struct str_list, repeatable */
    FLAG_I64,           /* int64_t */
    FLAG_F64,           /* double */
    FLAG_GO_DURATION,   /* int64_t ns */
    FLAG_PROM_DURATION, /* int64_t ms */
    FLAG_ENUM,          /* struct str, one of `choices` */
    FLAG_EXISTING_FILE, /* struct str */
};

struct flag {
    const char *name;
    char letter; /* 0: none */
    enum flag_kind kind;
    size_t offset;
    const char *fallback;    /* text of the default; NULL: zero value */
    const char *help;
    const char *placeholder; /* for help; NULL: the name in capitals */
    const char *choices;     /* "a,b,c" of FLAG_ENUM */
    bool required, hidden;
    bool inactive;           /* accepted and checked, has no effect here: one warning when given */
};

struct command_arg {
    const char *name, *help;
    bool repeated; /* struct str_list at offset; else struct str */
    bool required;
    size_t offset;
};

struct command {
    const char *name, *help;
    const struct flag *flags;
    size_t flags_count;
    const struct command_arg *args;
    size_t args_count;
    const struct command *commands; /* subcommands */
    size_t commands_count;
    bool is_default; /* of its parent */
    bool hidden;
    int (*run)(void *program); /* leaf: exit code */
};

/* A default for a flag from elsewhere (amtool's config file): true and *value if it has one. */
typedef bool flag_source(void *arg, struct str name, struct str *value);

#define COMMAND_DEPTH_MAX 6
struct command_line {
    struct arena *arena;
    void *values;
    flag_source *source; /* may be NULL; asked for flags that were not given */
    void *source_arg;
    /* result */
    const struct command *path[COMMAND_DEPTH_MAX];
    size_t depth; /* path[0] is the program itself */
    size_t named_depth;     /* how much of it was named; the rest are defaults */
    bool nothing_named;     /* no command, though there are some: help is due */
    struct str_list given;  /* names of the flags that were given */
    bool help, help_long, help_man, version;
};

/* Reads argv[1..]. The program itself is a command without a name; --help and --version are built in. On success the
 * defaults are in *values too. When help or version was asked for, required flags are not missed. */
MUST_CHECK bool command_line_parse(struct command_line *cl, const struct command *program, int argc, char **argv,
                                   struct err *err);
bool command_line_given(const struct command_line *cl, struct str name);
const struct command *command_line_leaf(const struct command_line *cl); /* NULL: a group without a default was named */

/* help.c. `name` is the program's, `essay` what it is: a sentence, then paragraphs; indented lines are kept as they are. All
 * are laid out as kingpin does it. */
/* Of the command that was named. */
void command_line_help(const struct command_line *cl, const char *name, const char *essay, struct buf *out);
/* Of all commands. */
void command_line_help_long(const struct command_line *cl, const char *name, const char *essay, struct buf *out);
/* The same as a page for man(1). */
void command_line_man(const struct command_line *cl, const char *name, const char *essay, struct buf *out);
/* What could stand in the place of the last of these words, one a line. */
void command_line_complete(const struct command *program, int argc, char **argv, struct buf *out);
void command_line_completion_script(const char *name, bool zsh, struct buf *out);
extern const struct command command_line_help_command; /* `help`, for programs that have commands */

#endif
