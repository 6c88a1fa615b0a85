/* Frames of the TLS transport, one after another; a packet frame that was read is written and read again. */
#include "gossip/tls_frame_int.h"

#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = str_of((const char *)data, size);
    for (;;) {
        struct tls_frame f, again;
        struct buf out = { 0 };
        size_t used = 0, used_again = 0;
        const char *why = NULL;
        enum tls_frame_result result = tls_frame_read(bytes, &f, &used, &why);
        if (result == TLS_FRAME_BAD && why == NULL)
            abort();
        if (result == TLS_FRAME_MORE || result == TLS_FRAME_BAD)
            return 0;
        if (used < 4 || used > bytes.n)
            abort();
        if (result == TLS_FRAME_PACKET && f.msg.n > 0) {
            tls_frame_write_packet(&out, f.from, f.msg);
            if (tls_frame_read(buf_view(&out), &again, &used_again, &why) != TLS_FRAME_PACKET || used_again != out.n ||
                !str_eq(again.msg, f.msg) || !str_eq(again.from, f.from))
                abort();
            buf_deinit(&out);
        }
        bytes = str_from(bytes, used);
    }
}
