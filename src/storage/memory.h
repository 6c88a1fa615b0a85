/* A store in memory: for unit tests of rules (`tocsinctl test rules`) and for the tests of whatever reads through
 * storage/storage.h. Series are in an array that is sorted when it is read; samples in columns. Appends in order only:
 * the same statuses as the TSDB's without an out-of-order window, no lower time limit. Not for serving.
 *
 * Thread: one owner at a time. Open queriers see appends that come later: close them before appending. */
#ifndef TOCSIN_STORAGE_MEMORY_H
#define TOCSIN_STORAGE_MEMORY_H

#include "storage/storage.h"

struct storage *memory_storage_new(void);
void memory_storage_free(struct storage *st);

#endif
