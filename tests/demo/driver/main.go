// SPDX-License-Identifier: BSD-3-Clause

// The demo starts a cluster on this machine, lets it work, and checks that
// nothing got lost on the way. See ../README.md; ../run builds and runs it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

var (
	flagZeek    = flag.String("zeek", "", "the program zeek; empty: nodes without Zeek")
	flagPath    = flag.String("zeekpath", "", "ZEEKPATH of that Zeek")
	flagBuild   = flag.String("build", "build", "where the plugin and the engine are")
	flagScripts = flag.String("scripts", "zeek", "where the demo's Zeek scripts are")
	flagNode    = flag.String("node", "", "the program for nodes without Zeek")
	flagWhy     = flag.String("why", "", "why there is no Zeek")
	flagVersion = flag.String("version", "", "versions to tell in the first line")
	flagOnly    = flag.String("captures", "", "only write the captures, into this folder")
)

// For tests, and for looking around.
var (
	// kill is a node to kill in the middle of it.
	kill = os.Getenv("DEMO_KILL")
	// drop says to leave out one row of the loggers in the comparison.
	drop = os.Getenv("DEMO_DROP") != ""
	// keep says to leave the work folder.
	keep = os.Getenv("DEMO_KEEP") != ""
)

// Nodes are started by this thread: they are to be killed when it is gone, for
// example because somebody killed this process.
func init() { runtime.LockOSThread() }

var errInterrupted = errors.New("interrupted")

func main() {
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	err := run(ctx)
	stop()

	switch {
	case err == nil:
	case errors.Is(err, errInterrupted):
		fmt.Println("\nInterrupted; everything is stopped and cleaned up.")
		os.Exit(130)
	default:
		fmt.Println()
		fmt.Println(red("FAILED") + ": " + err.Error())
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	if *flagOnly != "" {
		for i := 1; i <= workers; i++ {
			if err := newTraffic(i).write(filepath.Join(*flagOnly, fmt.Sprintf("demo-%d.pcap", i))); err != nil {
				return err
			}
		}
		return nil
	}
	began := time.Now()
	work, err := os.MkdirTemp("", "zeek-zeromq-demo-")
	if err != nil {
		return err
	}
	if keep {
		defer fmt.Printf("\nThe work folder stays: %s\n", work)
	} else {
		defer os.RemoveAll(work)
	}

	k, err := newKind(work)
	if err != nil {
		return err
	}
	fmt.Println(bold(k.title))
	if k.note != "" {
		fmt.Println(k.note)
	}
	fmt.Println()

	// The captures: one for each worker, and both in one for a process that is
	// alone.
	both := &capture{}
	for i := 1; i <= workers; i++ {
		t := newTraffic(i)
		if err := t.write(filepath.Join(work, fmt.Sprintf("worker-%d.pcap", i))); err != nil {
			return err
		}
		both.packets = append(both.packets, t.packets...)
	}
	all := filepath.Join(work, "all.pcap")
	if err := both.write(all); err != nil {
		return err
	}
	fmt.Printf("  %d captures of ten minutes of traffic, one for each worker: %s packets\n", workers, number(len(both.packets)))

	want, err := k.alone(ctx, all)
	if err != nil {
		return err
	}
	fmt.Printf("  %s wrote %s log rows from both\n", k.aloneName, number(want.rows()))

	c := newCluster(k, work, want.rows())
	defer c.killAll()
	if err := c.run(ctx); err != nil {
		return err
	}

	r := report(c, want)
	fmt.Println()
	r.print()
	if len(r.problems) > 0 {
		c.printErrors()
		return errors.New(r.problems[0])
	}
	fmt.Printf("\n%s (%.1f seconds)\n", green("Nothing is missing"), time.Since(began).Seconds())
	return nil
}
