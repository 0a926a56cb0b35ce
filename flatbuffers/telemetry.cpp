/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.h"

#include "telemetry_generated.h"

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <new>

namespace fb = penstock::fb;
using flatbuffers::FlatBufferBuilder;
using flatbuffers::Offset;
using flatbuffers::String;
template <typename T> using Tables = flatbuffers::Vector<Offset<T>>;

/*
 * Writing.
 */
static Offset<String> write_string(FlatBufferBuilder &builder, const char *text)
{
	return text != nullptr ? builder.CreateString(text) : Offset<String>();
}

/* Turns an array into a vector of tables, one by one. */
template <typename T, typename Item, typename Write>
static Offset<Tables<T>> write_tables(FlatBufferBuilder &builder, const Item *items, size_t n, Write write)
{
	std::vector<Offset<T>> offsets;

	offsets.reserve(n);
	for (size_t i = 0; i < n; i++)
		offsets.push_back(write(items[i]));
	return builder.CreateVector(offsets);
}

static Offset<Tables<fb::Counter>> write_counters(
    FlatBufferBuilder &builder, const struct telemetry_counters &from)
{
	return write_tables<fb::Counter>(
	    builder, from.items, from.n, [&](const struct telemetry_counter &item) {
		    return fb::CreateCounter(builder, builder.CreateSharedString(item.name), item.value);
	    });
}

static Offset<fb::StreamTelemetry> write_stream(
    FlatBufferBuilder &builder, const struct telemetry_stream &from)
{
	auto name = builder.CreateString(from.name);
	auto counters = write_counters(builder, from.counters);
	auto reasons = write_counters(builder, from.reasons);

	return fb::CreateStreamTelemetry(builder, name, from.received, from.durable, from.dead_lettered,
	    from.duplicate, from.shed, from.in_flight, from.conserved, counters, reasons);
}

static Offset<fb::WorkerTelemetry> write_worker(
    FlatBufferBuilder &builder, const struct telemetry_worker &from)
{
	auto stages = write_tables<fb::StageTelemetry>(
	    builder, from.stages, from.n_stages, [&](const struct telemetry_stage &stage) {
		    return fb::CreateStageTelemetry(
		        builder, builder.CreateSharedString(stage.name), stage.cycles, stage.events);
	    });
	auto frame_reasons = write_counters(builder, from.frame_reasons);

	return fb::CreateWorkerTelemetry(builder, from.lcore, from.cpu, from.loops, from.busy_loops,
	    from.packets, from.packet_bytes, from.batches, stages, frame_reasons);
}

static Offset<fb::DimensionTelemetry> write_dimension(
    FlatBufferBuilder &builder, const struct telemetry_dimension &from)
{
	auto name = builder.CreateString(from.name);
	auto version = write_string(builder, from.version);

	return fb::CreateDimensionTelemetry(
	    builder, name, version, from.rows, from.bytes, from.age_ms, from.hits, from.misses);
}

static Offset<fb::SinkTelemetry> write_sink(FlatBufferBuilder &builder, const struct telemetry_sink &from)
{
	auto name = builder.CreateString(from.name);
	auto state = write_string(builder, from.state);
	auto counters = write_counters(builder, from.counters);

	return fb::CreateSinkTelemetry(
	    builder, name, state, from.records, from.bytes, from.retries, counters);
}

static Offset<fb::DedupTelemetry> write_dedup(FlatBufferBuilder &builder, const struct telemetry_dedup &from)
{
	auto stream = builder.CreateString(from.stream);

	return fb::CreateDedupTelemetry(builder, stream, from.slots, from.entries, from.evicted,
	    from.window_ms, from.covered_ms, from.alarm);
}

/*
 * The builder cannot fail, so what it would stumble over is looked for first: missing names, and a size that
 * FlatBuffers cannot hold. `size` adds up a generous bound.
 */
struct check {
	bool names = true;
	size_t size = 1024;

	void string(const char *text, bool required)
	{
		if (text != nullptr)
			size += strlen(text) + 16;
		else if (required)
			names = false;
	}
	void counters(const struct telemetry_counters &from)
	{
		for (size_t i = 0; i < from.n; i++) {
			string(from.items[i].name, true);
			size += 64;
		}
	}
};

static struct check check_input(const struct telemetry *from)
{
	struct check check;

