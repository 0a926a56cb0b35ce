/* SPDX-License-Identifier: BSD-3-Clause */
#include "gen/rows.h"

#include "gen/keys.h"
#include "gen/rng.h"

#include <inttypes.h>
#include <string.h>

#define MAX_COLUMNS 8u
#define TEXT_MAX 160u

enum column_type { STRING, NUMBER, BOOLEAN, JSON };
static const char *const type_suffix[] = {
    [STRING] = "", [NUMBER] = ":number", [BOOLEAN] = ":boolean", [JSON] = ":json"};

struct column {
	const char *name;
	enum column_type type;
};

struct row {
	char text[MAX_COLUMNS][TEXT_MAX];
};

#define PICK(array, rng) ((array)[rng_below(rng, sizeof(array) / sizeof((array)[0]))])

static void product_row(uint64_t id, struct rng *rng, struct row *row)
{
	static const char *const adjectives[] = {
	    "Awesome", "Classic", "Slim", "Vintage", "Extra-Light", "2-in-1", "\"Original\"", "Caf\xc3\xa9"};
	static const struct {
		const char *noun, *category, *tags;
	} kinds[] = {
	    {"T-Shirt", "Apparel", "[\"cotton\",\"summer\"]"},
	    {"Jacket", "Apparel", "[\"winter\",\"waterproof\",\"sale\"]"},
	    {"Sneakers", "Shoes", "[\"sport\"]"},
	    {"Mug, 0.3 l", "Kitchen", "[\"ceramic\",\"dishwasher-safe\"]"},
	    {"Headphones", "Electronics", "[\"wireless\",\"5.3\"]"},
	    {"Notebook", "Stationery", "[]"},
	    {"Lamp", "Home", "[\"led\"]"},
	    {"Tent", "Outdoor", "[\"2 persons\",\"ultra \\\"light\\\"\"]"},
	};
	static const char *const brands[] = {
	    "CoolBrand", "Acme", "Nordlys", "Kaffee & Co", "M\xc3\xbcller", "Hanami", "O'Neal", "Basic"};
	static const char *const currencies[] = {"USD", "USD", "EUR", "GBP", "JPY"};
	size_t kind = rng_below(rng, sizeof(kinds) / sizeof(kinds[0]));

	key_product(row->text[0], id);
	snprintf(row->text[1], TEXT_MAX, "%s %s %" PRIu64, PICK(adjectives, rng), kinds[kind].noun, id);
	snprintf(row->text[2], TEXT_MAX, "%s", kinds[kind].category);
	snprintf(row->text[3], TEXT_MAX, "%s", PICK(brands, rng));
	snprintf(
	    row->text[4], TEXT_MAX, "%" PRIu64 ".%02" PRIu64, 1 + rng_below(rng, 500), rng_below(rng, 100));
	snprintf(row->text[5], TEXT_MAX, "%s", PICK(currencies, rng));
	snprintf(row->text[6], TEXT_MAX, "%s", kinds[kind].tags);
}

struct city {
	const char *country_code, *country, *name, *region, *timezone;
	double lat, lon;
};

static const struct city cities[] = {
    {"us", "USA", "New York", "New York", "America/New_York", 40.7128, -74.006},
    {"de", "Germany", "M\xc3\xbcnchen", "Bayern", "Europe/Berlin", 48.1372, 11.5755},
    {"fr", "France", "Lyon", "Auvergne-Rh\xc3\xb4ne-Alpes", "Europe/Paris", 45.764, 4.8357},
    {"gb", "United Kingdom", "Leeds", "England", "Europe/London", 53.8008, -1.5491},
    {"es", "Spain", "Valencia", "Comunitat Valenciana", "Europe/Madrid", 39.4699, -0.3763},
    {"it", "Italy", "Torino", "Piemonte", "Europe/Rome", 45.0703, 7.6869},
    {"pl", "Poland",
        "\xc5\x81\xc3\xb3"
        "d\xc5\xba",
        "\xc5\x81\xc3\xb3"
        "dzkie",
        "Europe/Warsaw", 51.7592, 19.456},
    {"se", "Sweden", "Ume\xc3\xa5", "V\xc3\xa4sterbotten", "Europe/Stockholm", 63.8258, 20.263},
    {"jp", "Japan", "\xe5\xa4\xa7\xe9\x98\xaa", "Kansai", "Asia/Tokyo", 34.6937, 135.5023},
    {"in", "India", "Pune", "Maharashtra", "Asia/Kolkata", 18.5204, 73.8567},
    {"br", "Brazil", "Recife", "Pernambuco", "America/Recife", -8.0476, -34.877},
    {"ca", "Canada",
        "Qu\xc3\xa9"
        "bec",
        "Quebec", "America/Toronto", 46.8139, -71.208},
    {"mx", "Mexico", "Puebla", "Puebla", "America/Mexico_City", 19.0414, -98.2063},
    {"sg", "Singapore", "Singapore", "Central", "Asia/Singapore", 1.2897, 103.8501},
    {"au", "Australia", "Perth", "Western Australia", "Australia/Perth", -31.9505, 115.8605},
    {"za", "South Africa", "Durban", "KwaZulu-Natal", "Africa/Johannesburg", -29.8587, 31.0218},
};

