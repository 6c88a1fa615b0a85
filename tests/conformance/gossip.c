/* Every vector of shared/conformance/gossip: packets, streams, frames and encrypted units that real Alertmanagers made or
 * answered. Each is decoded and compared with the independent decoding beside it; messages are encoded again from what
 * was decoded and must give the same bytes; compressed units are packed again to the same bytes; what upstream refuses
 * is refused in the same way. Records inside of states are the business of the stores' runners. */
#include "gossip/message_int.h"
#include "gossip/packet_int.h"
#include "gossip/tls_frame_int.h"

#include "base/mem.h"
#include "crypto/aead.h"
#include "lib/shared.h"
#include "wire/lzw.h"

#include <stdio.h>
#include <stdlib.h>

static char why[256]; /* of the case in hand; empty: fine */

static bool wrong(const char *fmt, ...) PRINTF_LIKE(1, 2);
static bool wrong(const char *fmt, ...)
{
    if (why[0] == '\0') {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(why, sizeof why, fmt, ap);
        va_end(ap);
    }
    return false;
}

static void verdict(const char *what)
{
    if (why[0] == '\0')
        shared_pass();
    else
        shared_fail(what, "%s", why);
    why[0] = '\0';
}

/* ---- fields against their decoding -------------------------------------------------------------------------------- */

static bool same_str(const json_t *fields, const char *key, struct str got)
{
    const json_t *v = json_object_get(fields, key);
    struct str want = json_is_string(v) ? str_of(json_string_value(v), json_string_length(v)) : STR_EMPTY;
    return str_eq(got, want) || wrong("%s is \"%.*s\", should be \"%.*s\"", key, STR_ARG(got), STR_ARG(want));
}

static bool same_int(const json_t *fields, const char *key, int64_t got)
{
    int64_t want = shared_get_int(fields, key, 0);
    return got == want || wrong("%s is %lld, should be %lld", key, (long long)got, (long long)want);
}

/* Bytes: hex, or null for msgpack's nil. */
static bool same_bin(const json_t *fields, const char *key, struct str got, bool nil)
{
    struct buf want = { 0 };
    bool ok = json_is_null(json_object_get(fields, key)) == nil || wrong("%s: nil or not", key);
    if (ok && !nil)
        ok = (shared_unhex(shared_get_str(fields, key), &want) && str_eq(got, buf_view(&want))) || wrong("%s differs", key);
    buf_deinit(&want);
    return ok;
}

static bool same_ip(const json_t *fields, const char *key, struct str got)
{
    struct gossip_addr a;
    char text[GOSSIP_ADDR_TEXT_MAX], want[GOSSIP_ADDR_TEXT_MAX];
    struct str dotted = shared_get_str(fields, key);
    if (dotted.p == NULL)
        return got.n == 0 || wrong("%s is there", key);
    if (!msg_addr(got, 1, 1, &a))
        return wrong("%s is no address", key);
    snprintf(want, sizeof want, "%.*s:1", STR_ARG(dotted));
    return str_eq(gossip_addr_text(a, text), str_c(want)) || wrong("%s is %s", key, text);
}

static bool same_vsn(const json_t *fields, struct str got)
{
    const json_t *want = json_object_get(fields, "Vsn");
    if (json_array_size(want) != got.n)
        return wrong("Vsn has %zu bytes", got.n);
    for (size_t i = 0; i < got.n; i++)
        if (json_integer_value(json_array_get(want, i)) != (uint8_t)got.p[i])
            return wrong("Vsn differs");
    return true;
}

static bool same_bytes(const char *what, const struct buf *got, struct str want)
{
    return str_eq(buf_view(got), want) || wrong("%s encodes to %zu other bytes", what, got->n);
}

/* ---- messages ---------------------------------------------------------------------------------------------------------- */

/* Our own peers send canonical bytes; the odd ones that a test peer made only have to be understood. */
static bool reencode = true;

static bool check_node(const json_t *want, const struct msg_node *m)
{
    return same_ip(want, "Addr", str_of(m->addr.p, m->addr.n)) && same_int(want, "Incarnation", m->incarnation) &&
           same_bin(want, "Meta", m->meta, m->meta_nil) && same_str(want, "Name", m->name) &&
           same_int(want, "Port", m->port) && same_int(want, "State", m->state) && same_vsn(want, m->vsn);
}