	for (const char *text : {from->host, from->node, from->version, from->status_json})
		check.string(text, false);
	for (size_t i = 0; i < from->n_streams; i++) {
		check.size += 256;
		check.string(from->streams[i].name, true);
		check.counters(from->streams[i].counters);
		check.counters(from->streams[i].reasons);
	}
	for (size_t i = 0; i < from->n_workers; i++) {
		check.size += 256;
		check.counters(from->workers[i].frame_reasons);
		for (size_t j = 0; j < from->workers[i].n_stages; j++) {
			check.size += 64;
			check.string(from->workers[i].stages[j].name, true);
		}
	}
	for (size_t i = 0; i < from->n_dimensions; i++) {
		check.size += 256;
		check.string(from->dimensions[i].name, true);
		check.string(from->dimensions[i].version, false);
	}
	for (size_t i = 0; i < from->n_sinks; i++) {
		check.size += 256;
		check.string(from->sinks[i].name, true);
		check.string(from->sinks[i].state, false);
		check.counters(from->sinks[i].counters);
	}
	for (size_t i = 0; i < from->n_dedup; i++) {
		check.size += 256;
		check.string(from->dedup[i].stream, true);
	}
	return check;
}

int telemetry_encode(const struct telemetry *from, uint8_t **out, size_t *len)
{
	const struct check check = check_input(from);

	if (!check.names)
		return -EINVAL;
	if (check.size > TELEMETRY_MAX_BYTES)
		return -EMSGSIZE;

	FlatBufferBuilder builder(16384);
	auto host = write_string(builder, from->host);
	auto node = write_string(builder, from->node);
	auto version = write_string(builder, from->version);
	auto streams = write_tables<fb::StreamTelemetry>(builder, from->streams, from->n_streams,
	    [&](const struct telemetry_stream &item) { return write_stream(builder, item); });
	auto workers = write_tables<fb::WorkerTelemetry>(builder, from->workers, from->n_workers,
	    [&](const struct telemetry_worker &item) { return write_worker(builder, item); });
	auto dimensions = write_tables<fb::DimensionTelemetry>(builder, from->dimensions, from->n_dimensions,
	    [&](const struct telemetry_dimension &item) { return write_dimension(builder, item); });
	auto sinks = write_tables<fb::SinkTelemetry>(builder, from->sinks, from->n_sinks,
	    [&](const struct telemetry_sink &item) { return write_sink(builder, item); });
	auto dedup = write_tables<fb::DedupTelemetry>(builder, from->dedup, from->n_dedup,
	    [&](const struct telemetry_dedup &item) { return write_dedup(builder, item); });
	auto status_json = write_string(builder, from->status_json);
	fb::FinishTelemetryBuffer(
	    builder, fb::CreateTelemetry(builder, host, node, version, from->time_ms, from->uptime_ms,
	                 from->cycles_per_second, streams, workers, dimensions, sinks, dedup, status_json));

	*len = builder.GetSize();
	*out = static_cast<uint8_t *>(malloc(*len));
	if (*out == nullptr)
		return -ENOMEM;
	memcpy(*out, builder.GetBufferPointer(), *len);
	return 0;
}

/*
 * Reading. Strings stay in the owner's copy of the buffer; arrays are allocated and kept in `blocks`. The
 * verifier bounds how many tables it visits, and thereby what a hostile buffer can make us allocate.
 */
struct owner : telemetry {
	std::vector<uint8_t> buffer;
	std::vector<void *> blocks;
	bool out_of_memory = false;

	~owner()
	{
		for (void *block : blocks)
			free(block);
	}

	/* An array with one item per table, filled by read(item, table); NULL where there are none. */
	template <typename Item, typename T, typename Read>
	const Item *array(const Tables<T> *tables, size_t *n, Read read)
	{
		*n = 0;
		if (tables == nullptr || tables->size() == 0)
			return nullptr;
		auto *items = static_cast<Item *>(calloc(tables->size(), sizeof(Item)));
		if (items == nullptr) {
			out_of_memory = true;
			return nullptr;
		}
		blocks.push_back(items);
		for (const T *table : *tables)
			read(items[(*n)++], *table);
		return items;
	}

	void counters(struct telemetry_counters &to, const Tables<fb::Counter> *from)
	{
		to.items = array<struct telemetry_counter>(
		    from, &to.n, [](struct telemetry_counter &item, const fb::Counter &table) {
			    item.name = table.name()->c_str();
			    item.value = table.value();
		    });
	}
};

static const char *read_string(const String *string)
{
	return string != nullptr ? string->c_str() : nullptr;
}

static void read_stream(struct owner *owner, struct telemetry_stream &to, const fb::StreamTelemetry &from)
{
	to.name = from.name()->c_str();
	to.received = from.received();
	to.durable = from.durable();
	to.dead_lettered = from.dead_lettered();
	to.duplicate = from.duplicate();
	to.shed = from.shed();
	to.in_flight = from.in_flight();
	to.conserved = from.conserved();
	owner->counters(to.counters, from.counters());
	owner->counters(to.reasons, from.reasons());
}

