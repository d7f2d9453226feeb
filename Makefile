# The door. Each target does its own set-up and is quick when nothing is missing. CMake does the building; see CONTRIBUTING.md.

JOBS ?= $(shell nproc)
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help run build test torture setup-torture bench bench-growth setup-bench analyse fuzz format format-check install clean setup-build

help:
	@echo 'make run           install what is missing, build, start the server (ARGS="--data DIR ..." are its options)'
	@echo 'make build         build/stator, optimised'
	@echo 'make test          everything: unit and integration tests in three builds, fuzz corpora, static analysis, the example'
	@echo 'make bench         compare with nginx, redis, memcached, RocksDB and other DynamoDBs on this machine: 10 minutes; docs/PERFORMANCE.md'
	@echo 'make bench-growth  cost over items, tables, connections and sizes, and the tail of latencies: 15 to 20 minutes'
	@echo 'make torture       crashes, power losses, failing disks, damage, histories: hours; ARGS="--list", see docs/RELIABILITY.md'
	@echo 'make analyse       gcc -fanalyzer, clang-tidy and cppcheck over every C file: 25 minutes of processor time; make test has a short form'
	@echo 'make fuzz          each parser for 30 s (TIME=...); scripts/fuzz --coverage tells what the corpora reach'
	@echo 'make install       into PREFIX (/usr/local); DESTDIR is honoured'
	@echo 'make format        clang-format every C file; format-check only looks'
	@echo 'make clean         remove build/'

setup-build:
	@scripts/setup build

build: setup-build
	@[ -f build/release/build.ninja ] || cmake --preset release -DSTATOR_TESTS=OFF >build/configure-release.log || { cat build/configure-release.log; exit 1; }
	@cmake --build build/release --target stator -- -j $(JOBS) --quiet

run: build
	@exec build/stator serve $(ARGS)

test:
	@scripts/test

setup-bench: build
	@scripts/setup bench
	@cmake --build build/release --target rocksdb_batch -- --quiet

bench: setup-bench
	@tests/bench/compare --write --check $(ARGS)

bench-growth: setup-bench
	@tests/bench/growth --write $(ARGS)

setup-torture:
	@scripts/setup test
	@for preset in release asan tsan; do \
		cmake --preset $$preset -DSTATOR_TESTS=ON >build/configure-$$preset.log || { cat build/configure-$$preset.log; exit 1; }; \
		cmake --build build/$$preset --target stator engine_crash -- -j $(JOBS) --quiet || exit 1; \
	done
	@cmake --build build/release --target rocksdb_batch -- --quiet

torture: $(if $(findstring --list,$(ARGS)),,setup-torture)
	@tests/torture/run $(ARGS)

analyse:
	@scripts/setup test
	@scripts/analyse $(ARGS)

fuzz:
	@scripts/fuzz $(ARGS)

PREFIX ?= /usr/local
install: build
	@cmake --install build/release --prefix $(PREFIX)

C_FILES = $(shell git ls-files 'src/*.c' 'src/*.h' 'tests/*.c' 'tests/*.h')
format:
	@clang-format -i $(C_FILES)

format-check:
	@for f in $(C_FILES); do clang-format $$f | cmp -s - $$f || { echo "$$f: make format"; bad=1; }; done; [ -z "$$bad" ]

clean:
	rm -rf build
