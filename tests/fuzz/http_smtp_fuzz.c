/* A mail server that says anything: the dialogue ends or waits, and keeps within its bounds. The first byte chooses the
 * job, the rest is what the server says; 0x00 stands for the end of a TLS handshake. */
#include "http/smtp.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct str to[] = { STR_INIT("b@y"), STR_INIT("c@z") };
    if (size == 0)
        return 0;
    struct smtp_job job = {
        .host = STR("localhost"), .port = STR("25"), .require_tls = data[0] & 1, .from = STR("a@x"), .to = to, .to_count = 2,
        .message = STR("a\n.b\r\nc"),
        .auth_username = data[0] & 2 ? STR("u") : STR_EMPTY,
        .auth_password = data[0] & 4 ? STR("p") : STR_EMPTY,
        .auth_secret = data[0] & 8 ? STR("s") : STR_EMPTY,
    };
    struct smtp_dialogue d;
    smtp_dialogue_init(&d, &job);
    smtp_dialogue_start(&d, data[0] & 16);
    for (size_t i = 1; i < size; i++) {
        if (d.want == SMTP_WANT_TLS)
            smtp_dialogue_tls_done(&d);
        else
            smtp_dialogue_feed(&d, str_of((const char *)data + i, 1));
        ASSERT(d.line.n <= SMTP_LINE_BYTES_MAX);
        ASSERT(d.reply.n <= (size_t)SMTP_LINE_BYTES_MAX * (SMTP_REPLY_LINES_MAX + 1));
    }
    if (d.want != SMTP_WANT_CLOSE) {
        struct err none = { 0 };
        smtp_dialogue_broken(&d, &none);
    }
    ASSERT(d.want == SMTP_WANT_CLOSE);
    smtp_dialogue_deinit(&d);
    return 0;
}
