// SPDX-License-Identifier: GPL-2.0
/*
 * Seals: what is not done to a morsel any more, whoever asks, so that who was handed a descriptor
 * can rely on it.  They mean what those of fcntl(2) mean, which the kernel takes for shmem alone.
 */
#include <linux/fs.h>
#include <linux/jiffies.h>
#include <linux/mm.h>
#include <linux/sched.h>

#include "map/map.h"
#include "object/object.h"

/* So often it is looked, farther and farther apart, whether pins are gone: 150 ms, as for a memfd. */
#define LOOKS 5

/* See that nobody can write by way of a pin; mappings for reading hold pages, too. */
static int wait_for_pins(struct morsel *m)
{
	unsigned int look;

	for (look = 0;; look++) {
		if (READ_ONCE(m->map.paged))
			unmap_mapping_range(m->inode.i_mapping, 0, 0, 0);
		if (!map_pinned(&m->map))
			return 0;
		if (look == LOOKS)
			return -EBUSY;
		if (schedule_timeout_killable(msecs_to_jiffies(5 << look)))
			return -EINTR;
	}
}

/*
 * Seal against writing.  Nobody can have it mapped so, as the kernel counts, nor begin to until the
 * seal is set; from then on, morsel_mmap() looks at that, as it lets who only reads go on.
 */
static int seal_writing(struct morsel *m, u32 seals)
{
	struct address_space *mapping = m->inode.i_mapping;
	int err = mapping_deny_writable(mapping);

	if (err)
		return err;
	err = wait_for_pins(m);
	if (!err)
		WRITE_ONCE(m->seals, m->seals | seals);
	mapping_allow_writable(mapping);
	return err;
}

/**
 * morsel_seal() - add seals to a morsel
 * @m:		the morsel
 * @seals:	MORSEL_SEAL_*
 * Return: 0; -EPERM: it takes none; -EBUSY: MORSEL_SEAL_WRITE, and it is mapped for writing, or
 * pinned; -EINTR (a fatal signal).
 */
int morsel_seal(struct morsel *m, u32 seals)
{
	int err = down_write_killable(&m->inode.i_rwsem);

	if (err)
		return err;
	if (m->seals & MORSEL_SEAL_SEAL)
		err = -EPERM;
	else if (seals & ~m->seals & MORSEL_SEAL_WRITE)
		err = seal_writing(m, seals);
	else
		WRITE_ONCE(m->seals, m->seals | seals);
	inode_unlock(&m->inode);
	return err;
}
