/* The real side of base/fs.h: open(2) and friends with O_CLOEXEC, mmap, flock. Errors carry the path in Go's words
 * ("open data/x: no such file or directory"); ENOENT gives ERR_NOT_FOUND, ENOSPC and EDQUOT ERR_LIMIT, a lock that
 * another process holds ERR_CONFLICT. New files 0666, directories 0777, less the umask.
 *
 * Thread: any; one writer per file. */
#ifndef TOCSIN_IO_FS_POSIX_H
#define TOCSIN_IO_FS_POSIX_H

#include "base/fs.h"

struct fs *fs_posix(void); /* lives for ever */

#endif