static void read_worker(struct owner *owner, struct telemetry_worker &to, const fb::WorkerTelemetry &from)
{
	to.lcore = from.lcore();
	to.cpu = from.cpu();
	to.loops = from.loops();
	to.busy_loops = from.busy_loops();
	to.packets = from.packets();
	to.packet_bytes = from.packet_bytes();
	to.batches = from.batches();
	to.stages = owner->array<struct telemetry_stage>(
	    from.stages(), &to.n_stages, [](struct telemetry_stage &item, const fb::StageTelemetry &table) {
		    item.name = table.name()->c_str();
		    item.cycles = table.cycles();
		    item.events = table.events();
	    });
	owner->counters(to.frame_reasons, from.frame_reasons());
}

static void read_dimension(struct telemetry_dimension &to, const fb::DimensionTelemetry &from)
{
	to.name = from.name()->c_str();
	to.version = read_string(from.version());
	to.rows = from.rows();
	to.bytes = from.bytes();
	to.age_ms = from.age_ms();
	to.hits = from.hits();
	to.misses = from.misses();
}

static void read_sink(struct owner *owner, struct telemetry_sink &to, const fb::SinkTelemetry &from)
{
	to.name = from.name()->c_str();
	to.state = read_string(from.state());
	to.records = from.records();
	to.bytes = from.bytes();
	to.retries = from.retries();
	owner->counters(to.counters, from.counters());
}

static void read_dedup(struct telemetry_dedup &to, const fb::DedupTelemetry &from)
{
	to.stream = from.stream()->c_str();
	to.slots = from.slots();
	to.entries = from.entries();
	to.evicted = from.evicted();
	to.window_ms = from.window_ms();
	to.covered_ms = from.covered_ms();
	to.alarm = from.alarm();
}

static void read_root(struct owner *owner, const fb::Telemetry &from)
{
	owner->host = read_string(from.host());
	owner->node = read_string(from.node());
	owner->version = read_string(from.version());
	owner->time_ms = from.time_ms();
	owner->uptime_ms = from.uptime_ms();
	owner->cycles_per_second = from.cycles_per_second();
	owner->streams = owner->array<struct telemetry_stream>(from.streams(), &owner->n_streams,
	    [owner](struct telemetry_stream &to, const fb::StreamTelemetry &table) {
		    read_stream(owner, to, table);
	    });
	owner->workers = owner->array<struct telemetry_worker>(from.workers(), &owner->n_workers,
	    [owner](struct telemetry_worker &to, const fb::WorkerTelemetry &table) {
		    read_worker(owner, to, table);
	    });
	owner->dimensions =
	    owner->array<struct telemetry_dimension>(from.dimensions(), &owner->n_dimensions, read_dimension);
	owner->sinks = owner->array<struct telemetry_sink>(from.sinks(), &owner->n_sinks,
	    [owner](
	        struct telemetry_sink &to, const fb::SinkTelemetry &table) { read_sink(owner, to, table); });
	owner->dedup = owner->array<struct telemetry_dedup>(from.dedup(), &owner->n_dedup, read_dedup);
	owner->status_json = read_string(from.status_json());
}

int telemetry_decode(const uint8_t *bytes, size_t len, struct telemetry **out, struct error *err)
{
	*out = nullptr;
	if (len > TELEMETRY_MAX_BYTES)
		return error_set(err, -EBADMSG, "a telemetry dump has at most %u bytes, this one has %zu",
		    TELEMETRY_MAX_BYTES, len);
	auto *owner = new (std::nothrow) struct owner();
	if (owner == nullptr)
		return error_set(err, -ENOMEM, "no memory for a telemetry dump");
	owner->buffer.assign(bytes, bytes + len);

	flatbuffers::Verifier verifier(owner->buffer.data(), len);
	if (!fb::VerifyTelemetryBuffer(verifier)) {
		delete owner;
		return error_set(err, -EBADMSG, "not a telemetry dump, or a damaged one");
	}
	read_root(owner, *fb::GetTelemetry(owner->buffer.data()));
	if (owner->out_of_memory) {
		delete owner;
		return error_set(err, -ENOMEM, "no memory for a telemetry dump");
	}
	*out = owner;
	return 0;
}

void telemetry_free(struct telemetry *telemetry)
{
	delete static_cast<struct owner *>(telemetry);
}
