# Everything a developer runs. All of it needs Go 1.26 and a C compiler (DuckDB, which the
# tests and cvreport link, is C++); make check also needs node with npm, Chromium and
# systemd-analyze. Everything else is pinned and downloaded when it is needed.

FUZZTIME ?= 30s
# How often make faults kills a run.
KILLS ?= 400
BENCHCOUNT ?= 6
# The tag or commit of the checkout. A release build sets it.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
# Google's storage client brings gRPC's load balancers, for a protocol that is not used:
# 14 MB of the program, and a sixth of what is compiled.
export GOFLAGS += -tags=disable_grpc_modules,grpcnotrace
LDFLAGS = -s -w -X main.version=$(VERSION)
STATICCHECK = go tool -modfile="$(CURDIR)/tools/go.mod" staticcheck
CYCLONEDX = go tool -modfile=tools/go.mod cyclonedx-gomod
BENCHSTAT = go tool -modfile=tools/go.mod benchstat

.PHONY: help build test check docs prose lint sql deploy readers report long faults sbom fuzz bench bench-queries demo chartist clean cc chromium

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 15

build: cc ## build bin/cvexport (static) and bin/cvreport (with DuckDB inside)
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/cvexport ./cmd/cvexport
	CGO_ENABLED=1 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/cvreport ./cmd/cvreport

# -vet=off: lint does it. -ldflags=-s: a program with DuckDB is linked in half the time
# without its symbols, and stacks still have their lines. The timeouts are for tests that hang; none is near one.
test: cc ## the short tests with the race detector: minutes, with Go and a C compiler alone
	CGO_ENABLED=1 go test -short -race -vet=off -ldflags=-s -timeout 1h ./...

# Two at a time, as each leaves a processor idle now and then. The longest come first. promtool
# is there before: two apt-get would fight for a lock.
check: bin/promtool ## what else has to pass: lint, the SQL, the files of deploy/, other readers, the report in a browser, the long tests
	$(MAKE) -j 2 sql lint deploy readers docs prose
	$(MAKE) -j 2 long report

docs: cc ## the README and docs/: links, what is generated, and every command in them, against the simulated service
	cd check && go vet ./docs && go test -vet=off -count=1 -timeout 1h ./docs

# Debian's packages codespell and proselint. What codespell is told to take are names and
# terms; proselint has opinions on typography, which tools/prose turns off.
prose: ## spelling, and the style of the pages
	@{ command -v codespell && command -v proselint; } >/dev/null || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -q && apt-get install -qy --no-install-recommends codespell python3-proselint; } \
		|| { echo "codespell and proselint are needed (Debian: apt-get install codespell python3-proselint)"; exit 1; }
	codespell -L nd,tage,aks,iterration,aadd $$(git ls-files '*.go' '*.md' '*.sql' '*.txtar' '*.js' '*.html' '*.css' '*.yaml' Makefile ':!*chartist*')
	@failed=0; for page in $$(git ls-files '*.md'); do XDG_CONFIG_HOME="$(CURDIR)/tools/prose" proselint $$page || failed=1; done; exit $$failed

lint: cc ## gofmt, vet, staticcheck, go.sum, and the types on other systems
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go mod verify
	go vet ./...
	$(STATICCHECK) ./...
	CGO_ENABLED=0 go build -o /dev/null ./cmd/cvexport
	cd tools && go run ./systems ../cmd/cvexport darwin windows
	cd check && go mod verify

# -count=1 in the module check: go test's cache does not notice that a file outside of the
# module has changed.
sql: cc ## the SQL for BigQuery, with Google's own analyzer, which takes minutes to compile the first time, and reference implementation
	cd check && go vet ./sql && go test -vet=off -ldflags=-s -count=1 -timeout 1h ./sql

deploy: bin/promtool ## the files of deploy/, with the parsers of the programs that read them (systemd-analyze is in Debian's package systemd, promtool in prometheus)
	cd check && go vet ./deploy && go test -vet=off -ldflags=-s -count=1 -timeout 1h ./deploy

# Not installed: the package would start a server. The program alone is all that is needed.
bin/promtool:
	@mkdir -p bin
	@if command -v promtool >/dev/null; then ln -sf "$$(command -v promtool)" $@; else \
		{ test "$$(id -u)" != 0 || apt-get update -q; } && cd bin && apt-get download -q prometheus && \
		dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool > promtool.new && chmod +x promtool.new && mv promtool.new promtool && rm prometheus_*.deb; fi \
		|| { echo "promtool is needed (Debian: apt-get install prometheus)"; exit 1; }

readers: cc ## the tables, with Polars and DataFusion (npm) and DuckDB, as docs/how-to/reading.md says, and while an export runs
	cd check && go vet ./readers && go test -vet=off -count=1 -timeout 1h ./readers

report: cc chromium ## the pages of cvreport html and serve, in Chromium, with axe-core (npm) and a large project
	cd check && go vet ./page && go test -vet=off -ldflags=-s -count=1 -timeout 1h ./page

