/* Chunks of any encoding: how many samples, which times, decoded into columns. */
#ifndef TOCSIN_TSDB_CHUNKENC_CHUNK_INT_H
#define TOCSIN_TSDB_CHUNKENC_CHUNK_INT_H

#include "storage/storage.h"

/* Numbers beyond CHUNK_FLOAT_HISTOGRAM are read, never written (docs/formats/tsdb.md). */
enum {
    CHUNK_XOR2 = 4,
    CHUNK_HISTOGRAM_ST = 5,
    CHUNK_FLOAT_HISTOGRAM_ST = 6,
};

bool chunk_encoding_known(uint8_t encoding);
bool chunk_encoding_is_float(uint8_t encoding);
/* Samples that the header says; 0 if it is too short. */
size_t chunk_samples(uint8_t encoding, struct str bytes);
/* Appends the samples with mint <= t <= maxt. ERR_CORRUPT (then nothing was appended), ERR_INVALID for an unknown
 * encoding. Times must ascend: a chunk whose do not is corrupt. */
MUST_CHECK bool chunk_decode(uint8_t encoding, struct str bytes, int64_t mint, int64_t maxt, struct columns *out,
                             struct err *err);

#endif