static bool check_parts(const json_t *want, struct str state)
{
    struct str key, data;
    bool bad = false;
    size_t i = 0;
    for (; gossip_full_state_next(&state, &key, &data, &bad); i++) {
        const json_t *part = json_array_get(want, i);
        if (!same_str(part, "key", key) || !same_int(part, "data_len", (int64_t)data.n))
            return false;
    }
    if (bad)
        return wrong("the full state does not decode");
    return i == json_array_size(want) || wrong("%zu parts", i);
}

static bool check_push_pull(struct str unit, const json_t *want)
{
    struct msg_push_pull header;
    struct buf again = { 0 };
    const json_t *fields = json_object_get(want, "header"), *nodes = json_object_get(want, "nodes");
    size_t at = 1, used;
    if (msg_push_pull_decode(str_from(unit, 1), &header, &used) != MSG_OK)
        return wrong("push/pull header");
    at += used;
    msg_push_pull_encode(&again, &header);
    bool ok = same_int(fields, "Nodes", header.nodes) && same_int(fields, "UserStateLen", header.user_state_bytes) &&
              (header.join == shared_get_bool(fields, "Join", false) || wrong("Join"));
    for (size_t i = 0; ok && i < (size_t)header.nodes; i++) {
        struct msg_node m;
        ok = msg_node_decode(str_from(unit, at), &m, &used) == MSG_OK && check_node(json_array_get(nodes, i), &m);
        at += used;
        if (ok && m.vsn.n == VSN_BYTES)
            msg_node_encode(&again, &m);
    }
    ok = ok && ((int64_t)(unit.n - at) == header.user_state_bytes || wrong("%zu bytes of state", unit.n - at)) &&
         check_parts(json_object_get(want, "user_state"), str_from(unit, at)) &&
         (!reencode || same_bytes("push/pull", &again, str_sub(unit, 0, at)));
    buf_deinit(&again);
    return ok;
}

static bool check_user_part(struct str payload, const json_t *part)
{
    struct str key, data;
    struct buf again = { 0 };
    if (!gossip_part_decode(payload, &key, &data))
        return wrong("Part does not decode");
    gossip_part_encode(&again, key, data);
    bool ok = same_str(part, "key", key) && same_int(part, "data_len", (int64_t)data.n) &&
              same_bytes("Part", &again, payload);
    buf_deinit(&again);
    return ok;
}

