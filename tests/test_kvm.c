// SPDX-License-Identifier: GPL-2.0
/*
 * A virtual machine whose memory is a morsel.  Its nested tables are filled from
 * the process's, and hear of changes by nothing but the kernel's MMU notifiers:
 * what a notifier is not told of, the machine goes on using.
 *
 * The machine's only program reads and writes a place of the morsel, over and
 * over, on one processor; from the other, the test changes what is there.
 */
#include "common.h"

#include <linux/kvm.h>
#include <poll.h>
#include <sys/syscall.h>

#define LENGTH (GIB + 4 * MIB)
/* Of each granule. */
#define ROUNDS rounds_of(1000)

/* Where the machine has the morsel. */
#define MORSEL_AT GIB
/* Code, at 0, and the page through which test and machine speak: ordinary memory. */
#define MAIL_AT PAGE
#define ORDINARY (2 * PAGE)

struct mail {
	_Atomic uint32_t seen, unused1;
	_Atomic uint32_t rounds, unused2;
	/* Where to read and write. */
	_Atomic uint32_t place, unused3;
};

static const unsigned char program[] = {
	0x8b, 0x1d, 0x10, 0x10, 0x00, 0x00, /* again: mov place, %ebx */
	0x8b, 0x03, /* mov (%ebx), %eax */
	0xa3, 0x00, 0x10, 0x00, 0x00, /* mov %eax, seen */
	0x41, /* inc %ecx */
	0x89, 0x4b, 0x08, /* mov %ecx, 8(%ebx) */
	0x89, 0xca, /* mov %ecx, %edx */
	/* With this, no read of the next round is early. */
	0x87, 0x15, 0x08, 0x10, 0x00, 0x00, /* xchg %edx, rounds */
	0xeb, 0xe5, /* jmp again */
};

/* What the machine reads and writes at a place. */
struct word {
	_Atomic uint32_t value, unused;
	_Atomic uint32_t written;
};

/* In spans of the part that is spliced as a whole, and in the rest. */
static const size_t places[] = {
	0, PAGE, 5 * HUGE + 7 * PAGE, GIB - PAGE, GIB, GIB + HUGE + 100 * PAGE,
};

static int vcpu;
static struct kvm_run *run;
static struct mail *mail;
/* How often it could not go on, as memory was not there for it. */
static atomic_uint refused;

static bool have_kvm(void)
{
	int fd;

	if (access("/dev/kvm", F_OK) && system("modprobe kvm_amd 2>/dev/null"))
		return false;
	fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

#define skip_without_kvm()                           \
	do {                                         \
		if (!have_kvm())                     \
			skip_because("no KVM here"); \
	} while (0)

/*
 * With the first machine and after the last, the kernel patches the code of its scheduler, by
 * static keys.  An emulator does not always get along with that (a breakpoint is met that is not
 * there any more), so it is not to happen with each test: a process has a machine as long as the
 * suite runs.  It is nobody's child, or it would end with the first test.
 */
static void hold_machine(void)
{
	struct pollfd suite = {.fd = syscall(SYS_pidfd_open, getpid(), 0), .events = POLLIN};
	int kvm, vm, ready[2];
	pid_t pid;
	char byte;

	assert_done(pipe(ready));
	pid = spawn();
	if (!pid) {
		if (fork())
			_exit(0);
		kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
		vm = ioctl(kvm, KVM_CREATE_VM, 0);
		need(ioctl(vm, KVM_CREATE_VCPU, 0) >= 0);
		need(write(ready[1], "", 1) == 1);
		poll(&suite, 1, -1);
		_exit(0);
	}
	assert_child_done(pid);
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	close(suite.fd);
}

static int kvm_suite_begin(void **state)
{
	int err = suite_begin(state);

	if (!err && have_kvm())
		hold_machine();
	return err;
}

static void *vcpu_main(void *arg)
{
	pin_to_cpu(1);
	for (;;) {
		need(ioctl(vcpu, KVM_RUN, 0));
		if (errno == EFAULT)
			refused++;
		else
			need(errno == EINTR);
	}
	return NULL;
}

static void add_memory(int vm, unsigned int slot, uint64_t at, void *memory, size_t length)
{
	struct kvm_userspace_memory_region region = {
		.slot = slot,
		.guest_phys_addr = at,
		.memory_size = length,
		.userspace_addr = (uintptr_t)memory,
	};

	need(!ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region));
}

