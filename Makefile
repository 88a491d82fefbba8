# Everything a developer runs. Go 1.26, a C compiler (DuckDB, which the tests and
# cvreport have inside, is C++) and, for the tests, node with npm are needed;
# everything else comes by name, pinned.

FUZZTIME ?= 30s
# Of make faults: how often a run is killed.
KILLS ?= 400
BENCHCOUNT ?= 6
# Of a checkout: its tag, or its commit. A build of a release sets it.
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null)
# Google's storage client comes with gRPC's load balancers, for a protocol that is not
# used: 14 MB of the program, and a sixth of all that is compiled.
export GOFLAGS += -tags=disable_grpc_modules,grpcnotrace
LDFLAGS = -s -w -X main.version=$(VERSION)
STATICCHECK = go tool -modfile="$(CURDIR)/tools/go.mod" staticcheck
CYCLONEDX = go tool -modfile=tools/go.mod cyclonedx-gomod
BENCHSTAT = go tool -modfile=tools/go.mod benchstat

.PHONY: help build test lint deploy sql report race faults fuzz sbom bench demo chartist clean cc chromium

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 10

build: cc ## build bin/cvexport (static) and bin/cvreport (with DuckDB inside)
	CGO_ENABLED=0 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/cvexport ./cmd/cvexport
	CGO_ENABLED=1 go build -trimpath -ldflags "$(LDFLAGS)" -o bin/cvreport ./cmd/cvreport

# Two at a time, as each leaves a processor idle now and then. The longest come first.
test: cc chromium ## what has to pass: lint, the files of deploy/, the SQL, the report in a browser, all tests with the race detector
	$(MAKE) -j 2 sql lint deploy
	$(MAKE) -j 2 race report

lint: cc ## gofmt, vet, staticcheck, go.sum, and whether the types are right on other systems
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt would change:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	go mod verify
	go vet ./...
	$(STATICCHECK) ./...
	CGO_ENABLED=0 go build -o /dev/null ./cmd/cvexport
	cd tools && go run ./systems ../cmd/cvexport darwin windows

# -count=1: go test's cache does not see that a file outside of the module has changed.
deploy: ## the files of deploy/, by the parsers of what reads them (systemd-analyze is Debian's package systemd)
	cd deploy/check && go mod verify && go vet ./... && go test -count=1 ./...

sql: ## the SQL for BigQuery, by Google's own analyzer of it, which takes minutes to compile the first time
	cd schema/check && go mod verify && go vet ./... && go test -count=1 ./...

report: cc chromium ## the pages of cvreport html and serve, in Chromium, with axe-core (npm) and a large project
	cd cmd/cvreport/check && go mod verify && go vet ./... && go test -count=1 -timeout 15m ./...

# Without the race detector: what looks at memory, and what compares much with what
# one goroutine computes. -vet=off: lint has done it.
ALONE = ^(TestSoak|TestEvaluation.*|TestFolderOfPictures)$$

race: cc
	CGO_ENABLED=1 go test -race -vet=off -p 3 -timeout 15m -skip '$(ALONE)' ./...
	CGO_ENABLED=1 go test -vet=off -run '$(ALONE)' ./jobs ./internal/analysis/viewtest ./internal/analysis/report

# Every fault, where the normal tests try a part of them. What was done is in the
# lines of FIGURES. Takes three hours, most of it fuzzing.
faults: FUZZTIME = 10m
faults: cc sbom ## the long form of the tests of faults, and every fuzz target for 10 minutes; KILLS and FUZZTIME shorten it
	cd tools && go mod verify && go test ./...
	for module in deploy/check schema/check cmd/cvreport/check; do (cd $$module && $(STATICCHECK) ./...) || exit 1; done
	mkdir -p bin
	CVEXPORT_FAULTS=long CVEXPORT_KILLS=$(KILLS) go test -count=1 -timeout 2h -v -p 1 ./extract ./load ./jobs ./cmd/cvexport \
		-run 'EveryStep|EveryRequest|TestAzureStore|TestFaults|Changing|Hostile|OddButRight|Certificate|Kill|OthersRead|Scarce|OutOfMemory|DiskFills|FullDisk|Unwritable|Secrets|AtOnce|Interrupt|Signals' \
		> bin/faults.txt 2>&1 || { grep -vE '^=== |--- PASS' bin/faults.txt; exit 1; }
	@grep -hoE 'FIGURES: .*' bin/faults.txt
	$(MAKE) fuzz FUZZTIME=$(FUZZTIME) > bin/fuzz.txt 2>&1 || { tail -40 bin/fuzz.txt; exit 1; }
	@awk '/^Fuzz/ { if (f) print "FIGURES: " f ": " n " inputs"; f = $$0 } /execs:/ { sub(/.*execs: /, ""); n = $$1 } END { print "FIGURES: " f ": " n " inputs" }' bin/fuzz.txt

sbom: build ## what is inside of the programs, as bin/*.cdx.json (CycloneDX), and the licences, as bin/licences.txt
	@for program in cvexport cvreport; do \
		$(CYCLONEDX) bin -json -licenses -noserial -version "$(VERSION)" -output bin/$$program.cdx.json bin/$$program 2> bin/sbom.log || { cat bin/sbom.log; exit 1; }; done
	cd tools && go run ./licences ../bin/cvexport.cdx.json ../bin/cvreport.cdx.json > ../bin/licences.txt

fuzz: cc ## every fuzz target for FUZZTIME each
	@grep -roE '^func Fuzz[A-Za-z]+' --include='*_test.go' . | sort | while IFS=: read -r file f; do \
		f=$${f#func }; dir=$$(dirname $$file); echo "$$f in $$dir"; \
		go test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 2s $$dir || exit 1; done

bench: cc ## cvexport against DuckDB and Polars on the same pages (bench/results.md), and the parts by themselves; nothing else should run meanwhile
	mkdir -p bin
	go build -o bin/bench ./bench && bin/bench -runs $(BENCHCOUNT)
	go test -run '^$$' -bench . -benchmem -count $(BENCHCOUNT) ./transform ./load ./jobs | tee bin/bench.txt
	$(BENCHSTAT) bin/bench.txt
	go test -run '^$$' -bench Evaluation -benchtime 1x -timeout 3h ./internal/analysis/viewtest # the views, once: 30 million predictions take half an hour

demo: build ## the tour: simulate a service, export it to ./warehouse, query it, write report.html
	bin/cvexport demo

# The one file of the chart library, and its licence, as the package of npm has them
# that package-lock.json pins. A test compares them.
chartist: ## bring the chart library of the report from npm again
	cd cmd/cvreport/check && npm ci --no-audit --no-fund --ignore-scripts
	cp cmd/cvreport/check/node_modules/chartist/dist/index.umd.js internal/analysis/report/assets/chartist.umd.js
	cp cmd/cvreport/check/node_modules/chartist/LICENSE-MIT internal/analysis/report/assets/chartist.LICENSE

clean: ## remove what was built, and the demo's warehouse and report
	rm -rf bin warehouse report.html

cc:
	@command -v $${CC:-cc} >/dev/null || { echo "a C compiler is needed (Debian: apt-get install gcc g++ make)"; exit 1; }

# Debian keeps only the newest version of its browser, so none is pinned.
chromium:
	@test -x /usr/bin/chromium || { test "$$(id -u)" = 0 && command -v apt-get >/dev/null && apt-get update -q && apt-get install -qy --no-install-recommends chromium; } \
		|| { echo "Chromium is needed as /usr/bin/chromium (Debian: apt-get install chromium)"; exit 1; }
