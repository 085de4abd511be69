# SPDX-License-Identifier: GPL-2.0
#
# Morsel: explicit virtual-memory objects for Linux.  `make help` lists what
# can be made.

BUILD := $(CURDIR)/build
KDIR ?= /lib/modules/$(shell uname -r)/build
# It is made use of in other folders, too.
override KDIR := $(abspath $(KDIR))
# Who became root by su may lack where depmod and others are.
export PATH := $(PATH):/usr/sbin:/sbin
# Knows the module's files on this machine, whoever put them there.
MODULE := KDIR=$(KDIR) DESTDIR=$(DESTDIR) dist/module
KDIR_KERNEL = $(shell $(MODULE) kernel)
PREFIX ?= /usr/local
ifndef MORSEL_VERSION
MORSEL_VERSION := $(shell tools/version)
endif
export MORSEL_VERSION
USER_PARTS := $(wildcard lib tools/morselctl)
# Many programs, each made by one compiler: several at once, unless make was told how many.
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: all module user guest-programs help deps ready quick check check-all check-native check-static \
	check-debug bench bench-alloc plots demo shell install install-user install-dist uninstall dkms-source \
	dkms-install uninstall-dist dkms-uninstall clean distclean

all: user $(if $(wildcard $(KDIR)),module)
	$(if $(wildcard $(KDIR)),,@echo "No headers of the running kernel at $(KDIR): the module was not built.")

help:
	@echo "make              module for the running kernel (KDIR=...), library and tools"
	@echo "make demo         a 6.82-GiB model, mapped in microseconds, in a guest"
	@echo "make quick        a few tests, for every commit: 3 minutes"
	@echo "make check        all tests, on kernels 6.1, 6.12 and 7.2 (KERNEL=6.12: one of them): 30 minutes"
	@echo "make check-all    the same with all rounds on one kernel, a third on the others: two hours"
	@echo "make check-debug  all tests in kernels that check everything, which are built first"
	@echo "make check-native the tests that need no guest"
	@echo "make check-static what there is to say of the sources, and the module built for each kernel"
	@echo "make bench        the figures, as a table and build/bench.json"
	@echo "make bench-alloc  those of the frame allocator, natively (PEER=other.so: beside another)"
	@echo "make plots        draw what bench and bench-alloc found, as bench{,/alloc}/plots/*.svg"
	@echo "make shell        a guest to play in (KERNEL=6.12)"
	@echo "make install      module for the running kernel, library and tools on this machine"
	@echo "make dkms-install module by DKMS on this machine; make dkms-uninstall"
	@echo "make install-user library and tools alone, beside the module by DKMS"
	@echo "make uninstall    remove all of that, however it was installed"
	@echo "make deps         Debian packages that the above need"
	@echo "make clean        remove build/; make distclean: the cached roots too"

module:
	$(MAKE) -C kmod KDIR=$(KDIR) modules

user:
	@for part in $(USER_PARTS); do $(MAKE) --no-print-directory -C $$part OUT=$(BUILD) || exit; done

guest-programs: user
	@for part in tests tests/frames tests/words bench demo examples; do $(MAKE) --no-print-directory $(PARALLEL) -C $$part OUT=$(BUILD) || exit; done

deps:
	@qemu/deps

# By a make of its own: what is built takes what is installed first.
ready: deps
	@$(MAKE) --no-print-directory guest-programs

check: ready
	@qemu/check $(KERNEL)

quick: ready
	@qemu/check --quick $(KERNEL)

check-all: ready
	@qemu/check --all $(KERNEL)

check-debug: ready
	@qemu/check --debug $(KERNEL)

check-native: ready
	@qemu/check --native

check-static: deps
	@qemu/check --static $(KERNEL)

bench: ready
	@bench/run $(or $(KERNEL),6.12)

bench-alloc: deps
	@bench/alloc/run $(PEER)

plots: deps
	@for plot in bench/plot bench/alloc/plot; do $$plot || exit; done

demo:
	@demo/run $(or $(KERNEL),6.12)

shell: ready
	@qemu/kmod $(or $(KERNEL),6.12) >/dev/null
	@qemu/run --mem 4G --interactive $(or $(KERNEL),6.12)

install: all
ifneq ($(wildcard $(KDIR)),)
	@$(MODULE) alone
	@rm -f $(DESTDIR)/lib/modules/$(KDIR_KERNEL)/updates/morsel.ko*
	$(MAKE) -C $(KDIR) M=$(CURDIR)/kmod KERNELRELEASE=$(KDIR_KERNEL) INSTALL_MOD_PATH=$(DESTDIR) INSTALL_MOD_DIR=updates \
		modules_install
ifeq ($(DESTDIR),)
	depmod $(KDIR_KERNEL)
endif
endif
	@$(MAKE) install-user install-dist

install-user: user
	@for part in $(USER_PARTS); do \
		$(MAKE) --no-print-directory -C $$part OUT=$(BUILD) PREFIX=$(PREFIX) install || exit; done
ifeq ($(DESTDIR),)
	ldconfig
endif

# What every installation has, whoever builds the module.
install-dist:
	install -D -m 644 dist/70-morsel.rules $(DESTDIR)/usr/lib/udev/rules.d/70-morsel.rules
	rm -f $(DESTDIR)/usr/lib/modules-load.d/morsel.conf # of older versions
	install -D -m 644 dist/morsel-sysusers.conf $(DESTDIR)/usr/lib/sysusers.d/morsel.conf
	install -D -m 644 dist/dev-morsels.mount $(DESTDIR)/usr/lib/systemd/system/dev-morsels.mount
ifeq ($(DESTDIR),)
	@! command -v systemd-sysusers >/dev/null || systemd-sysusers morsel.conf
	@! [ -d /run/udev ] || udevadm control --reload
endif

uninstall-dist:
	rm -f $(DESTDIR)/usr/lib/udev/rules.d/70-morsel.rules
	rm -f $(DESTDIR)/usr/lib/modules-load.d/morsel.conf $(DESTDIR)/usr/lib/sysusers.d/morsel.conf
	rm -f $(DESTDIR)/usr/lib/systemd/system/dev-morsels.mount
ifeq ($(DESTDIR),)
	@! [ -d /run/udev ] || udevadm control --reload
endif

uninstall: uninstall-dist
	@$(MODULE) remove
	@for part in $(USER_PARTS); do \
		$(MAKE) --no-print-directory -C $$part OUT=$(BUILD) PREFIX=$(PREFIX) uninstall || exit; done
ifeq ($(DESTDIR),)
	ldconfig
endif

# The sources that DKMS builds from.
dkms-source:
	@$(MODULE) dkms-source

# DKMS may fail for another kernel than this one, which needs the rest.
dkms-install:
	@$(MODULE) dkms-check
	@$(MAKE) install-dist
	@$(MODULE) dkms-install

dkms-uninstall: uninstall-dist
	@$(MODULE) dkms-remove

clean:
	rm -rf $(BUILD)
	@if [ -e kmod/morsel.ko ]; then $(MAKE) -C kmod KDIR=$(KDIR) clean; fi

distclean: clean
	rm -rf $${MORSEL_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/morsel}