/* Flat memory of 4 GiB, without paging. */
static void set_segment(struct kvm_segment *segment, unsigned int type)
{
	*segment = (struct kvm_segment){
		.limit = UINT32_MAX,
		.selector = 8,
		.type = type,
		.present = 1,
		.db = 1,
		.s = 1,
		.g = 1,
	};
}

/* Start a machine with LENGTH bytes of @memory, in a child; it runs until the process ends. */
static void start_machine(void *memory)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), vm = ioctl(kvm, KVM_CREATE_VM, 0);
	char *ordinary = mmap(NULL, ORDINARY, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct kvm_regs regs = {.rflags = 2};
	struct kvm_sregs sregs;
	pthread_t thread;

	need(vm >= 0 && ordinary != MAP_FAILED);
	memcpy(ordinary, program, sizeof(program));
	mail = (struct mail *)(ordinary + MAIL_AT);
	mail->place = MORSEL_AT;
	add_memory(vm, 0, 0, ordinary, ORDINARY);
	add_memory(vm, 1, MORSEL_AT, memory, LENGTH);
	vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	need(vcpu >= 0);
	run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), RW, MAP_SHARED, vcpu, 0);
	need(run != MAP_FAILED);
	need(!ioctl(vcpu, KVM_GET_SREGS, &sregs));
	set_segment(&sregs.cs, 11);
	set_segment(&sregs.ds, 3);
	sregs.es = sregs.fs = sregs.gs = sregs.ss = sregs.ds;
	sregs.cr0 |= 1;
	need(!ioctl(vcpu, KVM_SET_SREGS, &sregs));
	need(!ioctl(vcpu, KVM_SET_REGS, &regs));
	pin_to_cpu(0);
	need(!pthread_create(&thread, NULL, vcpu_main, NULL));
}

/*
 * Whether the machine goes on: it read and wrote after this was called, or it
 * tried to and could not.  What was on its way at the call does not count.
 */
static bool goes_on(void)
{
	uint32_t rounds = mail->rounds;
	unsigned int refusals = refused, tries = 0;

	for (;;) {
		if (mail->rounds - rounds >= 2)
			return true;
		if (refused - refusals >= 2)
			return false;
		relax(&tries);
	}
}

static uint32_t seen(void)
{
	need(goes_on());
	return mail->seen;
}

/* The machine turns to another place of the morsel, each in turn. */
static size_t next_place(unsigned int round)
{
	size_t place = places[round % ARRAY_SIZE(places)];

	mail->place = MORSEL_AT + place;
	return place;
}

static struct word *word_at(char *memory, size_t place)
{
	return (struct word *)(memory + place);
}

/* Does what the machine writes arrive? */
static bool is_written(struct word *word)
{
	uint32_t before = word->written;

	need(goes_on());
	return word->written != before;
}

static uint32_t granule;
static int morsel;
/* The machine's memory, and the same at another address, which it does not have. */
static char *memory, *alias;

static void start_with_morsel(void)
{
	morsel = create(LENGTH, granule);
	memory = map_at(free_place(LENGTH), morsel, LENGTH, RW, 0);
	alias = map(morsel, LENGTH, RW);
	start_machine(memory);
}

static void with_each_granule(void (*race)(void))
{
	skip_without_kvm();
	granule = MORSEL_GRANULE_4K;
	assert_race(race);
	granule = MORSEL_GRANULE_2M;
	assert_race(race);
}

/* Huge frames take long to clear. */
static unsigned int rounds_of_frames(void)
{
	return granule == MORSEL_GRANULE_2M ? rounds_of(200) : ROUNDS;
}

static size_t frame_size(void)
{
	return granule == MORSEL_GRANULE_2M ? HUGE : PAGE;
}

