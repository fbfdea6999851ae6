# SPDX-License-Identifier: BSD-3-Clause
#
#   make            the plugin, the engine's library and the program zeek-zeromq
#   make install    the plugin into Zeek's plugin folder, the program into PREFIX/bin
#   make test       all tests; PARTS="style go btest", say, selects some
#   make demo       a cluster on this machine, with a table of what it did
#   make bench      the benchmarks
#   make format     gofmt and clang-format over everything
#   make clean      removes what was built; distclean: the configuration too
#
# Runs ./configure with its defaults if that was not done before. All that is
# made is in build/, which is also the plugin's folder: lib/, scripts/, and
# Zeek_ZeroMQ_Go.tgz, the tarball.

SHELL := /bin/sh
MAKEFLAGS += --no-builtin-rules
.SUFFIXES:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := all

TOP := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))

# ---- Configuration ----

unconfigured_goals := clean distclean format help
ifneq ($(filter-out $(unconfigured_goals),$(or $(MAKECMDGOALS),all)),)
include build/config.mk
endif

# Unless --with-zeek or --without-zeek decided: another Zeek on PATH or in
# ZEEK_ROOT, or one that is gone, means to run ./configure again. A PATH without
# Zeek does not: "sudo make install" often has one.
ifneq ($(filter auto root,$(ZEEK_WANTED)),)
zeek_now := $(if $(ZEEK_ROOT),$(ZEEK_ROOT)/bin/zeek-config,$(if $(filter auto,$(ZEEK_WANTED)),$(shell command -v zeek-config)))
ifneq ($(or $(zeek_now),$(wildcard $(ZEEK_CONFIG))),$(ZEEK_CONFIG))
build/configured: FORCE
endif
endif

build/configured: configure VERSION go/go.mod
	@if [ -x build/config.status ]; then build/config.status; else ./configure; fi

build/config.mk: build/configured
	@test -f $@

# ---- The Go side ----

# Everything in go/ that can end up in a program, and the folders, for files
# that are new or gone.
go_inputs := $(shell find go \( -name testdata -prune \) -o \( -type d -o -type f ! -name '*_test.go' ! -name '*.md' \) -print)
go_build := cd go && CGO_ENABLED=1 GOFLAGS="-buildvcs=false $$GOFLAGS" "$(GO)" build -trimpath
go_version := -X main.version=$(VERSION)

# Only zeekzmq_* leaves the library: Zeek's process must not see, nor override,
# any other symbol. The header that Go writes beside it stays in build/go.
build/lib/libzeekzmq.so: $(go_inputs) build/config.mk
	@mkdir -p build/go build/lib
	@echo "Building $@"
	@$(go_build) -buildmode=c-shared -o "$(TOP)/build/go/libzeekzmq.so" \
	    -ldflags "$(go_version) -extldflags=-Wl,--version-script=$(TOP)/go/cmd/libzeekzmq/exports.map" ./cmd/libzeekzmq
	@cp build/go/libzeekzmq.so $@.new && mv -f $@.new $@

build/bin/zeek-zeromq: $(go_inputs) build/config.mk
	@mkdir -p build/bin
	@echo "Building $@"
	@$(go_build) -o "$(TOP)/$@" -ldflags "$(go_version)" ./cmd/zeek-zeromq
	@touch $@

engine := build/lib/libzeekzmq.so
program := $(if $(wildcard go/cmd/zeek-zeromq/*.go),build/bin/zeek-zeromq)

# ---- Goals ----

.PHONY: all engine plugin test demo bench install uninstall format clean distclean help FORCE

all: $(engine) $(program) $(if $(ZEEK_CONFIG),plugin)

engine: $(engine)

# CMake knows what is out of date in the plugin.
plugin: $(engine)
	+@case " $$MAKEFLAGS" in *" -j"*) jobs= ;; *) jobs="-j$$(nproc)" ;; esac; \
	    $(MAKE) --no-print-directory $$jobs -C build

test: all
	@tests/run $(PARTS)

demo: all
	@tests/demo/run

bench: all
	@if [ -x tests/bench/run ]; then tests/bench/run; else echo "make bench: there are no benchmarks (no tests/bench/run)"; fi

install: all
ifneq ($(ZEEK_CONFIG),)
	@$(MAKE) --no-print-directory -C build install
endif
ifneq ($(program),)
	install -d "$(DESTDIR)$(BINDIR)"
	install -m 755 $(program) "$(DESTDIR)$(BINDIR)"
endif
ifeq ($(ZEEK_CONFIG)$(program),)
	@echo "Nothing to install: no Zeek was found, and it is the plugin that is installed"
endif

uninstall:
ifneq ($(ZEEK_CONFIG),)
	rm -rf "$(DESTDIR)$(ZEEK_INSTALL_ROOT)/Zeek_ZeroMQ_Go"
endif
	rm -f "$(DESTDIR)$(BINDIR)/zeek-zeromq"

format:
	gofmt -w go tests
	clang-format -i $$(find cshim plugin tests go ! -path "*/.tmp/*" \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -type f)

clean:
	@test ! -f build/Makefile || $(MAKE) --no-print-directory -C build clean
	rm -rf build/bin build/go build/lib/libzeekzmq.so build/dist build/test build/Zeek_ZeroMQ_Go.tgz

distclean:
	rm -rf build tests/abi/build tests/btest/.tmp

help:
	@sed -n '3,/^$$/s/^#  *//p' $(firstword $(MAKEFILE_LIST))
