// SPDX-License-Identifier: GPL-2.0
/*
 * morsel-sum [-m NAME | FILE] [TENSOR]...: map a safetensors file, or the morsel that it was
 * imported to, and sum up some of its tensors, as a program that uses a model would read it: the
 * header first, then only what it needs.  Fails if a sum is not what the header says.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "measure.h"
#include "model.h"

struct model {
	struct json_object *header;
	const unsigned char *data;
	uint64_t length; /* of data */
};

_Noreturn static void wrong(const char *what)
{
	errno = 0;
	die("not a safetensors file: %s", what);
}

static void parse(struct model *model, const unsigned char *file, uint64_t length)
{
	struct json_tokener *tokener = json_tokener_new();
	uint64_t header_length;

	if (length < sizeof(header_length))
		wrong("too short");
	memcpy(&header_length, file, sizeof(header_length)); /* little-endian, as we are */
	if (header_length > length - sizeof(header_length) || header_length > 100 * MIB)
		wrong("the header is longer than may be");
	model->header = json_tokener_parse_ex(tokener, (const char *)file + sizeof(header_length),
					      (int)header_length);
	if (!json_object_is_type(model->header, json_type_object))
		wrong("the header is no JSON object");
	json_tokener_free(tokener);
	model->data = file + sizeof(header_length) + header_length;
	model->length = length - sizeof(header_length) - header_length;
}

static struct json_object *get(struct json_object *object, const char *key)
{
	struct json_object *value = NULL;

	json_object_object_get_ex(object, key, &value);
	return value;
}

static uint64_t expected_sum(const struct model *model, const char *name)
{
	char key[256];
	const char *text;

	snprintf(key, sizeof(key), MODEL_SUM_KEY "%s", name);
	text = json_object_get_string(get(get(model->header, "__metadata__"), key));
	if (!text)
		wrong("the metadata have no sum for a tensor");
	return strtoull(text, NULL, 16);
}

/* Returns whether the sum is right. */
static bool sum_tensor(const struct model *model, const char *name)
{
	struct json_object *tensor = get(model->header, name),
			   *offsets = get(tensor, "data_offsets");
	uint64_t begin, end, start, sum;
	bool right;

	if (!tensor) {
		fprintf(stderr, "morsel-sum: there is no tensor '%s'\n", name);
		return false;
	}
	if (!json_object_is_type(offsets, json_type_array) ||
	    json_object_array_length(offsets) != 2)
		wrong("a tensor without data_offsets");
	begin = json_object_get_uint64(json_object_array_get_idx(offsets, 0));
	end = json_object_get_uint64(json_object_array_get_idx(offsets, 1));
	if (begin > end || end > model->length)
		wrong("a tensor beyond the end");

	start = now_ns();
	sum = read_memory(model->data + begin, end - begin, READ_WORDS);
	right = sum == expected_sum(model, name);
	printf("    %-45s %-4s %-14s %7.2f MiB  sum %016" PRIx64 " %-5s %7.2f ms\n", name,
	       json_object_get_string(get(tensor, "dtype")),
	       json_object_to_json_string_ext(get(tensor, "shape"), JSON_C_TO_STRING_PLAIN),
	       (double)(end - begin) / MIB, sum, right ? "right" : "WRONG",
	       (double)(now_ns() - start) / 1e6);
	return right;
}

int main(int argc, char **argv)
{
	static const char *const usual[] = { "model.norm.weight",
					     "model.layers.0.self_attn.k_proj.weight" };
	struct object object = { .what = "file", .fd = -1, .prot = PROT_READ };
	unsigned int wrongs = 0, i;
	struct model model;
	uint64_t start, end;
	struct stat status;
	const void *memory;
	int option;

	while ((option = getopt(argc, argv, "m:")) != -1) {
		if (option != 'm')
			return 2;
		morsel_by_name(&object, optarg);
	}
	if (object.fd < 0) {
		if (optind == argc) {
			fprintf(stderr, "usage: morsel-sum [-m NAME | FILE] [TENSOR]...\n");
			return 2;
		}
		object.fd = open(argv[optind], O_RDONLY | O_CLOEXEC);
		if (object.fd < 0 || fstat(object.fd, &status))
			die("%s", argv[optind]);
		object.length = (uint64_t)status.st_size;
		object.mapped = object.length;
		optind++;
	}

	start = now_ns();
	memory = mmap(NULL, object.mapped, object.prot, MAP_SHARED, object.fd, 0);
	end = now_ns();
	if (memory == MAP_FAILED)
		die("cannot map");
	parse(&model, memory, object.length);
	printf("  process %d mapped %.2f GiB in %.0f us; the header names %d tensors\n",
	       (int)getpid(), (double)object.length / GIB, (double)(end - start) / 1000,
	       json_object_object_length(model.header) - 1);

	if (optind < argc) {
		while (optind < argc)
			wrongs += !sum_tensor(&model, argv[optind++]);
	} else {
		for (i = 0; i < sizeof(usual) / sizeof(*usual); i++)
			wrongs += !sum_tensor(&model, usual[i]);
	}
	json_object_put(model.header);
	return wrongs ? 1 : 0;
}