static void race_punch(void)
{
	unsigned int round;
	uint32_t written;

	start_with_morsel();
	for (round = 1; round <= rounds_of_frames(); round++) {
		size_t place = next_place(round);
		struct word *word = word_at(round % 2 ? memory : alias, place);

		word->value = round;
		need(seen() == round);
		need(!punch(morsel, place & -frame_size(), frame_size()));
		need(!seen());
		need(is_written(word));
		need(pread(morsel, &written, sizeof(written), place + 8) == sizeof(written));
		need(written);
	}
}

/* If the old frame stayed in nested tables, its value were seen, and what is written lost. */
static void a_guest_does_not_see_punched_frames(void **state)
{
	with_each_granule(race_punch);
}

/* Pages before the first span, and behind them. */
#define EDGE (2 * PAGE)

static void race_edge(void)
{
	static const size_t at[] = {0, EDGE - PAGE, EDGE, EDGE + HUGE};
	const size_t start = HUGE - EDGE;
	unsigned int round;

	morsel = create(LENGTH + HUGE, granule);
	memory = map_at(free_place(LENGTH + HUGE) + start, morsel, LENGTH, RW, start);
	start_machine(memory);
	for (round = 1; round <= rounds_of_frames(); round++) {
		size_t place = at[round % ARRAY_SIZE(at)];
		struct word *word = word_at(memory, place);

		/* What mprotect() splits stays so. */
		if (round % ARRAY_SIZE(at) == 0)
			map_at(memory, morsel, LENGTH, RW, start);
		mail->place = MORSEL_AT + place;
		word->value = round;
		need(seen() == round);
		need(!punch(morsel, (start + place) & -frame_size(), frame_size()));
		need(!seen());
		need(is_written(word));
		need(!mprotect(memory + place, PAGE, PROT_READ));
		need(!goes_on());
		need(!mprotect(memory + place, PAGE, RW));
		need(is_written(word));
	}
}

/* Where pages are mapped one by one before spans are: fails if the guest sees a border. */
static void a_guest_has_one_memory_across_an_edge(void **state)
{
	with_each_granule(race_edge);
}

static void race_clone(void)
{
	unsigned int round;

	start_with_morsel();
	for (round = 1; round <= rounds_of_frames(); round++) {
		size_t place = next_place(round);
		struct word *word = word_at(alias, place), then, now;
		int clone;

		word->value = 2 * round;
		need(seen() == 2 * round);
		clone = clone_of(morsel);
		need(pread(clone, &then, sizeof(then), place) == sizeof(then));
		need(then.value == 2 * round);
		/* The machine reads, or writes, first. */
		if (round % 3)
			need(is_written(word));
		word->value = 2 * round + 1;
		need(seen() == 2 * round + 1);
		need(is_written(word));
		need(pread(clone, &now, sizeof(now), place) == sizeof(now));
		need(!memcmp(&then, &now, sizeof(now)));
		close(clone);
	}
}

/* If it kept the frame that the clone has, it would not see what is written, or write to the clone. */
static void a_guest_has_the_morsel_and_not_its_clone(void **state)
{
	with_each_granule(race_clone);
}

static void race_other_morsel(void)
{
	int fds[2];
	char *mappings[2];
	unsigned int round, i, j;

	for (i = 0; i < 2; i++) {
		fds[i] = create(LENGTH, granule);
		mappings[i] = map(fds[i], LENGTH, RW);
		for (j = 0; j < ARRAY_SIZE(places); j++)
			word_at(mappings[i], places[j])->value = i + 1;
	}
	memory = map_at(free_place(LENGTH), fds[0], LENGTH, RW, 0);
	start_machine(memory);
	for (round = 1; round <= ROUNDS; round++) {
		unsigned int new = round % 2;
		size_t place = next_place(round / 2);
		uint32_t before;

		need(seen() == 2 - new);
		if (round / 2 % 2) {
			need(!munmap(memory, LENGTH));
			before = word_at(mappings[!new], place)->written;
			need(!goes_on());
			map_at(memory, fds[new], LENGTH, RW, 0);
		} else {
			map_at(memory, fds[new], LENGTH, RW, 0);
			before = word_at(mappings[!new], place)->written;
		}
		need(seen() == new + 1);
		need(is_written(word_at(mappings[new], place)));
		need(word_at(mappings[!new], place)->written == before);
	}
}