static bool check_message(uint8_t type, struct str unit, const json_t *want)
{
    static const char *const names[] = { "ping", "indirectPing", "ackResp", "suspect", "alive", "dead", "pushPull",
                                         "compound", "user", "compress", "encrypt", "nackResp", "hasCrc", "err" };
    const json_t *f = json_object_get(want, "fields");
    struct str body = str_from(unit, 1);
    struct buf again = { 0 };
    bool ok;
    if (type >= ARRAY_LEN(names) || !str_eq(shared_get_str(want, "type"), str_c(names[type])))
        return wrong("type is %d", type);
    switch ((enum message_type)type) {
    case MSG_PING: {
        struct msg_ping m;
        ok = msg_ping_decode(body, &m) && same_str(f, "Node", m.node) && same_int(f, "SeqNo", m.seq) &&
             same_ip(f, "SourceAddr", m.source_addr) && same_str(f, "SourceNode", m.source_node) &&
             same_int(f, "SourcePort", m.source_port);
        msg_ping_encode(&again, &m);
        break;
    }
    case MSG_INDIRECT_PING: {
        struct msg_indirect_ping m;
        ok = msg_indirect_ping_decode(body, &m) && same_str(f, "Node", m.node) && same_int(f, "SeqNo", m.seq) &&
             same_ip(f, "SourceAddr", m.source_addr) && same_str(f, "SourceNode", m.source_node) &&
             same_int(f, "SourcePort", m.source_port) && same_ip(f, "Target", m.target) &&
             same_int(f, "Port", m.port) && m.nack == shared_get_bool(f, "Nack", false);
        msg_indirect_ping_encode(&again, &m);
        break;
    }
    case MSG_ACK: {
        struct msg_ack m;
        ok = msg_ack_decode(body, &m) && same_int(f, "SeqNo", m.seq) && same_bin(f, "Payload", m.payload, m.payload_nil);
        msg_ack_encode(&again, &m);
        break;
    }
    case MSG_NACK: {
        struct msg_nack m;
        ok = msg_nack_decode(body, &m) && same_int(f, "SeqNo", m.seq);
        msg_nack_encode(&again, &m);
        break;
    }
    case MSG_SUSPECT:
    case MSG_DEAD: {
        struct msg_accuse m;
        ok = msg_accuse_decode(body, &m) && same_int(f, "Incarnation", m.incarnation) && same_str(f, "From", m.from) &&
             same_str(f, "Node", m.node);
        msg_accuse_encode(&again, (enum message_type)type, &m);
        break;
    }
    case MSG_ALIVE: {
        struct msg_alive m;
        ok = msg_alive_decode(body, &m) && same_ip(f, "Addr", m.addr) && same_int(f, "Incarnation", m.incarnation) &&
             same_bin(f, "Meta", m.meta, m.meta_nil) && same_str(f, "Node", m.node) && same_int(f, "Port", m.port) &&
             same_vsn(f, m.vsn);
        if (m.vsn.n == VSN_BYTES)
            msg_alive_encode(&again, &m);
        break;
    }
    case MSG_ERR: {
        struct str text;
        size_t used;
        ok = msg_err_decode(body, &text, &used) == MSG_OK && same_str(f, "Error", text);
        msg_err_encode(&again, text);
        break;
    }
    case MSG_PUSH_PULL:
        return check_push_pull(unit, want);
    case MSG_USER: {
        int64_t n = 0;
        size_t used = 0;
        if (json_object_get(want, "header") == NULL)
            return check_user_part(body, json_object_get(want, "part"));
        return msg_user_header_decode(body, &n, &used) == MSG_OK && n == (int64_t)(body.n - used) &&
               same_int(json_object_get(want, "header"), "UserMsgLen", n) &&
               check_user_part(str_from(body, used), json_object_get(want, "part"));
    }
    case MSG_COMPOUND:
    case MSG_COMPRESS:
    case MSG_ENCRYPT:
    case MSG_HAS_CRC:
    case MSG_LABEL:
    default:
        return wrong("a layer where a message should be");
    }
    if (!ok)
        (void)wrong("%s does not decode as it should", names[type]);
    else if (reencode)
        ok = same_bytes(names[type], &again, unit);
    buf_deinit(&again);
    return ok;
}

static bool check_unit(struct str unit, const json_t *want);

static bool check_compress(struct str unit, const json_t *want)
{
    struct buf plain = { 0 }, packed_again = { 0 }, again = { 0 };
    struct str packed;
    struct err err;
    uint64_t algo;
    size_t used;
    if (msg_compress_decode(str_from(unit, 1), &algo, &packed, &used) != MSG_OK || algo != 0)
        return wrong("compress does not decode");
    bool ok = lzw_decode(packed, GOSSIP_STREAM_BYTES_MAX, &plain, &err) || wrong("LZW");
    ok = ok && same_int(want, "buf_len", (int64_t)packed.n) && same_int(want, "plain_len", (int64_t)plain.n);
    if (ok) {
        lzw_encode(buf_view(&plain), &packed_again);
        msg_compress_encode(&again, buf_view(&packed_again));
        ok = (!reencode || same_bytes("compress", &again, unit)) &&
             check_unit(buf_view(&plain), json_object_get(want, "inner"));
    }
    buf_deinit(&plain);
    buf_deinit(&packed_again);
    buf_deinit(&again);
    return ok;
}

static bool check_compound(struct str unit, const json_t *want)
{
    const json_t *parts = json_object_get(want, "parts"), *lengths = json_object_get(want, "lengths");
    size_t n = (uint8_t)unit.p[1], at = 2 + 2 * n;
    bool ok = n == json_array_size(parts) || wrong("%zu parts", n);
    for (size_t i = 0; ok && i < n; i++) {
        size_t len = (size_t)json_integer_value(json_array_get(lengths, i));
        ok = check_unit(str_sub(unit, at, len), json_array_get(parts, i));
        at += len;
    }
    return ok;
}

static bool check_unit(struct str unit, const json_t *want)
{
    uint8_t type = unit.n > 0 ? (uint8_t)unit.p[0] : 255;
    if (unit.n == 0)
        return wrong("empty unit");
    if (type == MSG_COMPRESS)
        return check_compress(unit, want);
    if (type == MSG_COMPOUND)
        return check_compound(unit, want);
    return check_message(type, unit, want);
}

/* ---- packets through the layers --------------------------------------------------------------------------------------------- */

