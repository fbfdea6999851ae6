# SPDX-License-Identifier: BSD-3-Clause
#
#   make            the plugin, the engine's library and the program zeek-zeromq
#   make install    the plugin into Zeek's plugin folder, the program into PREFIX/bin,
#                   its manual page and shells' completions into PREFIX/share
#   make test       all tests; PARTS="style go btest", say, selects some
#   make demo       a cluster on this machine, with a table of what it did
#   make bench      the benchmarks; BENCH="--quick one logs", say, runs some of them, shorter
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
program := build/bin/zeek-zeromq

# ---- What the program says of itself ----

manual := build/man/zeek-zeromq.1
completions := build/completions/bash build/completions/zsh build/completions/fish

$(manual): $(program)
	@mkdir -p $(@D)
	@$(program) man >$@.new && mv -f $@.new $@

$(completions): $(program)
	@mkdir -p $(@D)
	@$(program) completion $(@F) >$@.new && mv -f $@.new $@

DATADIR := $(patsubst %/,%,$(dir $(BINDIR)))/share
man_file := $(DATADIR)/man/man1/zeek-zeromq.1
bash_file := $(DATADIR)/bash-completion/completions/zeek-zeromq
zsh_file := $(DATADIR)/zsh/site-functions/_zeek-zeromq
fish_file := $(DATADIR)/fish/vendor_completions.d/zeek-zeromq.fish

# ---- Goals ----

.PHONY: all engine plugin test demo bench install uninstall format clean distclean help FORCE

all: $(engine) $(program) $(manual) $(completions) $(if $(ZEEK_CONFIG),plugin)

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
	@tests/bench/run $(BENCH)

install: all
ifneq ($(ZEEK_CONFIG),)
	@$(MAKE) --no-print-directory -C build install
endif
	install -d "$(DESTDIR)$(BINDIR)"
	install -m 755 $(program) "$(DESTDIR)$(BINDIR)"
	install -D -m 644 $(manual) "$(DESTDIR)$(man_file)"
	install -D -m 644 build/completions/bash "$(DESTDIR)$(bash_file)"
	install -D -m 644 build/completions/zsh "$(DESTDIR)$(zsh_file)"
	install -D -m 644 build/completions/fish "$(DESTDIR)$(fish_file)"

uninstall:
ifneq ($(ZEEK_CONFIG),)
	rm -rf "$(DESTDIR)$(ZEEK_INSTALL_ROOT)/Zeek_ZeroMQ_Go"
endif
	rm -f "$(DESTDIR)$(BINDIR)/zeek-zeromq" "$(DESTDIR)$(man_file)" "$(DESTDIR)$(bash_file)" "$(DESTDIR)$(zsh_file)" "$(DESTDIR)$(fish_file)"

format:
	gofmt -w go tests
	clang-format -i $$(find cshim plugin tests go ! -path "*/.tmp/*" \( -name '*.c' -o -name '*.h' -o -name '*.cc' \) -type f)

clean:
	@test ! -f build/Makefile || $(MAKE) --no-print-directory -C build clean
	rm -rf build/bench build/bin build/completions build/demo build/dist build/go build/lib/libzeekzmq.so build/man \
	    build/test build/Zeek_ZeroMQ_Go.tgz tests/abi/build

distclean:
	rm -rf build tests/abi/build tests/btest/.tmp

help:
	@sed -n '3,/^$$/s/^#  *//p' $(firstword $(MAKEFILE_LIST))
