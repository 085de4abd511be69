// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/morsel: the ioctls that make, find and list morsels, and those for pools
 * and ceilings.
 */
#include <linux/capability.h>
#include <linux/file.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "object/object.h"
#include "pools/payer.h"
#include "pools/pool.h"
#include "uapi/uapi.h"

static long ioctl_query(void __user *arg)
{
	struct morsel_query query;
	u32 size;
	int err;

	err = morsel_copy_in(&query, sizeof(query), arg);
	if (err)
		return err;
	if (query.flags)
		return -EINVAL;
	size = query.size;
	query = (struct morsel_query){
		.size = size,
		.abi = MORSEL_ABI_VERSION,
		.abi_oldest = MORSEL_ABI_OLDEST,
		.features = MORSEL_FEATURE_HUGE | MORSEL_FEATURE_SPLICE_1G |
			    MORSEL_FEATURE_SPLICE_2M | MORSEL_FEATURE_READ_ONLY_TWIN |
			    MORSEL_FEATURE_LIMITS | MORSEL_FEATURE_TUNE,
		.max_length = MORSEL_MAX_LENGTH,
		.nr_pools = morsel_pool_count(),
		.nr_morsels = morsel_count(),
		.attach_unit = PMD_SIZE,
		.splice_unit = PUD_SIZE,
		.version = MORSEL_VERSION,
	};
	return morsel_copy_out(arg, &query, sizeof(query));
}

/* Hand a new descriptor to the caller only once the caller has been told of it. */
static long install(int fd, struct file *file, void __user *arg, const void *args, size_t size)
{
	int err = morsel_copy_out(arg, args, size);

	if (err) {
		put_unused_fd(fd);
		fput(file);
		return err;
	}
	fd_install(fd, file);
	return 0;
}

static long ioctl_create(void __user *arg)
{
	struct morsel_create args;
	struct file *file;
	long err;
	int fd;

	err = morsel_copy_in(&args, sizeof(args), arg);
	if (err)
		return err;
	if (args.flags & ~(MORSEL_CREATE_POPULATE | MORSEL_CREATE_CLOEXEC))
		return -EINVAL;

	fd = get_unused_fd_flags(args.flags & MORSEL_CREATE_CLOEXEC ? O_CLOEXEC : 0);
	if (fd < 0)
		return fd;
	file = morsel_create(&args);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	args.fd = fd;
	/* If this fails, the name must not stay behind. */
	get_file(file);
	err = install(fd, file, arg, &args, sizeof(args));
	if (err)
		morsel_unname(file_morsel(file));
	fput(file);
	return err;
}

static long ioctl_open(void __user *arg)
{
	struct morsel_open args;
	struct file *file;
	int fd, err;

	err = morsel_copy_in(&args, sizeof(args), arg);
	if (err)
		return err;
	if (args.flags & ~(MORSEL_OPEN_READ_ONLY | MORSEL_OPEN_CLOEXEC) || args.reserved)
		return -EINVAL;

	fd = get_unused_fd_flags(args.flags & MORSEL_OPEN_CLOEXEC ? O_CLOEXEC : 0);
	if (fd < 0)
		return fd;
	file = morsel_open(&args);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	args.fd = fd;
	return install(fd, file, arg, &args, sizeof(args));
}

static long ioctl_unlink(void __user *arg)
{
	struct morsel_unlink args;
	int err = morsel_copy_in(&args, sizeof(args), arg);

	if (err)
		return err;
	return args.flags ? -EINVAL : morsel_unlink(&args);
}

static long ioctl_list(void __user *arg, int (*list)(struct morsel_cursor *cursor))
{
	struct morsel_cursor cursor = {};
	int err = morsel_cursor_begin(&cursor, arg);

	if (!err)
		err = list(&cursor);
	return err ?: morsel_cursor_end(&cursor, arg);
}

static long ioctl_limit(void __user *arg, bool set)
{
	struct morsel_limit args;
	int err = morsel_copy_in(&args, sizeof(args), arg);

	if (err)
		return err;
	if (set)
		return morsel_limit_set(&args);
	err = morsel_limit_get(&args);
	return err ?: morsel_copy_out(arg, &args, sizeof(args));
}

