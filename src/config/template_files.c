/* One glob at a time; later files replace earlier definitions, as the set does it. */
#include "config/template_files.h"

#include "base/buf.h"
#include "config/config.h"

static struct str base_name(struct str path)
{
    size_t slash = str_rfind_byte(path, '/');
    return slash == STR_NPOS ? path : str_from(path, slash + 1);
}

bool template_files_parse(struct template_set *set, struct fs *fs, struct str glob, struct err *err)
{
    struct buf names = { 0 }, text = { 0 };
    bool ok = config_glob(fs, glob, &names, err);
    struct str rest = buf_view(&names), name;
    while (ok && rest.n && str_split(&rest, '\0', &name)) {
        buf_reset(&text);
        ok = fs_read_file(fs, name, TEMPLATE_TEXT_BYTES_MAX, &text, err) &&
             template_set_parse(set, base_name(name), buf_view(&text), err);
    }
    buf_deinit(&names);
    buf_deinit(&text);
    return ok;
}