static const struct seal plain_seal = { .label = { "", 0 } };
static struct packet_scratch scratch;

static void collect(void *arg, uint8_t type, struct str body)
{
    struct packet_parts *p = arg;
    packet_parts_add(p, type, body);
}

static size_t count_leaves(const json_t *want)
{
    const json_t *parts = json_object_get(want, "parts"), *inner = json_object_get(want, "inner");
    if (inner)
        return count_leaves(inner);
    if (!parts)
        return 1;
    size_t n = 0, i;
    const json_t *p;
    json_array_foreach(parts, i, p)
        n += count_leaves(p);
    return n;
}

/* Test peers sent damaged units on purpose; their decoding says so. */
static bool is_sound(const json_t *want)
{
    const json_t *parts = json_object_get(want, "parts"), *inner = json_object_get(want, "inner"), *p;
    size_t i;
    if (json_object_get(want, "garbage_on_purpose") || json_object_get(want, "undecodable") ||
        !shared_get_bool(want, "crc_ok", true) || shared_get_int(want, "trailing", 0) < 0 ||
        str_eq(shared_get_str(want, "type"), STR("empty")))
        return false;
    json_array_foreach(parts, i, p)
        if (!is_sound(p))
            return false;
    return inner == NULL || is_sound(inner);
}

static void check_damaged(struct str packet)
{
    struct str plain;
    struct packet_parts parts = { 0 };
    struct packet_walk walk = { .scratch = &scratch, .visit = collect, .arg = &parts };
    if (packet_open(&plain_seal, &scratch, packet, &plain) == UNSEAL_OK) {
        packet_walk(&walk, plain);
        for (size_t i = 0; i < parts.count && !walk.bad; i++) { /* what is left must at least not be a message */
            struct msg_ping ping;
            uint8_t type = (uint8_t)parts.bytes.p[0];
            walk.bad = type > MSG_ERR || (type == MSG_PING && !msg_ping_decode(str_from(buf_view(&parts.bytes), 1), &ping));
        }
        (void)(walk.bad || wrong("damage is not seen"));
    }
    packet_parts_deinit(&parts);
}

/* The packet as the mesh takes it apart, and as it would send the same again. */
static bool check_packet(struct str packet, const json_t *want)
{
    const json_t *inner = want;
    struct str plain;
    bool crc = str_eq(shared_get_str(want, "type"), STR("hasCrc"));
    if (crc)
        inner = json_object_get(want, "inner");
    if (packet_open(&plain_seal, &scratch, packet, &plain) != UNSEAL_OK)
        return wrong("does not open");
    if (!check_unit(plain, inner))
        return false;
    struct packet_parts parts = { 0 };
    struct packet_walk walk = { .scratch = &scratch, .visit = collect, .arg = &parts };
    packet_walk(&walk, plain);
    bool ok = (!walk.bad && parts.count == count_leaves(inner)) || wrong("%zu messages", parts.count);
    if (ok && reencode) {
        struct buf joined = { 0 }, again = { 0 };
        packet_seal(&plain_seal, &scratch, &again, packet_parts_join(&parts, &joined), crc);
        ok = same_bytes("packet", &again, packet);
        buf_deinit(&joined);
        buf_deinit(&again);
    }
    packet_parts_deinit(&parts);
    return ok;
}

static void run_packets(void)
{
    json_t *index = shared_json("conformance/gossip/packets/index.json");
    size_t i;
    const json_t *e;
    json_array_foreach(index, i, e)
    {
        char path[256];
        struct buf file = { 0 }, hex = { 0 };
        snprintf(path, sizeof path, "conformance/gossip/packets/%s", json_string_value(json_object_get(e, "file")));
        if (shared_read(path, &file) && shared_unhex(shared_get_str(e, "hex"), &hex)) {
            if (str_eq(buf_view(&file), buf_view(&hex)))
                (void)check_packet(buf_view(&file), json_object_get(e, "decoded"));
            else
                (void)wrong("file and hex differ");
            verdict(path);
        }
        buf_deinit(&file);
        buf_deinit(&hex);
    }
    json_decref(index);
}

