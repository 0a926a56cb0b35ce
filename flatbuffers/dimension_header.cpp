/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimension_header.h"

#include "dimension_generated.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace fb = penstock::fb;

bool dimension_name_valid(const char *text)
{
	static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:+-";
	size_t len = strspn(text, allowed);

	return len > 0 && len < DIMENSION_NAME_SIZE && text[len] == '\0';
}

/* A string with a NUL inside would be cut by C: such a header was not made by us. */
static bool plain(const flatbuffers::String *string)
{
	return memchr(string->c_str(), '\0', string->size()) == nullptr;
}

static int copy_name(
    char out[DIMENSION_NAME_SIZE], const flatbuffers::String *string, const char *what, struct error *err)
{
	if (!plain(string) || !dimension_name_valid(string->c_str()))
		return error_set(err, -EBADMSG, "header: the %s is not a valid name", what);
	memcpy(out, string->c_str(), string->size() + 1);
	return 0;
}

static int copy_columns(const fb::Dimension *root, struct dimension_header *out, struct error *err)
{
	const auto *columns = root->columns();

	out->key_column = strdup(root->key_column()->c_str());
	if (out->key_column == nullptr)
		return error_set(err, -ENOMEM, "header: no memory");
	if (!plain(root->key_column()))
		return error_set(err, -EBADMSG, "header: the key column's name holds a NUL");
	if (columns == nullptr || columns->size() == 0)
		return 0;
	if (columns->size() > DIMENSION_MAX_COLUMNS)
		return error_set(err, -EBADMSG, "header: %u columns, at most %u are allowed", columns->size(),
		    DIMENSION_MAX_COLUMNS);
	out->columns = static_cast<char **>(calloc(columns->size(), sizeof(char *)));
	if (out->columns == nullptr)
		return error_set(err, -ENOMEM, "header: no memory");
	for (const flatbuffers::String *column : *columns) {
		if (!plain(column))
			return error_set(err, -EBADMSG, "header: a column's name holds a NUL");
		out->columns[out->n_columns] = strdup(column->c_str());
		if (out->columns[out->n_columns] == nullptr)
			return error_set(err, -ENOMEM, "header: no memory");
		out->n_columns++;
	}
	return 0;
}

static int copy_root(const fb::Dimension *root, struct dimension_header *out, struct error *err)
{
	int rc = copy_name(out->name, root->name(), "name", err);

	if (rc == 0)
		rc = copy_name(out->version, root->version(), "version", err);
	if (rc == 0 && root->tool_version() != nullptr)
		rc = copy_name(out->tool_version, root->tool_version(), "tool version", err);
	if (rc == 0)
		rc = copy_columns(root, out, err);
	if (rc != 0)
		return rc;
	if (root->sections()->size() > DIMENSION_MAX_SECTIONS)
		return error_set(err, -EBADMSG, "header: %u sections, at most %u are allowed",
		    root->sections()->size(), DIMENSION_MAX_SECTIONS);
	for (const fb::Section *section : *root->sections()) {
		struct dimension_section *to = &out->sections[out->n_sections++];

		to->kind = static_cast<uint16_t>(section->kind());
		to->offset = section->offset();
		to->length = section->length();
		to->xxh3 = section->xxh3();
	}
	out->n_rows = root->row_count();
	out->n_buckets = root->bucket_count();
	out->seed = root->seed();
	out->max_row_bytes = root->max_row_bytes();
	out->built_ms = root->built_ms();
	return 0;
}

int dimension_header_decode(const void *bytes, size_t len, struct dimension_header *out, struct error *err)
{
	flatbuffers::Verifier verifier(static_cast<const uint8_t *>(bytes), len);

	memset(out, 0, sizeof(*out));
	if (!fb::VerifyDimensionBuffer(verifier))
		return error_set(err, -EBADMSG, "header: not a valid dimension.fbs buffer");
	int rc = copy_root(fb::GetDimension(bytes), out, err);
	if (rc != 0)
		dimension_header_free(out);
	return rc;
}

int dimension_header_encode(const struct dimension_header *header, uint8_t **out, size_t *len)
{
	flatbuffers::FlatBufferBuilder builder(1024);
	std::vector<flatbuffers::Offset<flatbuffers::String>> columns;
	std::vector<flatbuffers::Offset<fb::Section>> sections;

	/* Zeros take their place too, so that the length depends on the strings alone. */
	builder.ForceDefaults(true);
	for (size_t i = 0; i < header->n_columns; i++)
		columns.push_back(builder.CreateString(header->columns[i]));
	for (size_t i = 0; i < header->n_sections; i++) {
		const struct dimension_section *from = &header->sections[i];

		sections.push_back(fb::CreateSection(builder, static_cast<fb::SectionKind>(from->kind),
		    from->offset, from->length, from->xxh3));
	}
	auto name = builder.CreateString(header->name);
	auto version = builder.CreateString(header->version);
	auto key_column = builder.CreateString(header->key_column);
	auto column_vector = builder.CreateVector(columns);
	auto tool_version = builder.CreateString(header->tool_version);
	auto section_vector = builder.CreateVector(sections);
	fb::FinishDimensionBuffer(
	    builder, fb::CreateDimension(builder, name, version, key_column, column_vector, header->n_rows,
	                 header->n_buckets, header->seed, header->max_row_bytes, header->built_ms,
	                 tool_version, section_vector));

	*len = builder.GetSize();
	*out = static_cast<uint8_t *>(malloc(*len));
	if (*out == nullptr)
		return -ENOMEM;
	memcpy(*out, builder.GetBufferPointer(), *len);
	return 0;
}

void dimension_header_free(struct dimension_header *header)
{
	for (size_t i = 0; i < header->n_columns; i++)
		free(header->columns[i]);
	free(header->columns);
	free(header->key_column);
	header->columns = nullptr;
	header->n_columns = 0;
	header->key_column = nullptr;
}
