// SPDX-License-Identifier: BSD-3-Clause

// The program behind "make bench": measures this backend against another way to
// do the same, both in turn on the same machine. ../README.md says what and how.
//
// The main goroutine starts processes, makes them go step by step, and reads
// their clocks and memory in /proc between steps. One goroutine for each process
// reads what it prints.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"strings"
	"syscall"
	"time"
)

var (
	flagZeek    = flag.String("zeek", "", "Zeek's program; without it, only what needs no Zeek is measured")
	flagPath    = flag.String("zeekpath", "", "ZEEKPATH of that Zeek")
	flagWhyNot  = flag.String("why-no-zeek", "", "why there is no Zeek")
	flagBuild   = flag.String("build", "", "the plugin's folder")
	flagLoad    = flag.String("load", "", "the program made of load.c")
	flagScripts = flag.String("scripts", "", "the folder of the Zeek scripts")
	flagOut     = flag.String("out", "", "folder for results.json, table.md and plot.svg")
	flagVersion = flag.String("version", "", "this project's version")
	flagPairs   = flag.Int("pairs", 5, "runs of each side of a measure")
	flagQuick   = flag.Bool("quick", false, "two pairs of shorter runs")
	flagTiny    = flag.Bool("tiny", false, "one pair of tiny runs, to test the benchmarks themselves")
	flagKeep    = flag.Bool("keep", false, "keep the folders of all processes in build/bench/work")
	flagOnly    = flag.String("only", "", "measure only this side, to profile it")
	flagDocs    = flag.String("docs", "", "put the table into this file, between its two marks, and the plot beside it")
	flagList    = flag.Bool("list", false, "name the measures")
)

func main() {
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "tests/bench/run [OPTION...] [MEASURE...]; options:")
		flag.PrintDefaults()
		fmt.Fprintln(flag.CommandLine.Output(), "measures:")
		listMeasures(flag.CommandLine.Output())
	}
	flag.Parse()
	if *flagList {
		listMeasures(os.Stdout)
		return
	}
	if err := run(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "make bench:", err)
		os.Exit(1)
	}
}

func run(names []string) error {
	wanted, err := selectMeasures(names)
	if err != nil {
		return err
	}
	if *flagPairs < 1 {
		return fmt.Errorf("-pairs %d: must be at least 1", *flagPairs)
	}
	b := &bench{pairs: *flagPairs, scale: 1, zeek: *flagZeek}
	switch {
	case *flagTiny:
		b.pairs, b.scale = 1, 0.01
	case *flagQuick:
		b.pairs, b.scale = 2, 0.5
	}
	b.work = filepath.Join(*flagOut, "work")
	if err := os.RemoveAll(b.work); err != nil {
		return err
	}
	if err := os.MkdirAll(b.work, 0o777); err != nil {
		return err
	}
	if !*flagKeep {
		defer os.RemoveAll(b.work)
	}

	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	b.ctx = ctx

	r := &results{Facts: machineFacts(b), Started: time.Now()}
	for _, m := range wanted {
		r.Measures = append(r.Measures, b.measure(m))
		if ctx.Err() != nil {
			return fmt.Errorf("interrupted")
		}
	}
	r.Seconds = time.Since(r.Started).Seconds()
	r.Facts.LoadAfter = loadAverage()

	fmt.Print(r.table(false))
	if err := r.write(*flagOut); err != nil {
		return err
	}
	if *flagDocs != "" {
		if err := r.document(*flagDocs); err != nil {
			return err
		}
	}
	fmt.Printf("\n%.0f s; also in %s: results.json, table.md, plot.svg\n", r.Seconds, *flagOut)
	if failed := r.failed(); len(failed) > 0 {
		return fmt.Errorf("no result for: %s", strings.Join(failed, ", "))
	}
	return nil
}

func listMeasures(w interface{ Write([]byte) (int, error) }) {
	for _, m := range measures {
		fmt.Fprintf(w, "  %-14s %s\n", m.name, m.what)
	}
}

func selectMeasures(names []string) ([]*measure, error) {
	if len(names) == 0 {
		return measures, nil
	}
	wanted := map[string]bool{}
	for _, n := range names {
		found := false
		for _, m := range measures {
			found = found || m.name == n
		}
		if !found {
			return nil, fmt.Errorf("no measure %q; -list names them", n)
		}
		wanted[n] = true
	}
	var list []*measure
	for _, m := range measures {
		if wanted[m.name] {
			list = append(list, m)
		}
	}
	return list, nil
}

// bench is what all measures share.
type bench struct {
	ctx   context.Context
	pairs int
	scale float64
	zeek  string
	work  string
	runs  int
}

// scaled is a count cut down for quick and tiny runs, a multiple of 100.
func (b *bench) scaled(n int) int {
	return max(100, int(float64(n)*b.scale)/100*100)
}

// numbers are what one run of one side gave, by metric.
type numbers map[string]float64

// measure runs both sides in turn.
func (b *bench) measure(m *measure) *measured {
	r := &measured{Name: m.name, What: m.what, Sides: m.sides}
	if m.needsZeek && b.zeek == "" {
		r.NotRun = "needs Zeek: " + *flagWhyNot
		fmt.Fprintf(os.Stderr, "%-14s not run: %s\n", m.name, r.NotRun)
		return r
	}
	start := time.Now()
	pairs := b.pairs
	if m.pairs > 0 {
		pairs = min(pairs, m.pairs)
	}
	samples := map[string]*[2][]float64{}
	for i := 0; i < pairs && b.ctx.Err() == nil; i++ {
		var pair [2]numbers
		var err error
		for j, side := range m.sides {
			if *flagOnly != "" && side != *flagOnly {
				continue
			}
			// Ours is the last, also where there is no other.
			if pair[j+2-len(m.sides)], err = m.run(b, side); err != nil {
				r.Invalid = append(r.Invalid, fmt.Sprintf("pair %d, %s: %v", i+1, side, err))
				fmt.Fprintf(os.Stderr, "%-14s INVALID: %s\n", m.name, r.Invalid[len(r.Invalid)-1])
				break
			}
		}
		if err != nil {
			continue // half a pair says nothing
		}
		for side := range pair {
			for name, v := range pair[side] {
				if samples[name] == nil {
					samples[name] = &[2][]float64{}
				}
				samples[name][side] = append(samples[name][side], v)
			}
		}
	}
	for _, x := range m.metrics {
		if s := samples[x.name]; s != nil {
			r.Metrics = append(r.Metrics, newMetric(x, s[0], s[1]))
			delete(samples, x.name)
		}
	}
	var stray []string
	for name := range samples {
		stray = append(stray, name)
	}
	if sort.Strings(stray); len(stray) > 0 {
		panic(fmt.Sprintf("measure %s gives undeclared %v", m.name, stray))
	}
	r.Seconds = time.Since(start).Seconds()
	fmt.Fprintf(os.Stderr, "%-14s %d pairs, %.0f s\n", m.name, pairs-len(r.Invalid), r.Seconds)
	return r
}