static void run_udp(const json_t *value, size_t line, void *arg)
{
    struct buf packet = { 0 };
    char what[128];
    snprintf(what, sizeof what, "%s:%zu %s", (const char *)arg, line, json_string_value(json_object_get(value, "kind")));
    if (shared_unhex(shared_get_str(value, "hex"), &packet))
        (void)check_packet(buf_view(&packet), json_object_get(value, "decoded"));
    else
        (void)wrong("bad hex");
    verdict(what);
    buf_deinit(&packet);
}

/* Hex only: what a test peer sent to Alertmanager, odd things among it, and what it answered. The answers are canonical,
 * and everything must be taken apart without harm. */
static void run_peer_packet(const json_t *value, size_t line, void *arg)
{
    (void)arg;
    struct buf packet = { 0 };
    char what[64];
    snprintf(what, sizeof what, "peer-packets:%zu", line);
    if (!shared_unhex(shared_get_str(value, "hex"), &packet)) {
        (void)wrong("bad hex");
    } else {
        struct str plain;
        struct packet_parts parts = { 0 };
        struct packet_walk walk = { .scratch = &scratch, .visit = collect, .arg = &parts };
        bool from_upstream = str_eq(shared_get_str(value, "dir"), STR("from-alertmanager"));
        enum unseal opened = packet_open(&plain_seal, &scratch, buf_view(&packet), &plain);
        if (opened == UNSEAL_OK)
            packet_walk(&walk, plain);
        if (from_upstream && (opened != UNSEAL_OK || walk.bad || parts.count == 0))
            (void)wrong("Alertmanager's own packet does not decode");
        if (from_upstream && parts.count > 0) {
            struct buf joined = { 0 }, again = { 0 };
            packet_seal(&plain_seal, &scratch, &again, packet_parts_join(&parts, &joined), packet.p[0] == MSG_HAS_CRC);
            (void)same_bytes("packet", &again, buf_view(&packet));
            buf_deinit(&joined);
            buf_deinit(&again);
        }
        packet_parts_deinit(&parts);
    }
    verdict(what);
    buf_deinit(&packet);
}

/* ---- streams ---------------------------------------------------------------------------------------------------------------------- */

/* Reads the stream in pieces of `step` bytes. */
static enum stream_result read_stream(struct stream_reader *r, const struct seal *s, struct str bytes, size_t step, bool accepted)
{
    enum stream_result result = STREAM_MORE;
    *r = (struct stream_reader){ .accepted = accepted };
    for (size_t at = 0; at < bytes.n && result == STREAM_MORE; at += step) {
        buf_str(&r->raw, str_sub(bytes, at, step));
        result = stream_read(r, s);
    }
    return result;
}

static bool check_stream(struct str bytes, const json_t *want, bool accepted)
{
    static const size_t steps[] = { SIZE_MAX / 2, 1, 7, 1000 };
    bool ok = true;
    for (size_t i = 0; ok && i < ARRAY_LEN(steps); i++) {
        if (steps[i] < 100 && bytes.n > 20000)
            continue;
        struct stream_reader r;
        enum stream_result result = read_stream(&r, &plain_seal, bytes, steps[i], accepted);
        const json_t *inner = json_object_get(want, "inner") ? json_object_get(want, "inner") : want;
        ok = (result == STREAM_DONE && check_unit(r.body, inner)) || wrong("not read in steps of %zu", steps[i]);
        if (ok && i == 0 && r.unwrapped) {
            struct buf again = { 0 };
            stream_seal(&plain_seal, &scratch, &again, r.body, accepted);
            ok = !reencode || same_bytes("stream", &again, bytes);
            buf_deinit(&again);
        }
        stream_reader_deinit(&r);
    }
    return ok;
}

static void check_direction(const char *what, const char *side, struct str bytes, const json_t *want, bool accepted)
{
    char name[160];
    snprintf(name, sizeof name, "%s %s", what, side);
    if (str_eq(shared_get_str(want, "type"), STR("empty")))
        (void)(bytes.n == 0 || wrong("should be empty"));
    else
        (void)check_stream(bytes, want, accepted);
    verdict(name);
}

static void run_tcp(const json_t *value, size_t line, void *arg)
{
    char what[128];
    struct buf request = { 0 }, response = { 0 };
    snprintf(what, sizeof what, "%s:%zu", (const char *)arg, line);
    if (!shared_unhex(shared_get_str(value, "request_hex"), &request) ||
        !shared_unhex(shared_get_str(value, "response_hex"), &response)) {
        shared_fail(what, "bad hex");
    } else {
        check_direction(what, "request", buf_view(&request), json_object_get(value, "request"), true);
        check_direction(what, "response", buf_view(&response), json_object_get(value, "response"), false);
    }
    buf_deinit(&request);
    buf_deinit(&response);
}

