// SPDX-License-Identifier: GPL-2.0
/*
 * What the suites share: contents, and morsels that a witness has, too.
 */
#include "common.h"

#include <sys/socket.h>

/* Contents. */

static uint64_t pattern_word(unsigned int seed, size_t index)
{
	return (seed + 1) * 0x9e3779b97f4a7c15ULL + index * 0xbf58476d1ce4e5b9ULL;
}

void fill_pattern(void *memory, size_t length, unsigned int seed)
{
	uint64_t *words = memory;
	size_t i;

	for (i = 0; i < length / sizeof(*words); i++)
		words[i] = pattern_word(seed, i);
}

bool has_pattern(const void *memory, size_t length, unsigned int seed)
{
	const uint64_t *words = memory;
	size_t i;

	for (i = 0; i < length / sizeof(*words); i++)
		if (words[i] != pattern_word(seed, i))
			return false;
	return true;
}

bool is_zero(const void *memory, size_t length)
{
	const unsigned char *bytes = memory;

	return !length || (!bytes[0] && !memcmp(bytes, bytes + 1, length - 1));
}

/* Scenes. */

const uint64_t scene_places[SCENE_PLACES] = {0, HUGE + PAGE, GIB - HUGE, GIB,
					     GIB + 2 * HUGE + 5 * PAGE};

/* Beside the text at the first place: what the witness counts. */
#define COUNTER (PAGE - sizeof(uint64_t))

bool scene_reads(const char *memory)
{
	unsigned int i;

	for (i = 0; i < SCENE_PLACES; i++)
		if (!has_pattern(memory + scene_places[i], COUNTER, i))
			return false;
	return true;
}

uint64_t frame_at(int fd, uint64_t offset)
{
	uint64_t cursor = offset & ~(PAGE - 1);
	struct morsel_extent extent;

	if (list_step(fd, MORSEL_IOC_EXTENTS, &cursor, &extent, sizeof(extent), 1) != 1)
		return 0;
	if (extent.level != MORSEL_LEVEL_4K && extent.level != MORSEL_LEVEL_2M)
		return 0;
	return extent.frame + (offset - extent.offset) / PAGE;
}

static _Noreturn void witness_main(int fd, int talk)
{
	char *memory = map(fd, SCENE_LENGTH, RW);
	volatile uint64_t *counter = (uint64_t *)(memory + COUNTER);
	uint64_t said;

	while (read(talk, &said, sizeof(said)) == sizeof(said)) {
		said = scene_reads(memory) ? ++*counter : 0;
		need(write(talk, &said, sizeof(said)) == sizeof(said));
	}
	_exit(0);
}

void scene_begin(struct scene *scene, uint32_t granule)
{
	unsigned int i;
	int talk[2];

	*scene = (struct scene){.fd = create(SCENE_LENGTH, granule)};
	scene->memory = map(scene->fd, SCENE_LENGTH, RW);
	for (i = 0; i < SCENE_PLACES; i++) {
		fill_pattern(scene->memory + scene_places[i], COUNTER, i);
		scene->frames[i] = frame_at(scene->fd, scene_places[i]);
	}
	scene->frame_bytes = info_of(scene->fd).frame_bytes;
	assert_done(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, talk));
	scene->witness = spawn();
	if (!scene->witness) {
		munmap(scene->memory, SCENE_LENGTH);
		close(talk[0]);
		witness_main(scene->fd, talk[1]);
	}
	close(talk[1]);
	scene->talk = talk[0];
	/* It has mapped when it answers. */
	assert_scene_intact(scene, 1);
}

void assert_scene_intact(struct scene *scene, unsigned int others)
{
	uint64_t said = 0, seen = 0;
	unsigned int i;

	assert_int_equal(send(scene->talk, &said, sizeof(said), MSG_NOSIGNAL), sizeof(said));
	assert_int_equal(read(scene->talk, &said, sizeof(said)), sizeof(said));
	assert_int_not_equal(said, 0);
	assert_int_equal(pread(scene->fd, &seen, sizeof(seen), COUNTER), sizeof(seen));
	assert_int_equal(seen, said);
	for (i = 0; i < SCENE_PLACES; i++)
		assert_int_equal(frame_at(scene->fd, scene_places[i]), scene->frames[i]);
	assert_int_equal(info_of(scene->fd).frame_bytes, scene->frame_bytes);
	assert_int_equal(info_of(scene->fd).attachments, 1 + others);
}