static void user_row(uint64_t id, struct rng *rng, struct row *row)
{
	static const char *const segments[] = {
	    "fashion_lover", "bargain_hunter", "new", "loyal", "window_shopper"};
	const struct city *city = &PICK(cities, rng);

	key_user(row->text[0], id);
	snprintf(row->text[1], TEXT_MAX, "%s", city->country);
	snprintf(row->text[2], TEXT_MAX, "%s", city->name);
	snprintf(row->text[3], TEXT_MAX, "%s", PICK(segments, rng));
	snprintf(row->text[4], TEXT_MAX, "%s", rng_below(rng, 10) < 7 ? "true" : "false");
}

static const struct city *city_of_place(uint64_t id)
{
	const char *code = key_place_country(id);
	size_t i = 0;

	while (strcmp(cities[i].country_code, code) != 0)
		i++;
	return &cities[i];
}

static void put_position(const struct city *city, struct rng *rng, char *lat, char *lon)
{
	snprintf(lat, TEXT_MAX, "%.4f", city->lat + rng_unit(rng) / 5 - 0.1);
	snprintf(lon, TEXT_MAX, "%.4f", city->lon + rng_unit(rng) / 5 - 0.1);
}

static void place_row(uint64_t id, struct rng *rng, struct row *row)
{
	const struct city *city = city_of_place(id);

	key_place(row->text[0], id);
	snprintf(row->text[1], TEXT_MAX, "%s", city->country);
	snprintf(row->text[2], TEXT_MAX, "%s", city->region);
	snprintf(row->text[3], TEXT_MAX, "%s", city->name);
	put_position(city, rng, row->text[4], row->text[5]);
	snprintf(row->text[6], TEXT_MAX, "%s", city->timezone);
}

static void location_row(uint64_t id, struct rng *rng, struct row *row)
{
	static const char *const sites[] = {
	    "North Gate", "Car Park, Level 2", "Loading Dock", "Platform 9", "Lobby"};
	const struct city *city = &PICK(cities, rng);

	snprintf(row->text[0], TEXT_MAX, "%" PRIu64, id);
	snprintf(row->text[1], TEXT_MAX, "%s %s %" PRIu64, city->name, PICK(sites, rng), id);
	snprintf(row->text[2], TEXT_MAX, "%s", city->country);
	put_position(city, rng, row->text[3], row->text[4]);
}

static const struct {
	const char *name;
	struct column columns[MAX_COLUMNS]; /* the key first; a NULL name ends them */
	void (*make)(uint64_t id, struct rng *rng, struct row *row);
} dimensions[] = {
    [GEN_PRODUCTS] = {"products",
        {{"product_id", STRING}, {"name", STRING}, {"category", STRING}, {"brand", STRING}, {"price", NUMBER},
            {"currency", STRING}, {"tags", JSON}},
        product_row},
    [GEN_USERS] = {"users",
        {{"user_id", STRING}, {"country", STRING}, {"city_approx", STRING}, {"user_segment", STRING},
            {"is_registered", BOOLEAN}},
        user_row},
    [GEN_PLACES] = {"places",
        {{"place_id", STRING}, {"country", STRING}, {"region", STRING}, {"city", STRING}, {"lat", NUMBER},
            {"lon", NUMBER}, {"timezone", STRING}},
        place_row},
    [GEN_LOCATIONS] = {"locations",
        {{"location_oid", STRING}, {"geographical_location", STRING}, {"country", STRING}, {"lat", NUMBER},
            {"lon", NUMBER}},
        location_row},
};

int gen_dimension_by_name(const char *name)
{
	for (int i = 0; i < GEN_DIMENSIONS; i++)
		if (strcmp(dimensions[i].name, name) == 0)
			return i;
	return -1;
}

const char *gen_dimension_key(enum gen_dimension dimension)
{
	return dimensions[dimension].columns[0].name;
}

/* RFC 4180. */
static void put_csv(const char *text, FILE *out)
{
	if (strpbrk(text, ",\"\r\n") == NULL) {
		fputs(text, out);
		return;
	}
	putc_unlocked('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"')
			putc_unlocked('"', out);
		putc_unlocked(*text, out);
	}
	putc_unlocked('"', out);
}

static void put_json(const char *text, enum column_type type, FILE *out)
{
	if (type != STRING) {
		fputs(text, out);
		return;
	}
	putc_unlocked('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			putc_unlocked('\\', out);
		putc_unlocked(*text, out);
	}
	putc_unlocked('"', out);
}

void gen_rows_write(enum gen_dimension dimension, uint64_t seed, uint64_t n, bool csv, FILE *out)
{
	const struct column *columns = dimensions[dimension].columns;
	struct row row;

	for (uint32_t c = 0; csv && c < MAX_COLUMNS && columns[c].name != NULL; c++)
		fprintf(out, "%s%s%s", c > 0 ? "," : "", columns[c].name, type_suffix[columns[c].type]);
	if (csv)
		putc_unlocked('\n', out);
	for (uint64_t id = 1; id <= n; id++) {
		struct rng rng = rng_at(seed, id, 16 + (uint64_t)dimension);

		dimensions[dimension].make(id, &rng, &row);
		for (uint32_t c = 0; c < MAX_COLUMNS && columns[c].name != NULL; c++) {
			if (csv) {
				fputs(c > 0 ? "," : "", out);
				put_csv(row.text[c], out);
			} else {
				fprintf(out, "%c\"%s\":", c > 0 ? ',' : '{', columns[c].name);
				put_json(row.text[c], columns[c].type, out);
			}
		}
		fputs(csv ? "\n" : "}\n", out);
	}
}