/* A request that upstream answers with err, or not at all, is no whole request for us either, for the same reason. */
static void check_refusal(const char *what, struct str request, const json_t *response)
{
    struct stream_reader r;
    enum stream_result result = read_stream(&r, &plain_seal, request, SIZE_MAX / 2, true);
    const json_t *err = json_object_get(json_object_get(response, "inner"), "fields");
    struct str text = shared_get_str(err, "Error");
    if (text.p != NULL)
        (void)((result == STREAM_OUTER && str_eq(str_c(r.why), text)) || wrong("err is not \"%.*s\"", STR_ARG(text)));
    else
        (void)(result == STREAM_BAD || result == STREAM_MORE || result == STREAM_LABEL || wrong("is taken"));
    verdict(what);
    stream_reader_deinit(&r);
}

static void run_streams(void)
{
    json_t *index = shared_json("conformance/gossip/streams/index.json");
    size_t i;
    const json_t *e;
    json_array_foreach(index, i, e)
    {
        char name[128], path[256];
        struct buf request = { 0 }, response = { 0 };
        const json_t *want = json_object_get(e, "request"), *answer = json_object_get(e, "response");
        bool peer = json_object_get(e, "request_hex") != NULL, ok;
        snprintf(name, sizeof name, "%s", json_string_value(json_object_get(e, "name")));
        if (peer) {
            ok = shared_unhex(shared_get_str(e, "request_hex"), &request) &&
                 shared_unhex(shared_get_str(e, "response_hex"), &response);
        } else {
            snprintf(path, sizeof path, "conformance/gossip/streams/%s.request.bin", name);
            ok = shared_read(path, &request);
            snprintf(path, sizeof path, "conformance/gossip/streams/%s.response.bin", name);
            ok = ok && shared_read(path, &response);
        }
        if (ok) {
            reencode = !peer;
            if (json_object_get(want, "undecodable"))
                check_refusal(name, buf_view(&request), answer);
            else
                check_direction(name, "request", buf_view(&request), want, true);
            reencode = true;
            check_direction(name, "response", buf_view(&response), answer, false);
        }
        buf_deinit(&request);
        buf_deinit(&response);
    }
    json_decref(index);
}

static void run_large_state(void)
{
    static const char dir[] = "conformance/gossip/refute-and-large-state/";
    struct buf response = { 0 }, plain = { 0 };
    char path[256];
    snprintf(path, sizeof path, "%spushpull-large.response.bin", dir);
    bool ok = shared_read(path, &response);
    snprintf(path, sizeof path, "%spushpull-large.response.plain.bin", dir);
    if (ok && shared_read(path, &plain)) {
        struct stream_reader r;
        struct buf again = { 0 };
        enum stream_result result = read_stream(&r, &plain_seal, buf_view(&response), 1460, false);
        (void)((result == STREAM_DONE && str_eq(r.body, buf_view(&plain))) || wrong("plain bytes differ"));
        stream_seal(&plain_seal, &scratch, &again, buf_view(&plain), false);
        (void)same_bytes("large push/pull", &again, buf_view(&response));
        verdict("pushpull-large");
        buf_deinit(&again);
        stream_reader_deinit(&r);
    }
    buf_deinit(&response);
    buf_deinit(&plain);
}

static void run_lzw(const json_t *value, size_t line, void *arg)
{
    (void)arg;
    struct buf plain = { 0 }, packed = { 0 }, got = { 0 };
    struct err err;
    char what[64];
    snprintf(what, sizeof what, "lzw:%zu", line);
    if (!shared_unhex(shared_get_str(value, "plain_hex"), &plain) || !shared_unhex(shared_get_str(value, "lzw_hex"), &packed)) {
        (void)wrong("bad hex");
    } else {
        (void)((lzw_decode(buf_view(&packed), GOSSIP_STREAM_BYTES_MAX, &got, &err) && str_eq(buf_view(&got), buf_view(&plain))) ||
               wrong("decodes to something else"));
        buf_reset(&got);
        lzw_encode(buf_view(&plain), &got);
        (void)same_bytes("LZW", &got, buf_view(&packed));
    }
    verdict(what);
    buf_deinit(&plain);
    buf_deinit(&packed);
    buf_deinit(&got);
}