/* If it kept the frames of the one before, it would see that one's number and write there. */
static void a_guest_sees_the_morsel_that_took_anothers_place(void **state)
{
	with_each_granule(race_other_morsel);
}

static void race_dontneed(void)
{
	unsigned int round;

	start_with_morsel();
	for (round = 1; round <= rounds_of_frames(); round++) {
		size_t place = next_place(round);
		struct word *word = word_at(alias, place);
		char *at = round % 4 ? memory + (place & -HUGE) : memory;
		size_t length = round % 4 ? HUGE : LENGTH;

		word->value = round;
		need(seen() == round);
		need(!madvise(at, length, MADV_DONTNEED));
		need(seen() == round);
		need(is_written(word));
		word->value = ~round;
		need(seen() == ~round);
		/* Punching finds nothing of this mapping in the process's tables any more. */
		need(!madvise(at, length, MADV_DONTNEED));
		need(!punch(morsel, place & -frame_size(), frame_size()));
		need(!seen());
		need(is_written(word));
	}
}

/* If DONTNEED hid the mapping from the notifiers, the punch after it would go unnoticed. */
static void a_guest_keeps_its_data_through_dontneed(void **state)
{
	with_each_granule(race_dontneed);
}

static void race_mremap(void)
{
	char *elsewhere;
	unsigned int round, rounds = rounds_of(500);

	start_with_morsel();
	elsewhere = free_place(LENGTH);
	for (round = 1; round <= rounds; round++) {
		size_t place = next_place(round);
		struct word *word = word_at(alias, place);
		/* The whole while it is one mapping, and then parts, which stay mappings of their own. */
		bool whole = round < rounds / 4;
		size_t offset = whole ? 0 : place & -HUGE, length = whole ? LENGTH : HUGE;
		uint32_t before;

		word->value = round;
		need(seen() == round);
		need(mremap(memory + offset, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
			    elsewhere + offset) == elsewhere + offset);
		before = word->written;
		need(!goes_on());
		need(word->written == before);
		need(mremap(elsewhere + offset, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
			    memory + offset) == memory + offset);
		need(seen() == round);
		need(is_written(word));
	}
}

/* If it kept what was moved away, it would go on and write there. */
static void a_guest_has_no_memory_that_was_moved_away(void **state)
{
	with_each_granule(race_mremap);
}

static bool protect_gib;

static void race_mprotect(void)
{
	unsigned int round, rounds = protect_gib ? ROUNDS : rounds_of(500);

	start_with_morsel();
	for (round = 1; round <= rounds; round++) {
		size_t place = places[round % 3 + (protect_gib ? 0 : 3)];
		struct word *word = word_at(alias, place);
		char *at = memory + (protect_gib ? 0 : place & -HUGE);
		size_t length = protect_gib ? GIB : HUGE;
		uint32_t before;

		mail->place = MORSEL_AT + place;
		word->value = round;
		need(seen() == round);
		need(!mprotect(at, length, round % 4 ? PROT_READ : PROT_NONE));
		before = word->written;
		need(!goes_on());
		need(word->written == before);
		need(!mprotect(at, length, RW));
		need(seen() == round);
		need(is_written(word));
	}
}

/* If nested tables kept the right to write, it would go on, and what is written change. */
static void a_guest_does_not_write_to_a_gib_after_mprotect(void **state)
{
	protect_gib = true;
	with_each_granule(race_mprotect);
}

/* The same of spans, which are spliced by other entries. */
static void a_guest_does_not_write_to_a_part_after_mprotect(void **state)
{
	protect_gib = false;
	with_each_granule(race_mprotect);
}