# Without the race detector, under which some would take ten times as long.
long: cc ## all tests of cvexport, the long ones too: Azurite (npm), killed runs, scarce machines, long comparisons
	CGO_ENABLED=1 go test -vet=off -ldflags=-s -timeout 1h ./...

# Every fault, where the other tests inject a part of them. The lines of FIGURES say what
# was done. Takes three hours, most of it fuzzing.
faults: FUZZTIME = 10m
faults: cc sbom ## the long form of the fault tests, and every fuzz target for 10 minutes; KILLS and FUZZTIME shorten it
	cd tools && go mod verify && go test ./...
	cd check && $(STATICCHECK) ./...
	mkdir -p bin
	CVEXPORT_FAULTS=long CVEXPORT_KILLS=$(KILLS) go test -count=1 -timeout 2h -v -p 1 ./extract ./load/... ./jobs ./cmd/cvexport ./internal/analysis/viewtest \
		-run 'EveryStep|SuspectsRanking|EveryRequest|EveryFault|TestStore|TestFaults|Changing|Hostile|OddButRight|Certificate|Kill|OthersRead|Scarce|OutOfMemory|DiskFills|FullDisk|Unwritable|Secrets|AtOnce|Interrupt|Signals' \
		> bin/faults.txt 2>&1 || { grep -vE '^=== |--- PASS' bin/faults.txt; exit 1; }
	@grep -hoE 'FIGURES: .*' bin/faults.txt
	$(MAKE) fuzz FUZZTIME=$(FUZZTIME) > bin/fuzz.txt 2>&1 || { tail -40 bin/fuzz.txt; exit 1; }
	@awk '/^Fuzz/ { if (f) print "FIGURES: " f ": " n " inputs"; f = $$0 } /execs:/ { sub(/.*execs: /, ""); n = $$1 } END { print "FIGURES: " f ": " n " inputs" }' bin/fuzz.txt

sbom: build ## the modules inside the programs, as bin/*.cdx.json (CycloneDX), and their licences, as bin/licences.txt
	@for program in cvexport cvreport; do \
		$(CYCLONEDX) bin -json -licenses -noserial -version "$(VERSION)" -output bin/$$program.cdx.json bin/$$program 2> bin/sbom.log || { cat bin/sbom.log; exit 1; }; done
	cd tools && go run ./licences ../bin/cvexport.cdx.json ../bin/cvreport.cdx.json > ../bin/licences.txt

fuzz: cc ## every fuzz target for FUZZTIME each
	@grep -roE '^func Fuzz[A-Za-z]+' --include='*_test.go' --exclude-dir=check . | sort | while IFS=: read -r file f; do \
		f=$${f#func }; dir=$$(dirname $$file); echo "$$f in $$dir"; \
		go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s $$dir || exit 1; done

bench: cc chromium ## cvexport against DuckDB and Polars on the same pages (bench/results.md), and the parts by themselves; run nothing else meanwhile
	mkdir -p bin
	go build -o bin/bench ./bench && bin/bench -runs $(BENCHCOUNT)
	go test -run '^$$' -bench . -benchmem -count $(BENCHCOUNT) ./transform ./load ./jobs | tee bin/bench.txt
	$(BENCHSTAT) bin/bench.txt
	cd check && go test -run '^$$' -bench . -benchtime 1x -timeout 1h ./page # the report of a large project
	go test -run '^$$' -bench Evaluation -benchtime 1x -timeout 3h ./internal/analysis/viewtest # the views, once: 30 million predictions take half an hour

# ITERATIONS=20,200,2000,20000 measures the largest archive too, which takes half an hour.
ITERATIONS ?= 20,200,2000
bench-queries: cc ## what questions cost over archives of many iterations, beside DuckDB on native tables (bench/queries.md)
	mkdir -p bin
	go build -o bin/bench ./bench && bin/bench queries -iterations $(ITERATIONS) -runs $(BENCHCOUNT)

demo: build ## the tour: simulate a service, export it to ./warehouse, query it, write report.html
	bin/cvexport demo

# The chart library is one file, which the report embeds, and its licence. make report
# compares both with the package that check/package-lock.json pins.
chartist: ## copy the chart library of the report from npm again
	cd check && npm ci --no-audit --no-fund --ignore-scripts
	cp check/node_modules/chartist/dist/index.umd.js internal/analysis/report/assets/chartist.umd.js
	cp check/node_modules/chartist/LICENSE-MIT internal/analysis/report/assets/chartist.LICENSE

clean: ## remove what was built, and the demo's warehouse and report
	rm -rf bin warehouse report.html

cc:
	@command -v $${CC:-cc} >/dev/null || { echo "a C compiler is needed (Debian: apt-get install gcc g++ make)"; exit 1; }

# Debian keeps only the newest version of its browser, so none is pinned.
chromium:
	@test -x /usr/bin/chromium || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -q && apt-get install -qy --no-install-recommends chromium; } \
		|| { echo "Chromium is needed as /usr/bin/chromium (Debian: apt-get install chromium)"; exit 1; }