/* ---- TLS frames ----------------------------------------------------------------------------------------------------------------------- */

static void run_frame(const json_t *value, size_t line, void *arg)
{
    (void)arg;
    struct buf frame = { 0 }, msg = { 0 }, again = { 0 };
    struct tls_frame f;
    size_t used = 0;
    const char *reason = "";
    char what[64];
    snprintf(what, sizeof what, "tls_frames:%zu", line);
    bool packet = str_eq(shared_get_str(value, "kind"), STR("PACKET"));
    if (!shared_unhex(shared_get_str(value, "hex"), &frame) || !shared_unhex(shared_get_str(value, "msg_hex"), &msg)) {
        (void)wrong("bad hex");
    } else {
        for (size_t n = 0; n < frame.n; n++)
            if (tls_frame_read(str_of(frame.p, n), &f, &used, &reason) != TLS_FRAME_MORE)
                (void)wrong("a part of %zu bytes is taken for a frame", n);
        enum tls_frame_result result = tls_frame_read(buf_view(&frame), &f, &used, &reason);
        (void)((result == (packet ? TLS_FRAME_PACKET : TLS_FRAME_STREAM) && used == frame.n) || wrong("%s", reason));
        (void)(str_eq(f.msg, buf_view(&msg)) || wrong("msg differs"));
        (void)same_str(value, "from_addr", f.from);
        if (packet && f.msg.n > 0)
            tls_frame_write_packet(&again, f.from, f.msg);
        else if (!packet)
            tls_frame_write_stream(&again);
        if (again.n > 0)
            (void)same_bytes("frame", &again, buf_view(&frame));
        if (packet && json_object_get(value, "msg") && !is_sound(json_object_get(value, "msg"))) {
            check_damaged(f.msg);
        } else if (packet && json_object_get(value, "msg")) {
            bool canonical = str_eq(shared_get_str(value, "dir"), STR("from-alertmanager"));
            reencode = canonical;
            (void)check_packet(f.msg, json_object_get(value, "msg"));
            reencode = true;
        }
    }
    verdict(what);
    buf_deinit(&frame);
    buf_deinit(&msg);
    buf_deinit(&again);
}

/* ---- encryption --------------------------------------------------------------------------------------------------------------------------- */

static uint8_t nonce_now[12];
static void fixed_nonce(void *arg, uint8_t nonce[12])
{
    (void)arg;
    memcpy(nonce, nonce_now, sizeof nonce_now);
}

static void check_crypt(const json_t *e, struct str key, unsigned version, struct str plain, struct str packet, struct str stream)
{
    struct err err;
    struct str label = shared_get_str(e, "label");
    static const uint8_t other_key[32] = { 9, 9, 9 };
    struct str keys[2] = { key, str_of((const char *)other_key, 32) }, swapped[2] = { keys[1], keys[0] };
    struct gossip_keyring *ring = gossip_keyring_of(keys, 2, &err), *second = gossip_keyring_of(swapped, 2, &err),
                          *alien = gossip_keyring_of(&keys[1], 1, &err);
    struct seal s = { .label = label, .keyring = ring, .nonce = fixed_nonce };
    struct buf unit = { 0 }, out = { 0 };
    struct str got;
    struct buf aad = { 0 };

    /* Sealing gives the same bytes. */
    size_t header = label.n ? 2 + label.n : 0;
    crypt_seal(&unit, ring, nonce_now, version, plain, label);
    (void)(str_eq(buf_view(&unit), str_from(packet, header)) || wrong("packet seals to other bytes"));
    buf_append(&aad, stream.p + header, 5);
    buf_str(&aad, label);
    buf_reset(&unit);
    crypt_seal(&unit, ring, nonce_now, version, plain, buf_view(&aad));
    (void)(str_eq(buf_view(&unit), str_from(stream, header + 5)) || wrong("stream seals to other bytes"));

    /* Opening gives the plain bytes, with the right key in any place, and only with the right key and label. */
    (void)((packet_open(&s, &scratch, packet, &got) == UNSEAL_OK && str_eq(got, plain)) || wrong("packet does not open"));
    s.keyring = second;
    (void)((packet_open(&s, &scratch, packet, &got) == UNSEAL_OK && str_eq(got, plain)) ||
           wrong("packet does not open with the second key"));
    s.keyring = alien;
    (void)(packet_open(&s, &scratch, packet, &got) == UNSEAL_CRYPT || wrong("packet opens with an alien key"));
    s.keyring = ring;
    (void)(packet_open(&s, &scratch, plain, &got) != UNSEAL_OK || wrong("a plain packet is taken"));
    s.label = STR("other");
    (void)(packet_open(&s, &scratch, packet, &got) == UNSEAL_LABEL || wrong("packet opens under another label"));
    s.label = label;

    struct stream_reader r;
    enum stream_result result = read_stream(&r, &s, stream, 5, true);
    (void)((result == STREAM_DONE || r.crypt_done) || wrong("stream does not open"));
    (void)(str_eq(buf_view(&r.raw), plain) || wrong("stream opens to other bytes"));
    stream_reader_deinit(&r);
    s.keyring = alien;
    (void)(read_stream(&r, &s, stream, 500, true) == STREAM_OUTER || wrong("stream opens with an alien key"));
    stream_reader_deinit(&r);

    /* Damage anywhere is seen, but for the version, which nothing authenticates. */
    s.keyring = ring;
    for (size_t i = 0; i < packet.n; i++) {
        if (i == header)
            continue;
        buf_reset(&out);
        buf_str(&out, packet);
        out.p[i] = (char)(out.p[i] ^ 1);
        (void)(packet_open(&s, &scratch, buf_view(&out), &got) != UNSEAL_OK || wrong("damage at %zu is not seen", i));
    }
    buf_deinit(&unit);
    buf_deinit(&out);
    buf_deinit(&aad);
    gossip_keyring_free(ring);
    gossip_keyring_free(second);
    gossip_keyring_free(alien);
}

