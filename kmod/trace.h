/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints: /sys/kernel/tracing/events/morsel.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM morsel

#if !defined(MORSEL_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define MORSEL_TRACE_H

#include <linux/tracepoint.h>

#include "morsel.h"

TRACE_EVENT(morsel_create,
	TP_PROTO(const struct morsel *m),
	TP_ARGS(m),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(unsigned long, pages)
		__field(u32, granule)
	),
	TP_fast_assign(
		__entry->id = m->id;
		__entry->pages = m->map.pages;
		__entry->granule = m->map.granule;
	),
	TP_printk("id=%llu pages=%lu granule=%u", __entry->id, __entry->pages, __entry->granule)
);

DECLARE_EVENT_CLASS(morsel_attachment,
	TP_PROTO(const struct morsel *m, unsigned long start, unsigned long end, unsigned long entries),
	TP_ARGS(m, start, end, entries),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(unsigned long, start)
		__field(unsigned long, end)
		__field(unsigned long, entries)
	),
	TP_fast_assign(
		__entry->id = m->id;
		__entry->start = start;
		__entry->end = end;
		__entry->entries = entries;
	),
	TP_printk("id=%llu start=%#lx end=%#lx entries=%lu", __entry->id, __entry->start, __entry->end, __entry->entries)
);

DEFINE_EVENT(morsel_attachment, morsel_attach,
	TP_PROTO(const struct morsel *m, unsigned long start, unsigned long end, unsigned long entries),
	TP_ARGS(m, start, end, entries)
);

DEFINE_EVENT(morsel_attachment, morsel_detach,
	TP_PROTO(const struct morsel *m, unsigned long start, unsigned long end, unsigned long entries),
	TP_ARGS(m, start, end, entries)
);

TRACE_EVENT(morsel_flush,
	TP_PROTO(unsigned int spaces),
	TP_ARGS(spaces),
	TP_STRUCT__entry(
		__field(unsigned int, spaces)
	),
	TP_fast_assign(
		__entry->spaces = spaces;
	),
	TP_printk("spaces=%u", __entry->spaces)
);

TRACE_EVENT(morsel_fault,
	TP_PROTO(const struct morsel *m, unsigned long address, unsigned long index, int err),
	TP_ARGS(m, address, index, err),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(unsigned long, address)
		__field(unsigned long, index)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->id = m->id;
		__entry->address = address;
		__entry->index = index;
		__entry->err = err;
	),
	TP_printk("id=%llu address=%#lx index=%lu err=%d", __entry->id, __entry->address, __entry->index, __entry->err)
);

TRACE_EVENT(morsel_populate,
	TP_PROTO(const struct map *map, unsigned long first, unsigned long end, int err),
	TP_ARGS(map, first, end, err),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(unsigned long, first)
		__field(unsigned long, end)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->id = container_of(map, struct morsel, map)->id;
		__entry->first = first;
		__entry->end = end;
		__entry->err = err;
	),
	TP_printk("id=%llu first=%lu end=%lu err=%d", __entry->id, __entry->first, __entry->end, __entry->err)
);

TRACE_EVENT(morsel_free,
	TP_PROTO(const struct map *map, unsigned long small, unsigned long huge),
	TP_ARGS(map, small, huge),
	TP_STRUCT__entry(
		__field(u64, id)
		__field(unsigned long, small)
		__field(unsigned long, huge)
	),
	TP_fast_assign(
		__entry->id = container_of(map, struct morsel, map)->id;
		__entry->small = small;
		__entry->huge = huge;
	),
	TP_printk("id=%llu small=%lu huge=%lu", __entry->id, __entry->small, __entry->huge)
);

#endif /* MORSEL_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
