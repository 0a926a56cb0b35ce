/* SPDX-License-Identifier: BSD-3-Clause */
#include "dlq/dlq_print.h"

#include "json_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>
#include <openssl/evp.h>

static int outcome(FILE *out)
{
	return ferror(out) ? -EIO : 0;
}

/* C1 control characters and the like would drive a terminal as well. */
static bool printable(const char *at, uint32_t len)
{
	unsigned char c = (unsigned char)at[0];

	if (len == 1)
		return c >= 0x20 && c != 0x7f && c != '\\';
	return len > 2 || (len == 2 && (c != 0xc2 || (unsigned char)at[1] >= 0xa0));
}

void dlq_print_bytes(FILE *out, const char *data, size_t len)
{
	const char *end = data + len;

	while (data < end) {
		uint32_t n = json_utf8_sequence(data, end);

		if (printable(data, n)) {
			fwrite(data, 1, n, out);
			data += n;
			continue;
		}
		if (*data == '\n')
			fputs("\\n", out);
		else if (*data == '\r')
			fputs("\\r", out);
		else if (*data == '\t')
			fputs("\\t", out);
		else if (*data == '\\')
			fputs("\\\\", out);
		else
			fprintf(out, "\\x%02x", (unsigned char)*data);
		data++;
	}
}

static int print_histogram_json(FILE *out, const struct dlq_histogram *histogram)
{
	json_t *object = json_object(), *groups = json_array();
	int rc;

	for (size_t i = 0; i < histogram->n; i++) {
		const struct dlq_group *group = &histogram->group[i];

		json_array_append_new(
		    groups, json_pack("{s:s, s:s, s:s, s:I, s:s?, s:s?}", "stream", group->stream, "stage",
		                group->stage, "reason", group->reason, "count", (json_int_t)group->count,
		                "first", group->first[0] != '\0' ? group->first : NULL, "last",
		                group->last[0] != '\0' ? group->last : NULL));
	}
	json_object_set_new(object, "records", json_integer((json_int_t)histogram->records));
	json_object_set_new(object, "not_grouped", json_integer((json_int_t)histogram->others));
	json_object_set_new(object, "groups", groups);
	rc = json_dumpf(object, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(object);
	return rc != 0 ? -EIO : outcome(out);
}

int dlq_print_histogram(FILE *out, const struct dlq_histogram *histogram, bool json)
{
	int stream_width = 6, reason_width = 6;

	if (json)
		return print_histogram_json(out, histogram);
	for (size_t i = 0; i < histogram->n; i++) {
		int stream = (int)strlen(histogram->group[i].stream),
		    reason = (int)strlen(histogram->group[i].reason);

		stream_width = stream > stream_width ? stream : stream_width;
		reason_width = reason > reason_width ? reason : reason_width;
	}
	fprintf(out, "%10s  %-*s  %-8s  %-*s  %-24s  %s\n", "COUNT", stream_width, "STREAM", "STAGE",
	    reason_width, "REASON", "FIRST", "LAST");
	for (size_t i = 0; i < histogram->n; i++) {
		const struct dlq_group *group = &histogram->group[i];

		fprintf(out, "%10" PRIu64 "  %-*s  %-8s  %-*s  %-24s  %s\n", group->count, stream_width,
		    group->stream, group->stage, reason_width, group->reason, group->first, group->last);
	}
	if (histogram->others > 0)
		fprintf(out, "%10" PRIu64 "  (in more than %u groups)\n", histogram->others, DLQ_MAX_GROUPS);
	fprintf(out, "%10" PRIu64 "  dead letters\n", histogram->records);
	return outcome(out);
}

static void add_bytes(json_t *object, const char *name, const struct dlq_text *text)
{
	char *base64, *key;

	if (text->data == NULL)
		return;
	if (text->len <= UINT32_MAX && json_utf8_valid(text->data, (uint32_t)text->len)) {
		json_object_set_new(object, name, json_stringn(text->data, text->len));
		return;
	}
	base64 = malloc(text->len / 3 * 4 + 8);
	if (base64 != NULL && asprintf(&key, "%s_base64", name) > 0) {
		EVP_EncodeBlock((unsigned char *)base64, (const unsigned char *)text->data, (int)text->len);
		json_object_set_new(object, key, json_string(base64));
		free(key);
	}
	free(base64);
}

static int print_record_json(FILE *out, const struct dlq_record *record)
{
	json_t *object = json_object(), *headers = json_object();
	int rc;

	if (record->partition >= 0) {
		json_object_set_new(object, "topic", json_string(record->place));
		json_object_set_new(object, "partition", json_integer(record->partition));
		json_object_set_new(object, "offset", json_integer(record->number));
	} else {
		json_object_set_new(object, "file", json_string(record->place));
		json_object_set_new(object, "line", json_integer(record->number));
	}
	add_bytes(object, "stream", &record->stream);
	add_bytes(object, "stage", &record->stage);
	add_bytes(object, "reason", &record->reason);
	add_bytes(object, "message", &record->message);
	add_bytes(object, "timestamp", &record->timestamp);
	add_bytes(object, "replays", &record->replays);
	add_bytes(object, "key", &record->key);
	add_bytes(object, "value", &record->value);
	for (size_t i = 0; i < record->n_headers; i++)
		add_bytes(headers, record->headers[i].name, &record->headers[i]);
	json_object_set_new(object, "headers", headers);
	rc = json_dumpf(object, out, JSON_COMPACT);
	fputc('\n', out);
	json_decref(object);
	return rc != 0 ? -EIO : outcome(out);
}

static void print_field(FILE *out, const char *name, const struct dlq_text *text)
{
	if (text->data == NULL)
		return;
	fprintf(out, "  %s: ", name);
	dlq_print_bytes(out, text->data, text->len);
	fputc('\n', out);
}

int dlq_print_record(FILE *out, const struct dlq_record *record, bool json)
{
	if (json)
		return print_record_json(out, record);
	if (record->partition >= 0)
		fprintf(out, "%s[%d]@%lld\n", record->place, record->partition, (long long)record->number);
	else
		fprintf(out, "%s:%lld\n", record->place, (long long)record->number);
	if (record->n_headers == 0) {
		print_field(out, "stream", &record->stream);
		print_field(out, "stage", &record->stage);
		print_field(out, "reason", &record->reason);
		print_field(out, "message", &record->message);
		print_field(out, "timestamp", &record->timestamp);
		print_field(out, "replays", &record->replays);
	}
	for (size_t i = 0; i < record->n_headers; i++) {
		struct dlq_text name = {
		    .data = record->headers[i].name, .len = strlen(record->headers[i].name)};

		fputs("  ", out);
		dlq_print_bytes(out, name.data, name.len);
		fputs(": ", out);
		dlq_print_bytes(out, record->headers[i].data, record->headers[i].len);
		fputc('\n', out);
	}
	print_field(out, "key", &record->key);
	print_field(out, "value", &record->value);
	return outcome(out);
}