static void run_encryption(void)
{
    json_t *cases = shared_json("conformance/gossip/encryption_computed.json");
    size_t i;
    const json_t *e;
    json_array_foreach(cases, i, e)
    {
        struct buf key = { 0 }, nonce = { 0 }, plain = { 0 }, packet = { 0 }, stream = { 0 };
        char what[64];
        snprintf(what, sizeof what, "encryption:%zu", i);
        if (shared_unhex(shared_get_str(e, "key_hex"), &key) && shared_unhex(shared_get_str(e, "nonce_hex"), &nonce) &&
            nonce.n == sizeof nonce_now && shared_unhex(shared_get_str(e, "plain_hex"), &plain) &&
            shared_unhex(shared_get_str(e, "packet_hex"), &packet) && shared_unhex(shared_get_str(e, "stream_hex"), &stream)) {
            memcpy(nonce_now, nonce.p, sizeof nonce_now);
            check_crypt(e, buf_view(&key), (unsigned)shared_get_int(e, "version", 1), buf_view(&plain), buf_view(&packet),
                        buf_view(&stream));
        } else {
            (void)wrong("bad hex");
        }
        verdict(what);
        buf_deinit(&key);
        buf_deinit(&nonce);
        buf_deinit(&plain);
        buf_deinit(&packet);
        buf_deinit(&stream);
    }
    json_decref(cases);
}

int main(void)
{
    if (!shared_begin("gossip"))
        return shared_finish();
    crypto_init();
    run_packets();
    static const char *const udp[] = { "conformance/gossip/three-node/udp.jsonl", "conformance/gossip/five-node/udp.jsonl",
                                       "conformance/gossip/refute-and-large-state/udp.jsonl" };
    static const char *const tcp[] = { "conformance/gossip/three-node/tcp.jsonl", "conformance/gossip/five-node/tcp.jsonl",
                                       "conformance/gossip/refute-and-large-state/tcp.jsonl" };
    for (size_t i = 0; i < ARRAY_LEN(udp); i++) {
        char name[128];
        snprintf(name, sizeof name, "%s", udp[i]);
        shared_jsonl(udp[i], run_udp, name);
        snprintf(name, sizeof name, "%s", tcp[i]);
        shared_jsonl(tcp[i], run_tcp, name);
    }
    run_streams();
    shared_jsonl("conformance/gossip/streams/peer-packets.jsonl", run_peer_packet, NULL);
    run_large_state();
    shared_jsonl("conformance/gossip/lzw.jsonl", run_lzw, NULL);
    shared_jsonl("conformance/gossip/tls_frames.jsonl", run_frame, NULL);
    run_encryption();
    packet_scratch_deinit(&scratch);
    return shared_finish();
}
