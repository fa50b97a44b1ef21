/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Every protobuf that the bridge unpacks, chosen by the first byte. All of what was unpacked is
 * read again by packing it. run.sh compares the list with the sources.
 */
#include "fuzz.h"
#include "wa/pb.h"
#include "wa/proto/message.pb-c.h"
#include "wa/proto/transport.pb-c.h"

#define ENTRIES(X)                                                                                 \
    X(wa__advsigned_device_identity)                                                               \
    X(wa__advdevice_identity)                                                                      \
    X(wa__advsigned_device_identity_hmac)                                                          \
    X(wa__advsigned_key_index_list)                                                                \
    X(wa__advkey_index_list)                                                                       \
    X(wa__cert_chain)                                                                              \
    X(wa__cert_chain__noise_certificate__details)                                                  \
    X(wa__handshake_message)                                                                       \
    X(wa__history_sync_notification)                                                               \
    X(wa__lidmigration_mapping_sync_payload)                                                       \
    X(wa__media_retry_notification)                                                                \
    X(wa__message)                                                                                 \
    X(wa__message_context_info)                                                                    \
    X(wa__peer_data_operation_request_response_message)                                            \
    X(wa__primary_ephemeral_identity)                                                              \
    X(wa__protocol_message)                                                                        \
    X(wa__web_message_info)

static const ProtobufCMessageDescriptor *const entries[] = {
#define X(name) &name##__descriptor,
    ENTRIES(X)
#undef X
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reader in = reader_init(BYTES(data, size));
    const ProtobufCMessageDescriptor *type = entries[fuzz_byte(&in) % ARRAY_LEN(entries)];
    AUTO_PB void *message = wa_pb_unpack(type, fuzz_piece(&in));
    if (!message)
        return 0;
    size_t n = protobuf_c_message_get_packed_size(message);
    uint8_t *p = err_malloc(n ? n : 1);
    fuzz_require(protobuf_c_message_pack(message, p) == n);
    free(p);
    return 0;
}
