/* SPDX-License-Identifier: BSD-3-Clause */
#include "meter.h"

#include <simdjson.h>

#include <string_view>

struct workload_event {
	const char *data;
	uint32_t len;
};

extern "C" double reference_simdjson(
    const struct workload_event *events, uint32_t n, const char *const *names, uint32_t n_names);

/* The events lie in one large mapping with readable bytes behind each, which is the padding that simdjson
 * asks for. */
double reference_simdjson(
    const struct workload_event *events, uint32_t n, const char *const *names, uint32_t n_names)
{
	simdjson::ondemand::parser parser;
	uint64_t found = 0, bytes = 0;
	struct meter meter = {};

	for (uint32_t i = 0; i < n; i++) {
		if (i % METER_LAP == 0) {
			if (i > 0)
				meter_stop(&meter, METER_LAP);
			meter_start(&meter);
		}
		simdjson::ondemand::document document;
		simdjson::padded_string_view view(
		    events[i].data, events[i].len, events[i].len + simdjson::SIMDJSON_PADDING);

		if (parser.iterate(view).get(document) != simdjson::SUCCESS)
			return -1;
		simdjson::ondemand::object object;
		if (document.get_object().get(object) != simdjson::SUCCESS)
			return -1;
		for (auto field : object) {
			std::string_view key;

			if (field.unescaped_key().get(key) != simdjson::SUCCESS)
				return -1;
			for (uint32_t f = 0; f < n_names; f++) {
				if (key != names[f])
					continue;
				simdjson::ondemand::value value;
				std::string_view text;

				if (field.value().get(value) != simdjson::SUCCESS)
					return -1;
				if (value.type() == simdjson::ondemand::json_type::string) {
					if (value.get_string().get(text) != simdjson::SUCCESS)
						return -1;
				} else {
					text = value.raw_json_token();
				}
				bytes += text.size();
				found++;
				break;
			}
		}
	}
	return found > 0 && bytes > 0 ? meter_mean(&meter) : -1;
}
