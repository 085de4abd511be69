// SPDX-License-Identifier: GPL-2.0
/*
 * morsel-model BYTES [FILE OFFSET]: a language model in the safetensors format: the tensors of a
 * transformer with 3.66 billion BF16 weights, 6.82 GiB; with fewer layers where that would be more
 * than BYTES.  The weights are pseudo-random; the header says what each tensor's words sum up to.
 * Says how long it is, or writes it into a file, from an offset on.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model.h"

#define HIDDEN 3072
#define KEY_VALUE 1024
#define INTERMEDIATE 8192
#define VOCABULARY 137216
#define LAYERS 28
#define WEIGHT_BYTES 2

#define TENSORS_MAX (LAYERS * 9 + 3)
#define HEADER_MAX (256 * 1024)
#define BUFFER_WORDS (512 * 1024)

struct tensor {
	char name[80];
	unsigned int rows; /* 0: a vector */
	unsigned int columns;
	uint64_t bytes;
	uint64_t sum;
};

static struct tensor tensors[TENSORS_MAX];
static unsigned int count;
static uint64_t total;

static void add(const char *name, unsigned int rows, unsigned int columns)
{
	struct tensor *tensor = &tensors[count++];

	snprintf(tensor->name, sizeof(tensor->name), "%s", name);
	tensor->rows = rows;
	tensor->columns = columns;
	tensor->bytes = (uint64_t)(rows ? rows : 1) * columns * WEIGHT_BYTES;
	total += tensor->bytes;
}

static void add_layer(unsigned int layer)
{
	static const struct {
		const char *name;
		unsigned int rows;
		unsigned int columns;
	} parts[] = {
		{ "input_layernorm", 0, HIDDEN },
		{ "mlp.down_proj", HIDDEN, INTERMEDIATE },
		{ "mlp.gate_proj", INTERMEDIATE, HIDDEN },
		{ "mlp.up_proj", INTERMEDIATE, HIDDEN },
		{ "post_attention_layernorm", 0, HIDDEN },
		{ "self_attn.k_proj", KEY_VALUE, HIDDEN },
		{ "self_attn.o_proj", HIDDEN, HIDDEN },
		{ "self_attn.q_proj", HIDDEN, HIDDEN },
		{ "self_attn.v_proj", KEY_VALUE, HIDDEN },
	};
	char name[80];
	unsigned int i;

	for (i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		snprintf(name, sizeof(name), "model.layers.%u.%s.weight", layer, parts[i].name);
		add(name, parts[i].rows, parts[i].columns);
	}
}

/* All tensors of a model with so many layers; returns its bytes. */
static uint64_t lay_out(unsigned int layers)
{
	unsigned int layer;

	count = 0;
	total = 0;
	add("lm_head.weight", VOCABULARY, HIDDEN);
	add("model.embed_tokens.weight", VOCABULARY, HIDDEN);
	for (layer = 0; layer < layers; layer++)
		add_layer(layer);
	add("model.norm.weight", 0, HIDDEN);
	return total;
}

/* The header: sums have a fixed width, so that its length is known before they are. */
static size_t make_header(char *header)
{
	uint64_t offset = 0;
	size_t length = 0;
	unsigned int i;

	length += (size_t)sprintf(header + length, "{\"__metadata__\":{\"format\":\"pt\"");
	for (i = 0; i < count; i++)
		length += (size_t)sprintf(header + length,
					  ",\"" MODEL_SUM_KEY "%s\":\"%016" PRIx64 "\"",
					  tensors[i].name, tensors[i].sum);
	length += (size_t)sprintf(header + length, "}");
	for (i = 0; i < count; i++) {
		const struct tensor *tensor = &tensors[i];

		length += (size_t)sprintf(header + length,
					  ",\"%s\":{\"dtype\":\"BF16\",\"shape\":[", tensor->name);
		if (tensor->rows)
			length += (size_t)sprintf(header + length, "%u,", tensor->rows);
		length += (size_t)sprintf(header + length,
					  "%u],\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
					  tensor->columns, offset, offset + tensor->bytes);
		offset += tensor->bytes;
	}
	length += (size_t)sprintf(header + length, "}");
	/* Spaces up to the end of a page, so that tensors lie well. */
	while ((length + sizeof(uint64_t)) % 4096)
		header[length++] = ' ';
	return length;
}

static bool put(int fd, const void *data, size_t size, off_t offset)
{
	const char *bytes = data;

	while (size) {
		ssize_t done = pwrite(fd, bytes, size, offset);

		if (done < 0)
			return false;
		bytes += done;
		size -= (size_t)done;
		offset += done;
	}
	return true;
}

static bool put_tensor(int fd, unsigned int index, off_t offset)
{
	static uint64_t buffer[BUFFER_WORDS];
	uint64_t words = tensors[index].bytes / sizeof(uint64_t), word = 0, sum = 0;

	while (word < words) {
		uint64_t chunk = words - word < BUFFER_WORDS ? words - word : BUFFER_WORDS, i;

		for (i = 0; i < chunk; i++) {
			buffer[i] = model_word(index, word + i);
			sum += buffer[i];
		}
		if (!put(fd, buffer, chunk * sizeof(uint64_t),
			 offset + (off_t)(word * sizeof(uint64_t))))
			return false;
		word += chunk;
	}
	tensors[index].sum = sum;
	return true;
}

/* Write the model into @fd, from @offset on. */
static bool put_model(int fd, off_t offset)
{
	static char header[HEADER_MAX];
	uint64_t length = make_header(header);
	off_t at = offset + (off_t)(sizeof(length) + length);
	unsigned int i;

	for (i = 0; i < count; i++) {
		if (!put_tensor(fd, i, at))
			return false;
		at += (off_t)tensors[i].bytes;
	}
	/* Now that the sums are known. */
	make_header(header);
	return put(fd, &length, sizeof(length), offset) &&
	       put(fd, header, length, offset + (off_t)sizeof(length));
}

/* How long the model is. */
static uint64_t model_length(void)
{
	static char header[HEADER_MAX];

	return sizeof(uint64_t) + make_header(header) + total;
}

int main(int argc, char **argv)
{
	unsigned int layers = LAYERS;
	uint64_t room;
	int fd;

	if (argc != 2 && argc != 4) {
		fprintf(stderr, "usage: morsel-model BYTES [FILE OFFSET]\n");
		return 2;
	}
	room = strtoull(argv[1], NULL, 0);
	while (lay_out(layers) + HEADER_MAX > room) {
		if (!layers--) {
			fprintf(stderr,
				"morsel-model: not even the embeddings fit into %" PRIu64
				" bytes\n",
				room);
			return 1;
		}
	}
	if (argc == 2) {
		printf("%" PRIu64 "\n", model_length());
		return 0;
	}

	fd = open(argv[2], O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	if (fd < 0 || !put_model(fd, (off_t)strtoull(argv[3], NULL, 0)) || close(fd)) {
		fprintf(stderr, "morsel-model: %s: %s\n", argv[2], strerror(errno));
		return 1;
	}
	printf("%u tensors in %u layers, %.2f GiB\n", count, layers,
	       (double)model_length() / (1 << 30));
	return 0;
}
