/* google.protobuf.Timestamp: {1 seconds int64, 2 nanos int32}, as peers write the times that decide who is newer.
 * Pure; any thread. */
#ifndef TOCSIN_WIRE_PB_TIME_H
#define TOCSIN_WIRE_PB_TIME_H

#include "base/clock.h"
#include "wire/pb.h"

/* The message's time; missing parts are zero. Nanoseconds out of range are carried into the seconds, seconds are cut to
 * the years 1 to 9999. False: damaged. */
MUST_CHECK bool pb_read_time(struct str message, struct wire_time *t);
/* The field, always written: older peers read a missing time as year 1. */
void pb_write_time(struct buf *b, uint32_t number, struct wire_time t);

#endif