static void race_unlink(void)
{
	struct morsel_create args = {
		.size = sizeof(args),
		.length = LENGTH,
		.granule = granule,
		.mode = 0600,
		.pool = MORSEL_ANY,
		.node = MORSEL_ANY,
		.name = "of-a-guest",
	};
	char *place_for = free_place(LENGTH);
	unsigned int round, rounds = rounds_of(200);
	int fd = create(LENGTH, granule);

	map_at(place_for, fd, LENGTH, RW, 0);
	start_machine(place_for);
	close(fd);
	/* The last part of a morsel's end takes 13 ms. */
	for (round = 1; round <= rounds; round++) {
		size_t place = next_place(round);
		struct word *word = word_at(place_for, place);

		need(!munmap(place_for, LENGTH));
		/* The machine is no user that would keep it. */
		need(!count_morsels() && !pool_info().used_bytes);
		need(!goes_on());
		fd = create_with(&args);
		need(fd >= 0);
		map_at(place_for, fd, LENGTH, RW, 0);
		word->value = round;
		need(seen() == round);
		need(!unlink_morsel(0, args.name));
		need(!close(fd));
		need(seen() == round);
		need(is_written(word));
	}
}

/* If the mapping did not keep it, the machine would lose it; if the machine did, it would leak. */
static void a_guest_has_a_morsel_without_name_as_long_as_it_is_mapped(void **state)
{
	with_each_granule(race_unlink);
}

/* If its tables outlived the process, what is written would still change, or frames leak. */
static void a_process_may_die_while_its_guest_runs(void **state)
{
	atomic_uint *turns;
	uint64_t seed = 1;
	unsigned int round;

	skip_without_kvm();
	turns = mmap(NULL, PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	for (round = 0; round < rounds_of(400); round++) {
		unsigned int enough = random_next(&seed) % 8 + 1, tries = 0;
		uint32_t before;
		pid_t pid;

		granule = round % 2 ? MORSEL_GRANULE_2M : MORSEL_GRANULE_4K;
		if (round < 2) {
			morsel = create(LENGTH, granule);
			alias = map(morsel, LENGTH, RW);
			fill_pattern(alias + 3 * PAGE, PAGE, round);
		}
		atomic_store(turns, 0);
		pid = spawn();
		if (!pid) {
			memory = map(morsel, LENGTH, RW);
			start_machine(memory);
			for (;; atomic_fetch_add(turns, 1)) {
				need(seen() == word_at(memory, next_place(round))->value);
				need(!madvise(memory, LENGTH, MADV_DONTNEED));
				need(is_written(word_at(memory, mail->place - MORSEL_AT)));
			}
		}
		/* Anywhere, but while the machine runs. */
		while (*turns < enough) {
			assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
			relax(&tries);
		}
		kill(pid, SIGKILL);
		assert_child_killed(pid, SIGKILL);
		before = word_at(alias, places[round % ARRAY_SIZE(places)])->written;
		sched_yield();
		assert_int_equal(word_at(alias, places[round % ARRAY_SIZE(places)])->written,
				 before);
		assert_int_equal(info_of(morsel).attachments, 1);
		assert_true(has_pattern(alias + 3 * PAGE, PAGE, round < 2 ? round : 1));
	}
	munmap(turns, PAGE);
}

static void race_huge(void)
{
	const char *path = "/sys/kernel/debug/kvm/pages_2m";

	granule = MORSEL_GRANULE_2M;
	start_with_morsel();
	next_place(0);
	need(!seen());
	need(access(path, R_OK) || atoi(read_text(path)) > 0);
}

/* So that the tests above are about huge leaves of nested tables, too. */
static void a_guest_has_huge_frames_as_huge_ones(void **state)
{
	skip_without_kvm();
	assert_race(race_huge);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_has_huge_frames_as_huge_ones),
		TEST(a_guest_does_not_see_punched_frames),
		TEST(a_guest_has_one_memory_across_an_edge),
		TEST(a_guest_has_the_morsel_and_not_its_clone),
		TEST(a_guest_sees_the_morsel_that_took_anothers_place),
		TEST(a_guest_keeps_its_data_through_dontneed),
		TEST(a_guest_has_no_memory_that_was_moved_away),
		TEST(a_guest_does_not_write_to_a_gib_after_mprotect),
		TEST(a_guest_does_not_write_to_a_part_after_mprotect),
		TEST(a_guest_has_a_morsel_without_name_as_long_as_it_is_mapped),
		TEST(a_process_may_die_while_its_guest_runs),
		TEST(module_unloads),
	};

	return cmocka_run_group_tests(tests, kvm_suite_begin, suite_end);
}