static long ioctl_pool_stat(void __user *arg)
{
	struct morsel_pool_info info;
	u32 size;
	int err = morsel_copy_in(&info, sizeof(info), arg);

	if (err)
		return err;
	if (info.flags)
		return -EINVAL;
	size = info.size;
	err = morsel_pool_stat(&info);
	info.size = size;
	return err ?: morsel_copy_out(arg, &info, sizeof(info));
}

static long ioctl_pool(void __user *arg, unsigned int call)
{
	struct morsel_pool args;
	int err = morsel_copy_in(&args, sizeof(args), arg);

	if (err)
		return err;
	if (!capable(CAP_SYS_ADMIN))
		return -EPERM;
	if (args.flags || args.reserved)
		return -EINVAL;
	if (call == MORSEL_IOC_CALL(MORSEL_IOC_POOL_ADD)) {
		err = morsel_pool_add(&args);
		return err ?: morsel_copy_out(arg, &args, sizeof(args));
	}
	if (args.kind || args.node)
		return -EINVAL;
	if (call == MORSEL_IOC_CALL(MORSEL_IOC_POOL_RESIZE))
		return morsel_pool_resize(args.id, args.limit_bytes);
	return args.limit_bytes ? -EINVAL : morsel_pool_remove(args.id);
}

static long control_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	void __user *p = (void __user *)arg;

	switch (MORSEL_IOC_CALL(cmd)) {
	case MORSEL_IOC_CALL(MORSEL_IOC_QUERY):
		return ioctl_query(p);
	case MORSEL_IOC_CALL(MORSEL_IOC_CREATE):
		return ioctl_create(p);
	case MORSEL_IOC_CALL(MORSEL_IOC_OPEN):
		return ioctl_open(p);
	case MORSEL_IOC_CALL(MORSEL_IOC_UNLINK):
		return ioctl_unlink(p);
	case MORSEL_IOC_CALL(MORSEL_IOC_LIST):
		return ioctl_list(p, morsel_list);
	case MORSEL_IOC_CALL(MORSEL_IOC_LIMIT_GET):
		return ioctl_limit(p, false);
	case MORSEL_IOC_CALL(MORSEL_IOC_LIMIT_SET):
		return ioctl_limit(p, true);
	case MORSEL_IOC_CALL(MORSEL_IOC_POOL_LIST):
		return ioctl_list(p, morsel_pool_list);
	case MORSEL_IOC_CALL(MORSEL_IOC_POOL_STAT):
		return ioctl_pool_stat(p);
	case MORSEL_IOC_CALL(MORSEL_IOC_POOL_ADD):
	case MORSEL_IOC_CALL(MORSEL_IOC_POOL_RESIZE):
	case MORSEL_IOC_CALL(MORSEL_IOC_POOL_REMOVE):
		return ioctl_pool(p, MORSEL_IOC_CALL(cmd));
	default:
		return -ENOTTY;
	}
}

static const struct file_operations control_fops = {
	.owner = THIS_MODULE,
	.unlocked_ioctl = control_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.llseek = noop_llseek,
};

/*
 * Opening the device loads the module: with a minor that is known beforehand,
 * depmod tells of the node in modules.devname, and at boot it is made from there
 * (kmod static-nodes), which takes neither the module nor a unit.  The minor is one
 * of those for local use (Documentation/admin-guide/devices.txt: 243 to 254); ZFS
 * has 249.
 */
#define MORSEL_MINOR 251
MODULE_ALIAS_MISCDEV(MORSEL_MINOR);
MODULE_ALIAS("devname:morsel");

static struct miscdevice control_device = {
	.minor = MORSEL_MINOR,
	.name = "morsel",
	.fops = &control_fops,
	.mode = 0660,
};

/**
 * morsel_control_init() - make /dev/morsel
 * Return: 0 or a negative errno.
 */
int morsel_control_init(void)
{
	int err = misc_register(&control_device);

	if (err == -EBUSY)
		pr_err("morsel: another module has the character device 10:%d\n", MORSEL_MINOR);
	return err;
}

/**
 * morsel_control_exit() - take /dev/morsel away
 */
void morsel_control_exit(void)
{
	misc_deregister(&control_device);
}
