/* SPDX-License-Identifier: BSD-3-Clause */
#include "regex_set.h"

#include <errno.h>
#include <hs/hs.h>
#include <stdlib.h>
#include <string.h>

struct regex_set {
	hs_database_t *database;
};

struct search {
	unsigned int index;
	bool found;
};

static int on_match(
    unsigned int id, unsigned long long from, unsigned long long to, unsigned int flags, void *context)
{
	struct search *search = context;

	(void)from;
	(void)to;
	(void)flags;
	search->found = id == search->index;
	return search->found;
}

bool regex_set_match(
    const struct regex_set *set, struct hs_scratch *scratch, size_t index, const char *text, uint32_t len)
{
	struct search search = {.index = (unsigned int)index};

	(void)hs_scan(set->database, len != 0 ? text : "", len, 0, scratch, on_match, &search);
	return search.found;
}

/* "(?ims-x)" or "(?ims:": refuses m and x. `text` is behind "(?". */
static bool flags_allowed(const char *text)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ^-");

	if (text[n] != ')' && text[n] != ':')
		return true;
	return strcspn(text, "mx") >= n;
}

/* The end of "[:alpha:]" and its like, or NULL. `text` is at the bracket. */
static const char *posix_class_end(const char *text)
{
	char closing[] = {text[1], ']', '\0'};
	const char *end;

	if (text[1] != ':' && text[1] != '.' && text[1] != '=')
		return NULL;
	end = strstr(text + 2, closing);
	return end != NULL && strspn(text + 2, "^abcdefghijklmnopqrstuvwxyz") == (size_t)(end - text - 2)
	           ? end + 2
	           : NULL;
}

/* The end of the bracket class that starts at `text`; the end of the text if it is never closed. */
static const char *class_end(const char *text)
{
	const char *posix;

	text++;
	text += *text == '^';
	text += *text == ']';
	while (*text != '\0' && *text != ']') {
		if (text[0] == '\\' && text[1] == 'Q') {
			const char *end = strstr(text + 2, "\\E");

			text = end != NULL ? end + 2 : text + strlen(text);
		} else if (text[0] == '\\' && text[1] != '\0') {
			text += 2;
		} else if (*text == '[' && (posix = posix_class_end(text)) != NULL) {
			text = posix;
		} else {
			text++;
		}
	}
	return text + (*text == ']');
}

/* Where the piece of the expression ends that starts at `text` and holds no anchor. */
static const char *piece_end(const char *text)
{
	const char *end;

	if (text[0] == '\\' && text[1] == 'Q') {
		end = strstr(text + 2, "\\E");
		return end != NULL ? end + 2 : text + strlen(text);
	}
	if (text[0] == '\\' && text[1] != '\0')
		return text + 2;
	if (text[0] == '[')
		return class_end(text);
	if (strncmp(text, "(?#", 3) == 0) {
		end = strchr(text, ')');
		return end != NULL ? end + 1 : text + strlen(text);
	}
	return text + 1;
}

/* A copy with `\z` for every `$` that is an anchor. */
static int rewrite(const char *text, char **out, struct error *err)
{
	char *copy = malloc(2 * strlen(text) + 1), *to = copy;

	*out = NULL;
	if (copy == NULL)
		return error_set(err, -ENOMEM, "out of memory for a pattern");
	while (*text != '\0') {
		const char *end;

		if (strncmp(text, "(?", 2) == 0 && !flags_allowed(text + 2)) {
			free(copy);
			return error_set(err, -EINVAL, "the inline flags m and x are not supported");
		}
		if (*text == '$') {
			*to++ = '\\';
			*to++ = 'z';
			text++;
			continue;
		}
		end = piece_end(text);
		memcpy(to, text, (size_t)(end - text));
		to += end - text;
		text = end;
	}
	*to = '\0';
	*out = copy;
	return 0;
}

static int compile(const char *const *texts, const hs_expr_ext_t *const *ext, size_t n,
    hs_database_t **database, size_t *bad, struct error *err)
{
	hs_compile_error_t *failure = NULL;
	unsigned int *flags = calloc(n, sizeof(*flags));
	unsigned int *ids = calloc(n, sizeof(*ids));
	int rc = -ENOMEM;

	if (flags == NULL || ids == NULL) {
		error_set(err, rc, "out of memory for a pattern");
		goto out;
	}
	for (size_t i = 0; i < n; i++) {
		flags[i] = HS_FLAG_UTF8 | HS_FLAG_SINGLEMATCH | HS_FLAG_ALLOWEMPTY;
		ids[i] = (unsigned int)i;
	}
	switch (hs_compile_ext_multi(
	    texts, flags, ids, ext, (unsigned int)n, HS_MODE_BLOCK, NULL, database, &failure)) {
	case HS_SUCCESS:
		rc = 0;
		break;
	case HS_NOMEM:
		error_set(err, rc, "out of memory for a pattern");
		break;
	default:
		*bad = failure->expression >= 0 ? (size_t)failure->expression : n;
		rc = error_set(err, -EINVAL, "%s", failure->message);
	}
	hs_free_compile_error(failure);
out:
	free(flags);
	free(ids);
	return rc;
}

int regex_set_create(
    const struct regex *regexes, size_t n, struct regex_set **out, size_t *bad, struct error *err)
{
	struct regex_set *set = calloc(1, sizeof(*set));
	hs_expr_ext_t *bounds = calloc(n, sizeof(*bounds));
	const hs_expr_ext_t **ext = calloc(n, sizeof(void *));
	char **texts = calloc(n, sizeof(*texts));
	int rc = -ENOMEM;

	*out = NULL;
	*bad = n;
	if (set == NULL || bounds == NULL || ext == NULL || texts == NULL) {
		error_set(err, rc, "out of memory for a pattern");
		goto err;
	}
	if (hs_valid_platform() != HS_SUCCESS) {
		rc = error_set(err, -ENOTSUP, "Hyperscan does not run on this CPU");
		goto err;
	}
	for (size_t i = 0; i < n; i++) {
		rc = rewrite(regexes[i].text, &texts[i], err);
		if (rc != 0) {
			*bad = i;
			goto err;
		}
		if (regexes[i].max_bytes != 0)
			bounds[i] = (hs_expr_ext_t){
			    .flags = HS_EXT_FLAG_MAX_OFFSET, .max_offset = regexes[i].max_bytes};
		ext[i] = &bounds[i];
	}
	rc = compile((const char *const *)texts, ext, n, &set->database, bad, err);
	if (rc != 0)
		goto err;
	*out = set;
	set = NULL;
err:
	for (size_t i = 0; texts != NULL && i < n; i++)
		free(texts[i]);
	free(texts);
	free(ext);
	free(bounds);
	free(set);
	return rc;
}

void regex_set_destroy(struct regex_set *set)
{
	if (set == NULL)
		return;
	hs_free_database(set->database);
	free(set);
}

int regex_set_scratch(const struct regex_set *set, struct hs_scratch **scratch)
{
	return hs_alloc_scratch(set->database, scratch) == HS_SUCCESS ? 0 : -ENOMEM;
}

void regex_set_scratch_free(struct hs_scratch *scratch)
{
	hs_free_scratch(scratch);
}
