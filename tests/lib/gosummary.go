// SPDX-License-Identifier: BSD-3-Clause

// Gosummary reads the output of "go test -json" on stdin and prints a line for
// each package, the output of what failed, the reason of what was skipped, and
// last "N passed, N failed, N skipped". A test with subtests is not counted
// beside them, unless it failed and none of them did; a package that failed and
// none of whose tests did (it does not compile, or its process died) is counted
// as one failure.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
)

type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64
}

// A test, or under the name "" the package itself.
type result struct {
	action string
	output strings.Builder
}

// The end of the output, where the reason is. All of it is in the JSON.
func (r *result) tail() string {
	const most = 200
	lines := strings.SplitAfter(r.output.String(), "\n")
	if len(lines) <= most {
		return strings.Join(lines, "")
	}
	return fmt.Sprintf("(%d lines)\n", len(lines)-most) + strings.Join(lines[len(lines)-most:], "")
}

type counts struct{ passed, failed, skipped int }

func main() {
	packages := map[string]map[string]*result{}
	at := func(pkg, test string) *result {
		if packages[pkg] == nil {
			packages[pkg] = map[string]*result{}
		}
		if packages[pkg][test] == nil {
			packages[pkg][test] = &result{}
		}
		return packages[pkg][test]
	}

	var total counts
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(nil, 64<<20)
	for in.Scan() {
		var e event
		if json.Unmarshal(in.Bytes(), &e) != nil {
			fmt.Println(in.Text())
			continue
		}
		switch e.Action {
		case "build-output":
			fmt.Print(e.Output)
		case "run":
			at(e.Package, e.Test)
		case "output":
			at(e.Package, e.Test).output.WriteString(e.Output)
		case "pass", "fail", "skip":
			at(e.Package, e.Test).action = e.Action
			if e.Test == "" {
				c := report(e.Package, packages[e.Package], e.Elapsed)
				total.passed += c.passed
				total.failed += c.failed
				total.skipped += c.skipped
				delete(packages, e.Package)
			}
		}
	}
	if err := in.Err(); err != nil {
		fmt.Println("FAIL: reading the test output:", err)
		total.failed++
	}
	for pkg, tests := range packages {
		fmt.Printf("FAIL %s: ended without a result\n%s", pkg, at(pkg, "").tail())
		c := report(pkg, tests, 0)
		total.passed += c.passed
		total.failed += max(c.failed, 1)
		total.skipped += c.skipped
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", total.passed, total.failed, total.skipped)
	if total.failed > 0 {
		os.Exit(1)
	}
}

func report(pkg string, tests map[string]*result, seconds float64) counts {
	names := make([]string, 0, len(tests))
	for name := range tests {
		if name != "" {
			names = append(names, name)
		}
	}
	sort.Strings(names)

	parents := map[string]bool{}     // have subtests
	failedBelow := map[string]bool{} // have a subtest that failed
	for _, name := range names {
		for i, r := range name {
			if r == '/' {
				parents[name[:i]] = true
				if failed(tests[name]) {
					failedBelow[name[:i]] = true
				}
			}
		}
	}

	var c counts
	for _, name := range names {
		t := tests[name]
		switch {
		case failed(t) && !failedBelow[name]:
			c.failed++
			fmt.Printf("FAIL %s %s\n%s", pkg, name, t.tail())
		case failed(t):
			fmt.Print(t.tail())
		case parents[name]:
		case t.action == "skip":
			c.skipped++
			fmt.Printf("SKIPPED %s %s\n%s", pkg, name, t.tail())
		default:
			c.passed++
		}
	}

	p := tests[""]
	if p != nil && p.action == "fail" && c.failed == 0 {
		c.failed++
		fmt.Printf("FAIL %s\n%s", pkg, p.tail())
	}
	if len(names) > 0 || c.failed > 0 {
		fmt.Printf("%-60s %d passed, %d failed, %d skipped (%.1f s)\n", pkg, c.passed, c.failed, c.skipped, seconds)
	}
	return c
}

// A test that began and has no result died with its process.
func failed(r *result) bool {
	return r.action == "fail" || r.action == ""
}
