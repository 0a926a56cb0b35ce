/* SPDX-License-Identifier: BSD-3-Clause */
#include "dead_letter_line.h"

#include "event.h"
#include "json_text.h"
#include "timestamp.h"

#include <string.h>

#define FIXED_MAX 512u /* names, stage, reason, timestamp and punctuation */
#define ESCAPED_MAX 6u /* \u00XX */

size_t dead_letter_line_max(const char *stream, const struct batch_event *event)
{
	size_t help = strlen(reason_info((enum reason)event->reason)->help);

	return FIXED_MAX + ESCAPED_MAX * (strlen(stream) + event->message_len + help + event->raw_len);
}

static char *literal(char *out, const char *text)
{
	size_t len = strlen(text);

	memcpy(out, text, len);
	return out + len;
}

static char *escaped(char *out, const char *text, size_t len)
{
	static const char digits[] = "0123456789abcdef";

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\') {
			*out++ = '\\';
			*out++ = (char)c;
		} else if (c >= 0x20) {
			*out++ = (char)c;
		} else {
			memcpy(out, "\\u00", 4);
			out[4] = digits[c >> 4];
			out[5] = digits[c & 15];
			out += 6;
		}
	}
	return out;
}

static char *base64(char *out, const unsigned char *data, size_t len)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < len; i += 3) {
		size_t left = len - i;
		uint32_t bits = (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) |
		                (left > 2 ? data[i + 2] : 0);

		*out++ = digits[bits >> 18];
		*out++ = digits[bits >> 12 & 63];
		*out++ = left > 1 ? digits[bits >> 6 & 63] : '=';
		*out++ = left > 2 ? digits[bits & 63] : '=';
	}
	return out;
}

/* Messages may quote the event, so they are not trusted to be UTF-8. */
static char *message(char *out, const struct batch *batch, const struct batch_event *event)
{
	const struct reason_info *info = reason_info((enum reason)event->reason);
	const char *text = batch->bytes + event->message;

	if (event->message_len > 0 && json_utf8_valid(text, event->message_len))
		return escaped(out, text, event->message_len);
	return escaped(out, info->help, strlen(info->help));
}

size_t dead_letter_line(
    char *out, const char *stream, const struct batch *batch, const struct batch_event *event)
{
	const struct reason_info *info = reason_info((enum reason)event->reason);
	const char *raw = batch->bytes + event->raw;
	char *at = out;
	unsigned int replays;

	at = literal(at, "{\"stage\":\"");
	at = literal(at, info->stage);
	at = literal(at, "\",\"reason\":\"");
	at = literal(at, info->name);
	at = literal(at, "\",\"message\":\"");
	at = message(at, batch, event);
	at = literal(at, "\",\"stream\":\"");
	at = escaped(at, stream, strlen(stream));
	at = literal(at, "\",\"timestamp\":\"");
	if (!timestamp_write(batch->arrival_ms, at))
		timestamp_write(0, at);
	at += TIMESTAMP_TEXT_BYTES;
	at = literal(at, "\",\"replays\":");
	replays = event->flags >> EVENT_REPLAYS_SHIFT;
	if (replays >= 10)
		*at++ = (char)('0' + replays / 10);
	*at++ = (char)('0' + replays % 10);
	at = literal(at, ",");
	if (json_utf8_valid(raw, event->raw_len)) {
		at = literal(at, "\"value\":\"");
		at = escaped(at, raw, event->raw_len);
	} else {
		at = literal(at, "\"value_base64\":\"");
		at = base64(at, (const unsigned char *)raw, event->raw_len);
	}
	at = literal(at, "\"}");
	return (size_t)(at - out);
}
