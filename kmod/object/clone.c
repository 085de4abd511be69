// SPDX-License-Identifier: GPL-2.0
/*
 * Clones: morsels with the contents that others have, made and rolled back.
 */
#include <linux/delay.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/string.h>

#include "attach/attach.h"
#include "map/map.h"
#include "object/object.h"

/**
 * morsel_share_begin() - begin to have others share what a morsel has
 * @m:		the morsel
 * @least:	what there is that it may come to share
 *
 * It is as long as it is meant to be then, and its inode's lock is held for writing.
 * Return: 0; -EINTR (a fatal signal), -ENOMEM, -EDQUOT, -EIO, and the lock is not held.
 */
int morsel_share_begin(struct morsel *m, enum map_shares least)
{
	int err;

	if (m->parties)
		return -EOPNOTSUPP;
	view_share_prepare(&m->plain, least);
	err = spaces_wait_elder(m) ?: spaces_ask(m) ?: down_write_killable(&m->inode.i_rwsem);
	if (err)
		return err;
	err = is_given(m) ? -ESTALE : morsel_drop_tail(m);
	if (err)
		inode_unlock(&m->inode);
	return err;
}

/* May a morsel be shared by who has the mmap_lock?  With the inode's lock. */
static int share_locked(struct morsel *m, enum map_shares *before)
{
	int err;

	/* Who has it mapped for writing would have to be told to ask, which takes other mmap_locks. */
	if (!m->personal && mapping_writably_mapped(m->inode.i_mapping))
		return -EBUSY;
	if (is_given(m))
		return -ESTALE;
	if (READ_ONCE(m->elder))
		return -EBUSY;
	/* What is reserved would be copied; and what is behind the end is not given back here. */
	if (m->reserves || READ_ONCE(m->map.nr_reserved) || m->map.tail > map_pages(&m->map))
		return -EBUSY;
	*before = view_shares(&m->plain);
	view_share_prepare(&m->plain, SHARES_NONE);
	err = spaces_ask_below(m);
	if (err)
		map_share_undo(&m->map, *before);
	return err;
}

/**
 * morsel_share_try() - the same, with the mmap_lock held for writing
 * @m:		the morsel
 * @before:	gets what may have been shared before
 * Return: as that; -EBUSY: somebody is writing to it, or to how long it is, or in the way otherwise.
 */
int morsel_share_try(struct morsel *m, enum map_shares *before)
{
	int err;

	/* Whoever has it may be waiting for the mmap_lock; but of what is behind private mappings nobody does. */
	while (!inode_trylock(&m->inode)) {
		if (!m->personal)
			return -EBUSY;
		if (fatal_signal_pending(current))
			return -EINTR;
		usleep_range(10, 100);
	}
	err = share_locked(m, before);
	if (err)
		inode_unlock(&m->inode);
	return err;
}

/**
 * morsel_as_source() - how a clone is made
 * @m:		its source
 * @mode:	its permission bits
 * Return: what it has of its source.
 */
struct morsel_create morsel_as_source(const struct morsel *m, u32 mode)
{
	return (struct morsel_create){
		.size = sizeof(struct morsel_create),
		.flags = m->dump ? MORSEL_CREATE_DUMP : 0,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.granule = m->map.granule,
		.mode = mode,
		.fault_around = READ_ONCE(m->map.fault_around) << PAGE_SHIFT,
	};
}

/**
 * morsel_clone() - MORSEL_IOC_CLONE
 * @m:		what is to be cloned
 * @args:	the request; the id is filled in
 * Return: the clone's file, or ERR_PTR as morsel_ioctl.h lists the errors.
 */
struct file *morsel_clone(struct morsel *m, struct morsel_clone *args)
{
	struct morsel_create create = morsel_as_source(m, args->mode);
	struct file *file;

	if (args->flags & MORSEL_CLONE_SEALABLE)
		create.flags |= MORSEL_CREATE_SEALABLE;
	strscpy(create.name, args->name, sizeof(create.name));
	if (!morsel_name_valid(args->name) || args->mode & ~0777)
		return ERR_PTR(-EINVAL);
	file = morsel_make_file(&create, NULL, m, args->flags & MORSEL_CLONE_SNAPSHOT);
	args->id = create.id;
	return file;
}

static bool seals_allow(const struct morsel *m, loff_t size)
{
	loff_t before = i_size_read(&m->inode);

	return !is_sealed(m, MORSEL_SEALS_WRITE) &&
	       !(size < before && is_sealed(m, MORSEL_SEAL_SHRINK)) &&
	       !(size > before && is_sealed(m, MORSEL_SEAL_GROW));
}

/* With the inode's lock held. */
static int become(struct morsel *m, struct morsel *copy)
{
	loff_t size = i_size_read(&copy->inode);
	int err;

	if (!seals_allow(m, size))
		return -EPERM;
	if (m->reserves || READ_ONCE(m->map.nr_reserved))
		return -EBUSY;
	err = morsel_exchange(m, &copy->map);
	if (!err)
		morsel_settle_size(m, size);
	return err;
}

/**
 * morsel_rollback() - MORSEL_IOC_ROLLBACK
 * @m:	what is to be rolled back
 * @to:	what it is to be as
 * Return: 0 or a negative errno as morsel_ioctl.h lists it.
 */
int morsel_rollback(struct morsel *m, struct morsel *to)
{
	struct morsel_create create = morsel_as_source(to, 0600);
	struct file *file;
	int err;

	if (m->map.granule != to->map.granule)
		return -EINVAL;
	/* What the other has at one instant; and it gets what there was, and goes. */
	file = morsel_make_file(&create, NULL, to, false);
	if (IS_ERR(file))
		return PTR_ERR(file);
	err = morsel_share_begin(m, view_shares(file_view(file)));
	if (!err) {
		err = become(m, file_morsel(file));
		/* What there was may be looked at for a while. */
		if (!err)
			space_displaced_file(m, get_file(file));
		inode_unlock(&m->inode);
	}
	fput(file);
	return err;
}
