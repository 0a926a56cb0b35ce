/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Every way in which a frame or an event can end other than as an enriched record, by name.
 *
 * One table: the enum, the names that users see in `penstock status`, in metrics and in dead letter headers,
 * and the help text that docs/operations.md must carry (a test compares them). Add a row, and counters,
 * metrics and documentation checks follow.
 */
#ifndef PENSTOCK_REASON_H
#define PENSTOCK_REASON_H

#include <stdint.h>

/* What happens to the thing that the reason is about. */
enum reason_class {
	REASON_CLASS_NONE,        /* nothing: the event goes on */
	REASON_CLASS_FRAME,       /* a whole frame is discarded before it is known to hold events */
	REASON_CLASS_DEAD_LETTER, /* the event goes to the stream's dead letter output */
	REASON_CLASS_DUPLICATE,   /* the event was seen within the window, and the stream drops duplicates */
	REASON_CLASS_SHED,        /* the event is given up under load or at shutdown */
};

/* clang-format off */
/*     enum suffix               class        stage       name                        help */
#define REASON_TABLE(X) \
	X(NONE,                  NONE,        "",         "none",                     "nothing is wrong") \
	X(FRAME_TRUNCATED,       FRAME,       "frame",    "frame_truncated",          "shorter than its headers say, or than a header needs") \
	X(FRAME_VLAN_DEPTH,      FRAME,       "frame",    "frame_vlan_depth",         "more than two VLAN tags") \
	X(FRAME_NOT_IP,          FRAME,       "frame",    "frame_not_ip",             "neither IPv4 nor IPv6") \
	X(FRAME_IP_HEADER,       FRAME,       "frame",    "frame_ip_header",          "IP version, header length or total length is impossible") \
	X(FRAME_IP_CHECKSUM,     FRAME,       "frame",    "frame_ip_checksum",        "IPv4 header checksum is wrong") \
	X(FRAME_IP_EXTENSION,    FRAME,       "frame",    "frame_ip_extension",       "IPv6 extension headers are malformed or more than eight") \
	X(FRAME_FRAGMENT,        FRAME,       "frame",    "frame_fragment",           "an IP fragment: events must fit one packet") \
	X(FRAME_NOT_UDP,         FRAME,       "frame",    "frame_not_udp",            "IP, but not UDP") \
	X(FRAME_UDP_LENGTH,      FRAME,       "frame",    "frame_udp_length",         "UDP length disagrees with the IP payload") \
	X(FRAME_UDP_CHECKSUM,    FRAME,       "frame",    "frame_udp_checksum",       "UDP checksum is wrong") \
	X(FRAME_UNKNOWN_PORT,    FRAME,       "frame",    "frame_unknown_port",       "no stream listens on the UDP port") \
	X(FRAME_EMPTY,           FRAME,       "frame",    "frame_empty",              "a datagram that holds no event") \
	X(FRAME_MALFORMED,       FRAME,       "frame",    "frame_malformed",          "starts like a transport frame, but its header or its lines are wrong") \
	X(FRAME_VERSION,         FRAME,       "frame",    "frame_version",            "a transport frame of another version") \
	X(FRAME_WRONG_STREAM,    FRAME,       "frame",    "frame_wrong_stream",       "a transport frame for another stream than its port's") \
	X(FRAME_UNKNOWN_SOURCE,  FRAME,       "frame",    "frame_unknown_source",     "a transport frame of a source that is not listed, or is revoked") \
	X(FRAME_BAD_MAC,         FRAME,       "frame",    "frame_bad_mac",            "a transport frame without the MAC that is needed, or with a wrong one") \
	X(FRAME_STALE_EPOCH,     FRAME,       "frame",    "frame_stale_epoch",        "HELLO of an older run of a source than the one that is connected") \
	X(FRAME_TOO_MANY_SOURCES, FRAME,      "frame",    "frame_too_many_sources",   "a transport frame of a source beyond transport.max_sources") \
	X(FRAME_NO_WAY_BACK,     FRAME,       "frame",    "frame_no_way_back",        "HELLO that cannot be answered: a group address, or no port") \
	X(FRAME_UNKNOWN_SESSION, FRAME,       "frame",    "frame_unknown_session",    "a transport frame of no session here: the sender says HELLO again") \
	X(FRAME_BUSY,            FRAME,       "frame",    "frame_busy",               "HELLO or a first frame while sessions were being changed: it comes again") \
	X(FRAME_TOO_LARGE,       FRAME,       "frame",    "frame_too_large",          "a transport frame larger than the sender was told") \
	X(FRAME_WINDOW,          FRAME,       "frame",    "frame_window",             "a transport frame outside its session's window") \
	X(FRAME_REPEATED,        FRAME,       "frame",    "frame_repeated",           "a transport frame that was received before") \
	X(FRAME_RATE,            FRAME,       "frame",    "frame_rate",               "a transport frame above its source's rate: the sender is told to slow down") \
	X(FRAME_NO_ROOM,         FRAME,       "frame",    "frame_no_room",            "no buffer for all events of a transport frame: it comes again") \
	X(FRAME_NOT_READY,       FRAME,       "frame",    "frame_not_ready",          "a transport frame before events were accepted (see shed_not_ready): it comes again") \
	X(FRAME_DRAINING,        FRAME,       "frame",    "frame_draining",           "a transport frame while the daemon was shutting down") \
	X(JSON_SYNTAX,           DEAD_LETTER, "parse",    "json_syntax",              "not JSON by RFC 8259") \
	X(JSON_UTF8,             DEAD_LETTER, "parse",    "json_utf8",                "a string is not valid UTF-8") \
	X(JSON_CONTROL,          DEAD_LETTER, "parse",    "json_control",             "an unescaped control character inside a string") \
	X(JSON_ESCAPE,           DEAD_LETTER, "parse",    "json_escape",              "an invalid escape, or half of a surrogate pair") \
	X(JSON_NUMBER,           DEAD_LETTER, "parse",    "json_number",              "a number that RFC 8259 does not allow") \
	X(JSON_DEPTH,            DEAD_LETTER, "parse",    "json_depth",               "nested deeper than 64 levels") \
	X(JSON_TRAILING,         DEAD_LETTER, "parse",    "json_trailing",            "bytes after the event's closing brace") \
	X(JSON_NOT_OBJECT,       DEAD_LETTER, "parse",    "json_not_object",          "valid JSON, but not an object") \
	X(JSON_DUPLICATE_KEY,    DEAD_LETTER, "parse",    "json_duplicate_key",       "a declared field occurs twice") \
	X(JSON_TOO_MANY_FIELDS,  DEAD_LETTER, "parse",    "json_too_many_fields",     "more than 256 undeclared members where the stream drops or flags them") \
	X(EVENT_TOO_LARGE,       DEAD_LETTER, "parse",    "event_too_large",          "longer than the stream's max_event_bytes") \
	X(FIELD_MISSING,         DEAD_LETTER, "validate", "field_missing",            "a required field is absent or null") \
	X(FIELD_TYPE,            DEAD_LETTER, "validate", "field_type",               "a field has another JSON type than declared") \
	X(FIELD_ENUM,            DEAD_LETTER, "validate", "field_enum",               "a field's value is not in its enum") \
	X(FIELD_RANGE,           DEAD_LETTER, "validate", "field_range",              "a number is below min or above max") \
	X(FIELD_LENGTH,          DEAD_LETTER, "validate", "field_length",             "a string is shorter than min_length or longer than max_length") \
	X(FIELD_FORMAT,          DEAD_LETTER, "validate", "field_format",             "a string is not of the declared format") \
	X(FIELD_PATTERN,         DEAD_LETTER, "validate", "field_pattern",            "a string does not match the declared pattern") \
	X(FIELD_UNKNOWN,         DEAD_LETTER, "validate", "field_unknown",            "an undeclared field, and the stream rejects those") \
	X(TIMESTAMP_INVALID,     DEAD_LETTER, "validate", "timestamp_invalid",        "the event time is not of the declared format") \
	X(TIMESTAMP_PAST,        DEAD_LETTER, "validate", "timestamp_past",           "the event time is older than max_past allows") \
	X(TIMESTAMP_FUTURE,      DEAD_LETTER, "validate", "timestamp_future",         "the event time is further ahead than max_future allows") \
	X(DUPLICATE,             DUPLICATE,   "dedup",    "duplicate",                "the identity was seen within the window") \
	X(DIMENSION_MISS,        DEAD_LETTER, "enrich",   "dimension_miss",           "a dimension holds no such key, and on_miss is dlq") \
	X(RECORD_TOO_LARGE,      DEAD_LETTER, "emit",     "record_too_large",         "the enriched record is larger than the sink takes") \
	X(SHED_SINK_FULL,        SHED,        "emit",     "shed_sink_full",           "no buffer was free: the sinks are slower than the sender") \
	X(SHED_NOT_READY,        SHED,        "emit",     "shed_not_ready",           "events are not accepted until required dimensions and the dedup windows are loaded") \
	X(SHED_FORGOTTEN,        SHED,        "dedup",    "shed_forgotten",           "a duplicate whose original was not delivered: its frame comes again") \
	X(SHED_UNDELIVERED,      SHED,        "sink",     "shed_undelivered",         "still not confirmed by the sink when the shutdown deadline ended")
/* clang-format on */

enum reason {
#define X(suffix, class, stage, name, help) REASON_##suffix,
	REASON_TABLE(X)
#undef X
	    REASON_COUNT
};

struct reason_info {
	const char *name;
	const char *stage;
	const char *help;
	enum reason_class class;
};

/* The row of a reason; `reason` must be below REASON_COUNT. Any thread. */
const struct reason_info *reason_info(enum reason reason);

#endif
