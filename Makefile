# SPDX-License-Identifier: GPL-2.0
#
# Morsel: explicit virtual-memory objects for Linux.  `make help` lists what
# can be made.

BUILD := $(CURDIR)/build
KDIR ?= /lib/modules/$(shell uname -r)/build
PREFIX ?= /usr/local
VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"/\1/p' dkms.conf)
ifndef MORSEL_VERSION
MORSEL_VERSION := $(shell tools/version)
endif
export MORSEL_VERSION
USER_PARTS := $(wildcard lib tools/morselctl)
# Many programs, each made by one compiler: several at once, unless make was told how many.
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(shell nproc))

.PHONY: all module user guest-programs help deps quick check check-all check-native check-static \
	check-debug bench bench-alloc plots demo shell install uninstall dkms-source dkms-install clean distclean

all: user $(if $(wildcard $(KDIR)),module)
	$(if $(wildcard $(KDIR)),,@echo "No headers of the running kernel at $(KDIR): the module was not built.")

help:
	@echo "make              module for the running kernel (KDIR=...), library and tools"
	@echo "make demo         a 6.82-GiB model, mapped in microseconds, in a guest"
	@echo "make quick        a few tests, for every commit: 3 minutes"
	@echo "make check        all tests, on kernels 6.1, 6.12 and 7.2 (KERNEL=6.12: one of them): 30 minutes"
	@echo "make check-all    the same with all rounds of each, for the night"
	@echo "make check-debug  all tests in kernels that check everything, which are built first"
	@echo "make check-native the tests that need no guest"
	@echo "make check-static what there is to say of the sources, and the module built for each kernel"
	@echo "make bench        the figures, as a table and build/bench.json"
	@echo "make bench-alloc  those of the frame allocator, natively (PEER=other.so: beside another)"
	@echo "make plots        draw what bench-alloc found, as bench/alloc/plots/*.svg"
	@echo "make shell        a guest to play in (KERNEL=6.12)"
	@echo "make install      module, library and tools on this machine; make uninstall"
	@echo "make dkms-install module by DKMS on this machine"
	@echo "make deps         Debian packages that the above need"
	@echo "make clean        remove build/; make distclean: the cached roots too"

module:
	$(MAKE) -C kmod KDIR=$(KDIR) modules

user:
	@for part in $(USER_PARTS); do $(MAKE) --no-print-directory -C $$part OUT=$(BUILD) || exit; done

guest-programs: user
	@for part in tests tests/frames bench demo; do $(MAKE) --no-print-directory $(PARALLEL) -C $$part OUT=$(BUILD) || exit; done

deps:
	@qemu/deps

check: deps guest-programs
	@qemu/check $(KERNEL)

quick: deps guest-programs
	@qemu/check --quick $(KERNEL)

check-all: deps guest-programs
	@qemu/check --all $(KERNEL)

check-debug: deps guest-programs
	@qemu/check --debug $(KERNEL)

check-native: guest-programs
	@qemu/check --native

check-static: deps
	@qemu/check --static $(KERNEL)

bench: deps guest-programs
	@bench/run $(or $(KERNEL),6.12)

bench-alloc: deps
	@bench/alloc/run $(PEER)

plots: deps
	@bench/alloc/plot

demo:
	@demo/run $(or $(KERNEL),6.12)

shell: deps guest-programs
	@qemu/kmod $(or $(KERNEL),6.12) >/dev/null
	@qemu/run --mem 4G --interactive $(or $(KERNEL),6.12)

install: all
ifneq ($(wildcard $(KDIR)),)
	$(MAKE) -C $(KDIR) M=$(CURDIR)/kmod INSTALL_MOD_PATH=$(DESTDIR) INSTALL_MOD_DIR=updates modules_install
endif
	@for part in $(USER_PARTS); do \
		$(MAKE) --no-print-directory -C $$part OUT=$(BUILD) PREFIX=$(PREFIX) install || exit; done
	$(MAKE) install-dist

# What every installation has, whoever builds the module.
.PHONY: install-dist
install-dist:
	install -D -m 644 dist/70-morsel.rules $(DESTDIR)/usr/lib/udev/rules.d/70-morsel.rules
	rm -f $(DESTDIR)/usr/lib/modules-load.d/morsel.conf # of older versions
	install -D -m 644 dist/morsel-sysusers.conf $(DESTDIR)/usr/lib/sysusers.d/morsel.conf
ifeq ($(DESTDIR),)
	-systemd-sysusers morsel.conf
	-udevadm control --reload
	-depmod
	-ldconfig
endif

uninstall:
	rm -f $(DESTDIR)/lib/modules/*/updates/morsel.ko
	rm -f $(DESTDIR)/usr/lib/udev/rules.d/70-morsel.rules
	rm -f $(DESTDIR)/usr/lib/modules-load.d/morsel.conf $(DESTDIR)/usr/lib/sysusers.d/morsel.conf
	@for part in $(USER_PARTS); do \
		$(MAKE) --no-print-directory -C $$part OUT=$(BUILD) PREFIX=$(PREFIX) uninstall || exit; done
	rm -rf $(DESTDIR)/usr/src/morsel-$(VERSION)
ifeq ($(DESTDIR),)
	-dkms remove morsel/$(VERSION) --all
	-depmod
endif

# The sources that DKMS builds from.
dkms-source:
	mkdir -p $(DESTDIR)/usr/src/morsel-$(VERSION)
	cp -r dkms.conf kmod include $(DESTDIR)/usr/src/morsel-$(VERSION)/
	find $(DESTDIR)/usr/src/morsel-$(VERSION) \( -name '*.o' -o -name '*.ko' -o -name '.*.cmd' \) -delete

dkms-install: dkms-source install-dist
	dkms install --force morsel/$(VERSION)

clean:
	rm -rf $(BUILD)
	@if [ -e kmod/morsel.ko ]; then $(MAKE) -C kmod KDIR=$(KDIR) clean; fi

distclean: clean
	rm -rf $${MORSEL_CACHE:-$${XDG_CACHE_HOME:-$$HOME/.cache}/morsel}
