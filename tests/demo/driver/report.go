// SPDX-License-Identifier: BSD-3-Clause

package main

import (
	"fmt"
	"path/filepath"
)

// The findings about a cluster that has ended.
type findings struct {
	nodes    table
	logs     table
	good     []string
	problems []string // the first one is the cause, if it is known
	example  string
}

func (f *findings) expect(ok bool, good, bad string, args ...any) {
	if ok {
		f.good = append(f.good, good)
	} else {
		f.problems = append(f.problems, fmt.Sprintf(bad, args...))
	}
}

func report(c *cluster, want logs) *findings {
	f := &findings{nodes: table{{"node", "sees", "events sent", "received", "log rows", "end"}}}
	if c.problem != "" {
		f.problems = append(f.problems, c.problem)
	}
	f.problems = append(f.problems, c.wrong...)
	causes := len(f.problems)

	links, engines, silent := 0, 0, 0
	for _, n := range c.nodes {
		rows, sent, received := "-", "-", "-"
		if role(n.name) == "logger" {
			rows = number(n.counter.rows)
		}
		if n.sent >= 0 {
			sent, received = number(n.sent), number(n.received)
		}
		if n.sent <= 0 || n.received <= 0 {
			silent++
		}
		end := "clean"
		if n.endError != nil || !n.toldToEnd {
			end = exitText(n.endError)
		}
		f.nodes = append(f.nodes, []string{n.name, fmt.Sprintf("%d of %d", n.everUp, len(c.nodes)-1), sent, received, rows, end})
		links += n.everUp
		if n.usesEngine {
			engines++
		}
	}

	all := len(c.nodes) * (len(c.nodes) - 1)
	f.expect(links == all, fmt.Sprintf("%d nodes are up and each sees the others", len(c.nodes)),
		"nodes saw %d of %d other nodes come up", links, all)
	f.expect(engines == len(c.nodes), "the Go engine runs in every node (libzeekzmq.so)",
		"%d of %d nodes have no libzeekzmq.so in their process", len(c.nodes)-engines, len(c.nodes))
	f.expect(silent == 0, "every node sent and received events",
		"%d of %d nodes did not tell how many events they sent and received", silent, len(c.nodes))

	for _, n := range c.nodes {
		if role(n.name) != "worker" {
			continue
		}
		f.expect(n.answers == questions, fmt.Sprintf("%s answered %s of the manager's %s questions", n.name, number(n.answers), number(questions)),
			"%s answered %s of the manager's %s questions", n.name, number(n.answers), number(questions))
		f.expect(n.captureRead, "", "%s did not finish reading its capture", n.name)
	}
	if c.median > 0 {
		f.good = append(f.good, fmt.Sprintf("half of the answers came within %.1f ms, while the captures were being read", c.median*1000))
	}

	hosts := want.distinct(c.kind.hostsLog, c.kind.hostsColumn)
	f.expect(c.hosts == hosts, fmt.Sprintf("the proxy heard of all %d %s from the workers", hosts, c.kind.hostsName),
		"the proxy heard of %d of %d %s", max(c.hosts, 0), hosts, c.kind.hostsName)

	before := len(f.problems)
	f.compareLogs(c, want)
	if c.problem != "" {
		// All else follows from it. What it did to the logs is worth knowing, if
		// there were any.
		f.problems, f.good, f.example = append(f.problems[:causes], f.problems[before:]...), nil, ""
		if !c.started {
			f.problems, f.logs = f.problems[:causes], nil
		}
	}
	return f
}

func (f *findings) compareLogs(c *cluster, want logs) {
	heading := []string{"log", "alone"}
	var dirs []string
	parts := map[string]logs{}
	for _, n := range c.nodes {
		if role(n.name) != "logger" {
			continue
		}
		l, err := readLogs(c.kind, n.dir)
		if err != nil {
			f.problems = append(f.problems, err.Error())
			return
		}
		parts[n.name] = l
		heading = append(heading, n.name)
		dirs = append(dirs, filepath.Clean(n.dir))
	}
	have, err := readLogs(c.kind, dirs...)
	if err != nil {
		f.problems = append(f.problems, err.Error())
		return
	}
	if drop && have.rows() > 0 {
		// Not of conn.log, which other logs' rows refer to.
		names := have.names()
		l := have[names[len(names)-1]]
		l.rows = l.rows[1:]
	}

	f.logs = table{append(heading, "both together")}
	wanted, got := want.canonical(), have.canonical()
	names := logs{}
	for _, l := range []logs{want, have} {
		for name, file := range l {
			names[name] = file
		}
	}

	var sum difference
	for _, name := range names.names() {
		d := compare(wanted[name], got[name])
		sum.missing += d.missing
		sum.extra += d.extra
		verdict := "equal"
		if d.missing+d.extra > 0 {
			verdict = fmt.Sprintf("%s missing, %s too many", number(d.missing), number(d.extra))
			if f.example == "" {
				f.example = name + ".log: " + d.example
			}
		}
		row := []string{name, number(len(wanted[name]))}
		for _, n := range heading[2:] {
			rows := 0
			if l := parts[n][name]; l != nil {
				rows = len(l.rows)
			}
			row = append(row, number(rows))
		}
		f.logs = append(f.logs, append(row, verdict))
	}

	for _, n := range heading[2:] {
		f.expect(parts[n].rows() > 0, "", "%s got no log rows", n)
	}
	f.expect(sum.missing+sum.extra == 0,
		fmt.Sprintf("the loggers together have the rows of %s, no more, no less: %s of %s compared",
			lower(c.kind.aloneName), plural(want.rows(), "row"), plural(len(want), "log")),
		"the loggers' rows differ from those of %s: of %s, %s missing and %s too many", lower(c.kind.aloneName),
		number(want.rows()), number(sum.missing), number(sum.extra))
}

func (f *findings) print() {
	f.nodes.print()
	fmt.Println()
	if len(f.logs) > 0 {
		f.logs.print()
		fmt.Println()
	}
	for _, g := range f.good {
		if g != "" {
			fmt.Printf("  %s %s\n", green("ok"), g)
		}
	}
	for _, p := range f.problems {
		fmt.Printf("  %s %s\n", red("NO"), p)
	}
	if f.example != "" {
		fmt.Printf("     for example, %.300s\n", f.example)
	}
}
