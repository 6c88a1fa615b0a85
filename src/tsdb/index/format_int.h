/* Numbers of the index format that reader and writer share. */
#ifndef TOCSIN_TSDB_INDEX_FORMAT_INT_H
#define TOCSIN_TSDB_INDEX_FORMAT_INT_H

#define INDEX_MAGIC        0xBAAAD700u
#define INDEX_VERSION      2
#define INDEX_HEADER_BYTES 5
#define INDEX_TOC_BYTES    52
#define INDEX_SERIES_ALIGN 16

#endif
