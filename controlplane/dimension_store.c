/* SPDX-License-Identifier: BSD-3-Clause */
#include "dimension_store.h"

#include "file_replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Snapshots that stay on disk: the current one and those before it that a rollback can reach. */
#define KEPT_FILES 4u
#define MAX_FILES 64u

struct stored_file {
	unsigned int number;
	char version[DIMENSION_VERSION_SIZE];
	char file[DIMENSION_FILE_SIZE];
};

struct slot {
	char directory[PATH_MAX - 160];
	struct stored_file files[MAX_FILES]; /* ascending by number */
	size_t n_files;
	unsigned int current; /* number of the active file; 0: none */
	struct error load_error;
};

struct dimension_store {
	struct engine *engine;
	const struct config *config;
	int node;
	struct slot slots[CONFIG_MAX_DIMENSIONS];
};

static int make_directory(const char *path, struct error *err)
{
	if (mkdir(path, 0750) != 0 && errno != EEXIST)
		return error_set(err, -errno, "%s: %s", path, strerror(errno));
	return 0;
}

/* mkdir -p, for a state directory that was named but never made. */
static int make_directories(const char *path, struct error *err)
{
	char partial[PATH_MAX];
	size_t len = strlen(path);

	if (len >= sizeof(partial))
		return error_set(err, -ENAMETOOLONG, "%s: path too long", path);
	memcpy(partial, path, len + 1);
	for (char *slash = strchr(partial + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
		int ret;

		*slash = '\0';
		ret = make_directory(partial, err);
		if (ret != 0)
			return ret;
		*slash = '/';
	}
	return make_directory(partial, err);
}

static int by_number(const void *a, const void *b)
{
	const struct stored_file *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

static void path_of(const char *directory, const char *file, char path[PATH_MAX])
{
	(void)snprintf(path, PATH_MAX, "%s/%s", directory, file);
}

/* Reads which snapshots the directory holds. Names that are not ours are left alone. */
static int scan_slot(struct slot *slot, struct error *err)
{
	DIR *dir = opendir(slot->directory);
	struct dirent *entry;

	if (dir == NULL)
		return error_set(err, -errno, "%s: %s", slot->directory, strerror(errno));
	slot->n_files = 0;
	while ((entry = readdir(dir)) != NULL && slot->n_files < MAX_FILES) {
		struct stored_file *file = &slot->files[slot->n_files];
		int end = 0;

		if (strlen(entry->d_name) >= sizeof(file->file) ||
		    sscanf(entry->d_name, "%8u-%63[^/].dim%n", &file->number, file->version, &end) < 2)
			continue;
		size_t len = strlen(file->version);

		if (len <= 4 || strcmp(file->version + len - 4, ".dim") != 0 || file->number == 0)
			continue;
		file->version[len - 4] = '\0';
		strcpy(file->file, entry->d_name);
		slot->n_files++;
	}
	closedir(dir);
	qsort(slot->files, slot->n_files, sizeof(slot->files[0]), by_number);
	return 0;
}

static const struct stored_file *find_file(const struct slot *slot, unsigned int number)
{
	for (size_t i = 0; i < slot->n_files; i++)
		if (slot->files[i].number == number)
			return &slot->files[i];
	return NULL;
}

static void read_current(struct slot *slot)
{
	char path[PATH_MAX];
	FILE *file;

	path_of(slot->directory, "current", path);
	slot->current = 0;
	file = fopen(path, "re");
	if (file == NULL)
		return;
	if (fscanf(file, "%8u", &slot->current) != 1)
		slot->current = 0;
	(void)fclose(file);
}

static int write_current(const char *directory, unsigned int number, struct error *err)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%08u\n", number);

	return file_replace(directory, "current", text, (size_t)len, 0640, err);
}

static void remove_file(struct slot *slot, size_t i)
{
	char path[PATH_MAX];

	path_of(slot->directory, slot->files[i].file, path);
	(void)unlink(path);
	slot->n_files--;
	memmove(&slot->files[i], &slot->files[i + 1], (slot->n_files - i) * sizeof(slot->files[0]));
}

/* After a push: what had been rolled back from is not gone back to, and of the rest the oldest go. */
static void prune(struct slot *slot, unsigned int replaced)
{
	for (size_t i = slot->n_files; i-- > 0;)
		if (slot->files[i].number > replaced && slot->files[i].number != slot->current)
			remove_file(slot, i);
	while (slot->n_files > KEPT_FILES)
		remove_file(slot, 0);
}

static json_t *describe(const struct dimension_store *store, uint16_t index)
{
	const struct slot *slot = &store->slots[index];
	const struct dimension *d = atomic_load(&store->engine->dimensions[index]);
	json_t *previous = json_array();
	json_t *object = json_pack("{s:s, s:b, s:b}", "name", store->config->dimensions[index].name,
	    "required", store->config->dimensions[index].required, "loaded", d != NULL);

	if (d != NULL) {
		json_object_set_new(object, "version", json_string(d->version));
		json_object_set_new(object, "rows", json_integer((json_int_t)d->n_rows));
		json_object_set_new(object, "bytes", json_integer((json_int_t)d->memory.bytes));
		json_object_set_new(object, "built_ms", json_integer(d->built_ms));
		json_object_set_new(object, "age_s",
		    json_integer((clock_wall_ms(store->engine->clock) - d->built_ms) / 1000));
	}
	for (size_t i = slot->n_files; i-- > 0;)
		if (slot->files[i].number < slot->current)
			json_array_append_new(previous, json_string(slot->files[i].version));
	json_object_set_new(object, "previous", previous);
	if (slot->load_error.text[0] != '\0')
		json_object_set_new(object, "error", json_string(slot->load_error.text));
	return object;
}

static int load(struct dimension_store *store, const char *path, struct dimension **out, struct error *err)
{
	return dimension_load(path, store->node, store->config->dataplane.hugepages, out, err);
}

static void publish(struct dimension_store *store, uint16_t index, struct dimension *dimension)
{
	store->slots[index].load_error.text[0] = '\0';
	dimension_free(engine_publish(store->engine, index, dimension));
}

static int open_slot(struct dimension_store *store, uint16_t index, const char *root, struct error *err)
{
	struct slot *slot = &store->slots[index];
	const char *name = store->config->dimensions[index].name;
	const struct stored_file *file;
	struct dimension *dimension;
	char path[PATH_MAX];
	int ret;

	if ((size_t)snprintf(slot->directory, sizeof(slot->directory), "%s/%s", root, name) >=
	    sizeof(slot->directory))
		return error_set(err, -ENAMETOOLONG, "%s/%s: path too long", root, name);
	ret = make_directory(slot->directory, err);
	if (ret == 0)
		ret = scan_slot(slot, err);
	if (ret != 0)
		return ret;
	read_current(slot);
	if (slot->current == 0)
		return 0;
	file = find_file(slot, slot->current);
	if (file == NULL) {
		error_set(&slot->load_error, 0, "%s: snapshot %08u is named as current but is not there",
		    slot->directory, slot->current);
		return 0;
	}
	path_of(slot->directory, file->file, path);
	if (load(store, path, &dimension, &slot->load_error) == 0)
		publish(store, index, dimension);
	return 0;
}

int dimension_store_open(const char *state_directory, struct engine *engine, int node,
    struct dimension_store **out, struct error *err)
{
	struct dimension_store *store = calloc(1, sizeof(*store));
	char root[PATH_MAX - 256];
	int ret = -ENAMETOOLONG;

	*out = NULL;
	if (store == NULL)
		return error_set(err, -ENOMEM, "no memory for the dimension store");
	store->engine = engine;
	store->config = engine->config;
	store->node = node;
	if ((size_t)snprintf(root, sizeof(root), "%s/dimensions", state_directory) >= sizeof(root)) {
		error_set(err, ret, "%s: path too long", state_directory);
		goto err;
	}
	ret = make_directories(root, err);
	for (uint16_t i = 0; ret == 0 && i < engine->n_dimensions; i++)
		ret = open_slot(store, i, root, err);
	if (ret != 0)
		goto err;
	*out = store;
	return 0;
err:
	dimension_store_close(store);
	return ret;
}

void dimension_store_close(struct dimension_store *store)
{
	free(store);
}

/* Moves a file, by copy if it comes from another file system. */
static int move_file(const char *from, const char *to, struct error *err)
{
	char buffer[1 << 16];
	int in, out, ret = 0;

	if (rename(from, to) == 0)
		return 0;
	if (errno != EXDEV)
		return error_set(err, -errno, "%s: %s", to, strerror(errno));
	in = open(from, O_RDONLY | O_CLOEXEC);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (in < 0 || out < 0)
		ret = -errno;
	while (ret == 0) {
		ssize_t n = read(in, buffer, sizeof(buffer));

		if (n < 0)
			ret = -errno;
		if (n <= 0)
			break;
		errno = EIO;
		if (write(out, buffer, (size_t)n) != n)
			ret = -errno;
	}
	if (ret == 0 && fsync(out) != 0)
		ret = -errno;
	if (in >= 0)
		close(in);
	if (out >= 0)
		close(out);
	if (ret != 0) {
		(void)unlink(to);
		return error_set(err, ret, "%s: %s", to, strerror(-ret));
	}
	(void)unlink(from);
	return 0;
}

/* The snapshot before the current one. */
static const struct stored_file *find_previous(const struct slot *slot)
{
	const struct stored_file *file = NULL;

	for (size_t i = 0; i < slot->n_files; i++)
		if (slot->files[i].number < slot->current)
			file = &slot->files[i];
	return file;
}

int dimension_store_begin(struct dimension_store *store, const char *name, const char *path,
    struct dimension_change **out, struct error *err)
{
	int index = config_find_dimension(store->config, name);
	const struct stored_file *previous;
	struct dimension_change *change;
	const struct slot *slot;

	*out = NULL;
	if (index < 0)
		return error_set(err, -ENOENT, "dimension \"%s\" is not in the configuration", name);
	slot = &store->slots[index];
	previous = find_previous(slot);
	if (path == NULL && previous == NULL)
		return error_set(
		    err, -ENOENT, "dimension \"%s\" has no snapshot before the current one", name);
	if (path != NULL && slot->n_files == MAX_FILES)
		return error_set(err, -ENOSPC, "%s: more than %u snapshots after the current one",
		    slot->directory, MAX_FILES - 1);
	change = calloc(1, sizeof(*change));
	if (change == NULL)
		return error_set(err, -ENOMEM, "no memory for a snapshot");
	change->index = (uint16_t)index;
	change->name = store->config->dimensions[index].name;
	change->node = store->node;
	change->hugepages = store->config->dataplane.hugepages;
	change->directory = slot->directory;
	if (path != NULL) {
		change->number = slot->n_files > 0 ? slot->files[slot->n_files - 1].number + 1 : 1;
		(void)snprintf(change->path, sizeof(change->path), "%s", path);
	} else {
		change->rollback = true;
		change->number = previous->number;
		path_of(change->directory, previous->file, change->path);
	}
	*out = change;
	return 0;
}

/* Moves the pushed file into the directory. */
static int keep_file(struct dimension_change *change, char target[PATH_MAX], struct error *err)
{
	(void)snprintf(change->version, sizeof(change->version), "%.*s", (int)sizeof(change->version) - 5,
	    change->dimension->version);
	for (char *c = change->version; *c != '\0'; c++)
		if (*c == '/' || (unsigned char)*c < 0x21)
			*c = '_';
	(void)snprintf(change->file, sizeof(change->file), "%08u-%s.dim", change->number, change->version);
	path_of(change->directory, change->file, target);
	return move_file(change->path, target, err);
}

int dimension_change_load(struct dimension_change *change, struct error *err)
{
	char target[PATH_MAX];
	int ret = dimension_load(change->path, change->node, change->hugepages, &change->dimension, err);

	if (ret == 0 && !change->rollback)
		ret = keep_file(change, target, err);
	if (ret != 0)
		return ret;
	ret = write_current(change->directory, change->number, err);
	if (ret != 0 && !change->rollback)
		(void)rename(target, change->path);
	return ret;
}

void dimension_store_commit(struct dimension_store *store, struct dimension_change *change, json_t **result)
{
	struct slot *slot = &store->slots[change->index];
	unsigned int replaced = slot->current;

	slot->current = change->number;
	if (!change->rollback) {
		struct stored_file *file = &slot->files[slot->n_files++];

		file->number = change->number;
		memcpy(file->version, change->version, sizeof(file->version));
		memcpy(file->file, change->file, sizeof(file->file));
	}
	publish(store, change->index, change->dimension);
	change->dimension = NULL;
	if (!change->rollback)
		prune(slot, replaced);
	*result = describe(store, change->index);
}

void dimension_change_free(struct dimension_change *change)
{
	if (change == NULL)
		return;
	dimension_free(change->dimension);
	free(change);
}

json_t *dimension_store_list(const struct dimension_store *store)
{
	json_t *array = json_array();

	for (uint16_t i = 0; i < store->engine->n_dimensions; i++)
		json_array_append_new(array, describe(store, i));
	return array;
}

int dimension_store_current(const char *state_directory, const char *name, char *path, size_t size)
{
	struct slot *slot = calloc(1, sizeof(*slot));
	const struct stored_file *file = NULL;

	if (slot == NULL)
		return -ENOMEM;
	(void)snprintf(slot->directory, sizeof(slot->directory), "%s/dimensions/%s", state_directory, name);
	if (scan_slot(slot, NULL) == 0) {
		read_current(slot);
		file = find_file(slot, slot->current);
	}
	if (file != NULL)
		(void)snprintf(path, size, "%s/%s", slot->directory, file->file);
	free(slot);
	return file != NULL ? 0 : -ENOENT;
}
