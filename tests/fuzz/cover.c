// SPDX-License-Identifier: GPL-2.0
/*
 * The fuzzer: which of the module's functions were reached.
 */
#include "fuzz.h"

#include <inttypes.h>
#include <linux/kcov.h>

#define COVER_LENGTH (1 << 16)

struct cover covers[3];

/* All functions of the module, by address. */
static struct symbol {
	uint64_t addr;
	char name[64];
	bool reached;
} symbols[4096];
static unsigned int nr_symbols;
/* KCOV takes off what the kernel's text was moved by at boot, from a module's addresses, too. */
static uint64_t slide;

/* A byte for each byte of the module's text, shared: is there an instruction that was reached? */
static _Atomic char *reached;
static size_t text_length;

int cover_open(struct cover *cover)
{
	cover->fd = open("/sys/kernel/debug/kcov", O_RDWR | O_CLOEXEC);
	if (cover->fd < 0 || ioctl(cover->fd, KCOV_INIT_TRACE, COVER_LENGTH))
		return -1;
	cover->buffer = mmap(NULL, COVER_LENGTH * sizeof(uint64_t), PROT_READ | PROT_WRITE,
			     MAP_SHARED, cover->fd, 0);
	return cover->buffer == MAP_FAILED ? -1 : 0;
}

/* The calling thread's; ends with it. */
void cover_begin(const struct cover *cover)
{
	if (covering)
		ioctl(cover->fd, KCOV_ENABLE, KCOV_TRACE_PC);
}

void cover_drain(const struct cover *cover)
{
	uint64_t i, count;

	if (!covering)
		return;
	count = __atomic_load_n(&cover->buffer[0], __ATOMIC_RELAXED);
	for (i = 1; i <= count && i < COVER_LENGTH; i++) {
		/* What is below the text wraps to what is far above. */
		uint64_t offset = cover->buffer[i] + slide - symbols[0].addr;

		if (offset < text_length)
			atomic_store_explicit(&reached[offset], 1, memory_order_relaxed);
	}
	__atomic_store_n(&cover->buffer[0], 0, __ATOMIC_RELAXED);
}

static int by_address(const void *a, const void *b)
{
	const struct symbol *left = a, *right = b;

	return left->addr < right->addr ? -1 : left->addr > right->addr;
}

/* Returns 0, or what is missing has been said. */
int cover_prepare(void)
{
	struct symbol symbol = {};
	char line[1024], type;
	FILE *file;

	if (access("/sys/kernel/debug/kcov", F_OK)) {
		printf("this kernel has no KCOV, or debugfs is not mounted\n");
		return -1;
	}
	file = fopen("/proc/kallsyms", "re");
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%" SCNx64 " %c %63s", &symbol.addr, &type, symbol.name) != 3 ||
		    !symbol.addr || !strchr("tTwW", type))
			continue;
		if (!strcmp(symbol.name, "_text"))
			slide = symbol.addr - 0xffffffff81000000;
		/* Not padding before functions, nor what sanitizers have called at loading. */
		if (strstr(line, "[morsel]") && strncmp(symbol.name, "__pfx_", 6) &&
		    strncmp(symbol.name, "_sub_", 5) && nr_symbols < ARRAY_SIZE(symbols))
			symbols[nr_symbols++] = symbol;
	}
	if (file)
		fclose(file);
	if (!nr_symbols) {
		printf("/proc/kallsyms shows no function of the module\n");
		return -1;
	}
	qsort(symbols, nr_symbols, sizeof(symbols[0]), by_address);
	/* The last one is not longer than that. */
	text_length = symbols[nr_symbols - 1].addr - symbols[0].addr + (64 << 10);
	reached = mmap(NULL, text_length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		       0);
	return reached == MAP_FAILED ? -1 : 0;
}

/* What the tracepoints call is reached only while they are on. */
void trace_events(const char *on)
{
	write_text(TRACING "events/morsel/enable", on);
}

/* Parts of tracepoints that no event, or only perf's, calls. */
static bool is_glue(const char *name)
{
	return !strncmp(name, "__", 2) || !strncmp(name, "perf_trace_", 11) ||
	       !strncmp(name, "trace_raw_output_", 17);
}

static bool is_handler(const char *name)
{
	return !strncmp(name, "call_", 5);
}

void cover_report(void)
{
	unsigned int i, j, functions = 0, hits = 0, handlers = 0, handlers_hit = 0;
	uint64_t at, end;

	for (i = 0; i < nr_symbols; i++) {
		struct symbol *symbol = &symbols[i];

		for (j = i + 1; j < nr_symbols && symbols[j].addr == symbol->addr; j++)
			;
		end = j < nr_symbols ? symbols[j].addr - symbols[0].addr : text_length;
		for (at = symbol->addr - symbols[0].addr; at < end; at++)
			symbol->reached |= reached[at];
		/* Parts that the compiler has cut off count as the function. */
		symbol->name[strcspn(symbol->name, ".")] = 0;
		for (j = 0; strcmp(symbols[j].name, symbol->name); j++)
			;
		symbols[j].reached |= symbol->reached;
		if (j < i)
			symbol->name[0] = 0;
	}

	printf("not reached:");
	for (i = 0; i < nr_symbols; i++) {
		const struct symbol *symbol = &symbols[i];

		if (!symbol->name[0] || is_glue(symbol->name))
			continue;
		functions++;
		hits += symbol->reached;
		handlers += is_handler(symbol->name);
		handlers_hit += is_handler(symbol->name) && symbol->reached;
		if (!symbol->reached)
			printf(" %s", symbol->name);
	}
	printf("\nreached: %u of %u functions\n", hits, functions);
	printf("ioctl handlers: %u of %u that are functions of their own\n", handlers_hit,
	       handlers);
	if (!handlers || handlers_hit < handlers)
		complain("ioctl handlers were not reached\n");
}
